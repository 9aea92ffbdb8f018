"""Figures as inline SVG."""

import re

from rnncli.pictures import BLUE, COLOURS, INK, drawing, inline_svg, new_figure, plain, subplots


def drawn():
    figure = new_figure()
    axes = subplots(figure)
    axes.plot([1, 2, 3], [2, 3, 1], color=BLUE)
    axes.set_xlabel("step", color=INK)
    return figure


def test_the_colours_are_those_of_the_page():
    svg = inline_svg(drawn(), "a curve")
    assert "stroke: var(--blue)" in svg
    assert not any(colour in svg for colour in COLOURS)


def test_text_stays_text_and_the_title_is_escaped():
    svg = inline_svg(drawn(), 'a "curve" & more')
    assert ">step</text>" in svg
    assert 'aria-label="a &quot;curve&quot; &amp; more"' in svg


def test_nothing_is_fetched_and_nothing_is_dated():
    svg = inline_svg(drawn(), "a curve")
    assert svg.startswith("<svg ")
    assert "<metadata>" not in svg
    assert set(re.findall(r"https?://[^\"\s]+", svg)) <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}


def test_the_same_figure_gives_the_same_bytes():
    assert inline_svg(drawn(), "a curve") == inline_svg(drawn(), "a curve")


def test_figures_on_one_page_share_no_id():
    one, two = (inline_svg(drawn(), title) for title in ("a curve", "another"))
    ids = [set(re.findall(r' id="([^"]*)"', svg)) for svg in (one, two)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, own in zip((one, two), ids, strict=True):
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg)) == own


def test_what_is_drawn_without_a_colour_follows_the_page_too():
    figure = drawn()
    axes = figure.axes[0]
    axes.plot([1, 2], [1, 1], color="black", label="one")
    axes.text(1, 1, "black text")
    axes.legend(facecolor="white", frameon=True)
    svg = inline_svg(figure, "defaults")
    assert "#ffffff" not in svg
    assert "#000000" not in svg
    assert svg.startswith('<svg role="img" aria-label="defaults" fill="var(--ink)"')
    assert "<style" not in svg


def test_a_legend_has_no_frame():
    figure = drawn()
    with drawing():
        figure.axes[0].plot([1, 2], [1, 1], color=BLUE, label="one")
        figure.axes[0].legend()
    assert "var(--paper)" not in inline_svg(figure, "legend")


def test_labels_of_any_kind_are_shown_as_they_are():
    figure = drawn()
    figure.axes[0].set_title(plain("5$ to 7$ & <b> \N{CJK UNIFIED IDEOGRAPH-4E2D}"))
    assert ">5$ to 7$ &amp; &lt;b&gt; \N{CJK UNIFIED IDEOGRAPH-4E2D}</text>" in inline_svg(figure, "labels")
