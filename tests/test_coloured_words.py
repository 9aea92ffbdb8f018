"""Words in colours, as HTML."""

import re

import pytest
from test_pages import read

from rnncli.coloured_words import STYLE, Piece, decimals, largest, pieces_html, words_html
from rnncli.pages import page


def spans(html):
    return [dict(attrs) for tag, attrs in read(html).tags if tag == "span"]


def test_a_push_has_the_colour_of_its_sign_and_size():
    html = words_html(["good", "film", "bad", "so"], [2.0, 0.01, -1.0, 0.3])
    good, film, bad, so = spans(html)
    assert good["class"] == "for much"
    assert good["style"] == "--size: 0.60"
    assert "class" not in film
    assert bad["class"] == "against much"
    assert bad["style"] == "--size: 0.30"
    assert so["class"] == "for"
    assert [span["title"] for span in (good, film, bad, so)] == ["+2.000", "+0.010", "-1.000", "+0.300"]
    assert re.sub(r"<[^>]+>", "", html) == "good film bad so"


def test_one_scale_can_serve_several_texts():
    (word,) = spans(words_html(["good"], [0.5], scale=2.0))
    assert word["style"] == "--size: 0.15"
    (word,) = spans(words_html(["good"], [5.0], scale=2.0))
    assert word["style"] == "--size: 0.60"


def test_small_pushes_are_told_apart():
    words = spans(words_html(["good", "film"], [0.0052, -0.0009]))
    assert [word["title"] for word in words] == ["+0.0052", "-0.0009"]
    assert [decimals(full, 2) for full in (12.0, 1.0, 0.1, 0.099, 0.01, 0.0099)] == [2, 2, 2, 3, 3, 4]


def test_what_is_unknown_or_not_read_shows():
    html = pieces_html([Piece("cut off ", unread=True), Piece("qwx", -1.0, unknown=True), Piece("\n\n")])
    unread, word = spans(html)
    assert unread["class"] == "unread"
    assert word["class"] == "against much unknown"
    assert "unknown" in word["title"]
    assert html.endswith("\n\n</div>")


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", 'a"b', "a&amp;b", "\x00\x1b[31m", "\ud800", "<br />"])
def test_no_text_becomes_html(text):
    html = words_html([text], [1.0])
    assert {tag for tag, _ in read(html).tags} == {"div", "span"}
    assert not re.search(r"[\x00\x1b\ud800]", html)
    assert html.encode("utf-8")


def test_nothing_pushes_and_nothing_is_there():
    assert spans(words_html(["a"], [0.0])) == [{"title": "+0.000"}]
    assert words_html([], []) == '<div class="words"></div>'
    assert largest([]) == 1
    assert largest([Piece("a", -3.0), Piece("b"), Piece("c", 2.0)]) == 3


def test_all_colours_of_the_style_are_the_pages():
    html = page("t", "", style=STYLE)
    defined = set(re.findall(r"(--\w+):", html)) | {"--size"}
    assert set(re.findall(r"var\((--\w+)\)", STYLE)) <= defined
