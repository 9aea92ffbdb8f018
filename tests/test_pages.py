"""Self-contained HTML pages."""

import re
from html.parser import HTMLParser

from rnncli.pages import page


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data.strip()))


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def test_a_page_has_its_title_as_text_and_its_body_as_html():
    reader = read(page("<b> & co", "<p>said <em>so</em></p>"))
    assert ("title", "<b> & co") in reader.texts
    assert ("h1", "<b> & co") in reader.texts
    assert ("em", "so") in reader.texts


def test_a_page_may_fetch_nothing_and_run_nothing():
    html = page("t", "")
    assert "default-src 'none'" in html
    assert "<script" not in html
    assert not re.search(r"https?:|url\(|@import", html)


def test_every_colour_has_a_value_for_light_and_for_dark():
    style = re.search(r"<style>(.*)</style>", page("t", ""), re.DOTALL)[1]
    light, dark = (set(re.findall(r"(--\w+):", part)) for part in style.split("@media (prefers-color-scheme: dark)"))
    used = set(re.findall(r"var\((--\w+)\)", style))
    assert light == dark >= used


def test_more_style_can_be_added():
    assert ".mine { color: red; }</style>" in page("t", "", style=".mine { color: red; }")
