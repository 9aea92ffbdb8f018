"""Pages as a browser shows them; skipped where there is none."""

import shutil
from pathlib import Path

import pytest
from finished_runs import GRU, LANGUAGE, RNN, TAGGER

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = 400, 1200


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("there is no Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Return a function that opens a page, having checked that it is quiet and asks for nothing."""
    contexts = []

    def open_page(path: Path, width: int, scheme: str):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        address = path.resolve().as_uri()
        page.goto(address)
        assert said == []
        assert asked == [address]
        return page

    yield open_page
    for context in contexts:
        context.close()


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour as the browser gives it, ``rgb(...)``."""
    parts = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, by WCAG 2."""
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


REPORTS = {"classifiers": [GRU, RNN], "tagger": [TAGGER], "language": [LANGUAGE]}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_seen_whole(opened, cli, finished, name):
    assert cli("report", *REPORTS[name], "-o", "page.html").code == 0
    screens = [(PHONE, "dark"), (DESK, "light"), (PHONE, "light"), (DESK, "dark")]
    for width, scheme in screens if name == "classifiers" else screens[:1]:
        page = opened(Path("page.html"), width, scheme)
        # Nothing sticks out: what is wider scrolls by itself.
        assert page.evaluate("document.documentElement.scrollWidth") == width
        links = page.locator("nav a")
        sections = page.locator("section")
        assert links.count() == sections.count() >= 7
        for number in range(links.count()):
            links.nth(number).click()
            assert sections.nth(number).locator("h2").is_visible()
            assert sections.nth(number).bounding_box()["height"] > 50
        pictures = page.locator("figure svg")
        assert pictures.count() >= 5
        for number in range(pictures.count()):
            box = pictures.nth(number).bounding_box()
            assert 250 < box["width"] <= width
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (luminance(paper) > 0.5) == (scheme == "light")
        # Words in pictures are drawn in the page's ink, and can be read.
        colours = page.eval_on_selector_all(
            "figure svg text, h2, td, figcaption",
            "all => all.map(e => e.closest('svg') && e.tagName == 'text'"
            " ? getComputedStyle(e).fill : getComputedStyle(e).color)",
        )
        assert min(contrast(colour, paper) for colour in set(colours)) > 4.5


def test_a_config_unfolds(opened, cli, finished):
    assert cli("report", GRU, RNN, "-o", "page.html").code == 0
    page = opened(Path("page.html"), DESK, "light")
    config = page.locator("details").first
    assert not config.locator("pre").is_visible()
    config.locator("summary").click()
    assert "model:" in config.locator("pre").inner_text()
