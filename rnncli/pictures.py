"""Matplotlib figures as inline SVG whose colours follow the page, light or dark."""

import io
import re
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
}


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
    matplotlib = require("matplotlib", extra="report", purpose="pictures")
    figure = require("matplotlib.figure", extra="report", purpose="pictures")
    with matplotlib.rc_context(_STYLE):
        return figure.Figure(figsize=(width, height), layout="constrained")


def subplots(figure: Any, rows: int = 1, columns: int = 1, **options: Any) -> Any:
    """Return ``figure.subplots(rows, columns, **options)`` in the colours of this module."""
    matplotlib = require("matplotlib", extra="report", purpose="pictures")
    with matplotlib.rc_context(_STYLE):
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
        The same for the same figure, whenever it is drawn.
    """
    matplotlib = require("matplotlib", extra="report", purpose="pictures")
    file = io.StringIO()
    # Ids are unique on a page when the salts are.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    for colour, name in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    label = escape(title, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()
