"""Matplotlib figures as inline SVG whose colours follow the page, light or dark."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from rnncli.extras import require

# What a figure is drawn with, and the custom property of the page that takes its place.
COLOURS = {
    "#010203": "ink",
    "#010204": "paper",
    "#010205": "faint",
    "#010206": "line",
    "#010207": "blue",
    "#010208": "orange",
    "#010209": "green",
    "#01020a": "red",
    "#01020b": "violet",
}
INK, PAPER, FAINT, LINE, BLUE, ORANGE, GREEN, RED, VIOLET = COLOURS

# What matplotlib draws in where nobody has said a colour.
_DEFAULTS = {"#000000": "ink", "#ffffff": "paper", "#cccccc": "line", "#b0b0b0": "line"}

_STYLE = {
    "svg.fonttype": "none",  # text stays text: small, and read aloud
    "font.family": "sans-serif",
    "font.size": 10,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "grid.color": LINE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of this module: texts, legends and grids take their colours when they are made."""
    matplotlib = require("matplotlib", extra="report", purpose="pictures")
    with matplotlib.rc_context(_STYLE):
        yield


def plain(text: str) -> str:
    """Return a text as matplotlib shows it unchanged: what is between two dollar signs would be a formula to it."""
    return text.replace("$", r"\$")


def new_figure(width: float = 6.4, height: float = 3.2) -> Any:
    """Return an empty figure in the colours of this module.

    Parameters
    ----------
    width, height : float
        In inches of 72 px.

    Returns
    -------
    matplotlib.figure.Figure
        With no window and no global state behind it.
    """
    figure = require("matplotlib.figure", extra="report", purpose="pictures")
    with drawing():
        return figure.Figure(figsize=(width, height), layout="constrained")


def subplots(figure: Any, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """Return ``figure.subplots(rows, columns, **options)`` in the colours of this module."""
    with drawing():
        return figure.subplots(rows, columns, **options)


def inline_svg(figure: Any, title: str) -> str:
    """Return a figure as an SVG element to put into a page of :func:`rnncli.pages.page`.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From :func:`new_figure`, drawn in the colours of :data:`COLOURS`.
    title : str
        What it shows, for those who can't see it.

    Returns
    -------
    str
        The same for the same figure, whenever it is drawn. Its ids are those of no figure with another title.
    """
    matplotlib = require("matplotlib", extra="report", purpose="pictures")
    file = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}), warnings.catch_warnings():
        # Text is drawn by the browser, with its own fonts; matplotlib's need not have every letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    svg = _shortened(svg[svg.index("<svg") :])
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    for colour, name in _DEFAULTS.items():
        svg = re.sub(rf"\b(fill|stroke): {colour}\b", rf"\1: var(--{name})", svg)
    label = escape(title, quote=True)
    # Black text comes without a colour, and takes this one.
    own = 'fill="var(--ink)" stroke-linejoin="round" stroke-linecap="butt" font-family="system-ui, sans-serif"'
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" {own} ', 1).strip()


def _shortened(svg: str) -> str:
    """Take out of an SVG what shows nothing, and what would reach beyond it on a page: its style sheet and its ids."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg)
    svg = re.sub(r" ?font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", svg)
    svg = re.sub(r"\s*\n\s*", " ", svg)
    return re.sub(r"> <", "><", svg)
