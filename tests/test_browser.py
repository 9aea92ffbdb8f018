"""Pages as a browser shows them; skipped where there is none."""

import shutil
from pathlib import Path

import pytest
from finished_runs import GRU, LANGUAGE, RNN, TAGGER
from made_models import CELLS, classifier

from rnncli.config import load_config
from rnncli.explain_page import explain_page
from rnncli.explaining import explain

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = 400, 1200
SCREENS = [(PHONE, "dark"), (DESK, "light")]


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
    for width, scheme in SCREENS if name == "classifiers" else SCREENS[:1]:
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


@pytest.fixture(scope="module")
def explanation(tmp_path_factory):
    """A page of two explained texts with pictures of the gates."""
    trained = classifier(CELLS[1], directions=2)
    found = [explain(trained, text, leave_one_out=True) for text in ("good film,<br />n't BAD " * 9, "qwx!! & <b>")]
    path = tmp_path_factory.mktemp("pages") / "page.html"
    path.write_text(explain_page("best.safetensors", [(one, one.trace()) for one in found], 10), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_an_explanation_is_seen_whole(opened, explanation, width, scheme):
    page = opened(explanation, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    links, sections = page.locator("nav a"), page.locator("section")
    assert links.count() == sections.count() == 2
    for number in range(2):
        links.nth(number).click()
        assert sections.nth(number).locator("h2").is_visible()
    words = page.locator(".words").first
    assert words.inner_text().split() == ("good film, n't BAD " * 9).split()
    assert page.locator(".words").nth(1).inner_text() == "qwx!! & <b>"
    assert page.locator("figure svg").count() == 2 * 3
    # Every heat map is drawn from the file itself.
    images = page.locator("figure svg image")
    assert images.count() == 2 * 2 * 6
    assert all(images.nth(number).bounding_box()["height"] > 30 for number in range(images.count()))
    # Ink on the colour of a word, which lets the paper through, can be read.
    paper, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    shades = page.eval_on_selector_all(
        ".words .for, .words .against", "all => all.map(e => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(shades)) > 5
    below = [float(part) for part in paper.removeprefix("rgb(").removesuffix(")").split(",")]
    for shade in set(shades):
        *colour, alpha = (float(part) for part in shade.removeprefix("rgba(").removesuffix(")").split(","))
        mixed = [alpha * part + (1 - alpha) * under for part, under in zip(colour, below, strict=True)]
        assert contrast(f"rgb({mixed[0]}, {mixed[1]}, {mixed[2]})", ink) > 4.5
    # The sign shows without colours.
    strongest = page.locator(".words .much").first
    kind = "solid" if "for" in strongest.get_attribute("class").split() else "dashed"
    assert strongest.evaluate("e => getComputedStyle(e).borderBottomStyle") == kind


def test_a_config_unfolds(opened, cli, finished):
    assert cli("report", GRU, RNN, "-o", "page.html").code == 0
    page = opened(Path("page.html"), DESK, "light")
    config = page.locator("details").first
    assert not config.locator("pre").is_visible()
    config.locator("summary").click()
    assert config.locator("b", has_text="cell: gru").is_visible()


def test_a_config_can_be_copied_out_and_read(opened, cli, finished):
    assert cli("report", GRU, "-o", "page.html").code == 0
    for width, scheme in SCREENS:
        page = opened(Path("page.html"), width, scheme)
        Path("copied.yaml").write_text(page.locator("pre.config").inner_text())
        assert load_config(Path("copied.yaml")) == load_config(GRU / "config.yaml")
        key, meaning = page.locator("pre.config b").first, page.locator("pre.config i").first
        below = meaning.bounding_box()["y"] >= key.bounding_box()["y"] + key.bounding_box()["height"] - 1
        assert below == (width == PHONE)
