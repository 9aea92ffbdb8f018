"""Figures as inline SVG."""

import re

from rnncli.pictures import BLUE, COLOURS, INK, inline_svg, new_figure, subplots


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
