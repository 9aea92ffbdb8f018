"""What the pictures of a report have in common: a size that a phone can show, and one look for each run."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnncli.data.rows import short_label
from rnncli.judging import Judged
from rnncli.pictures import BLUE, FAINT, GREEN, INK, ORANGE, RED, VIOLET, new_figure, plain, subplots
from rnncli.worded import compact

WIDTH, HEIGHT = 4.7, 2.9  # inches; text of 10 points is still read when this is as wide as a phone
MOST_POINTS = 300  # of a curve
MOST_INSIDE = 2  # names of curves within a picture; more would hide the curves
LONG_NAME = 24  # characters, of which two beside each other do not fit below a picture

_COLOURS = (BLUE, ORANGE, GREEN, VIOLET, RED)
_MARKERS = ("o", "s", "^", "D", "v")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (5, 1, 1, 1)), (0, (8, 2, 2, 2)))


class Look(NamedTuple):
    """How a run is drawn; nobody needs to tell the colours apart.

    Attributes
    ----------
    colour, marker : str
        For matplotlib.
    dash
        Likewise.
    """

    colour: str
    marker: str
    dash: Any


def look(place: int) -> Look:
    """Return the look of the run at a place in the list; after five the colours come again with other dashes."""
    turn = place // len(_COLOURS)
    index = place % len(_COLOURS)
    return Look(_COLOURS[index], _MARKERS[(index + turn) % 5], _DASHES[(index + turn) % 5])


def named(run: Judged) -> str:
    """Return the name of a run for a legend."""
    return plain(short_label(run.record.name))


def axes_of(title: str, x: str, y: str, *, height: float = HEIGHT) -> tuple[Any, Any]:
    """Return a figure with one pair of axes."""
    figure = new_figure(WIDTH, height)
    axes = subplots(figure)
    label(axes, title, x, y)
    return figure, axes


def label(axes: Any, title: str, x: str, y: str) -> None:
    """Write a title and the names of both axes."""
    axes.set_title(plain(title), loc="left", fontsize=10.5, fontweight="bold", color=INK)
    axes.set_xlabel(plain(x), fontsize=9.5)
    axes.set_ylabel(plain(y), fontsize=9.5)


def numbers_on(axis: Any, form: str | None = None) -> None:
    """Write the numbers of an axis in full, with commas; or by a format."""
    axis.set_major_formatter(lambda value, _: compact(value) if form is None else format(value, form))


def shares_on(axes: Any) -> None:
    """Write the numbers of the upright axis in percent, none above 100%."""
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if value < 1.0001 else "")
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, 1 + 0.04 * (1 - low)) if high > 1 else high)


def few_points(points: Sequence[tuple[int, float]]) -> tuple[Any, Any]:
    """Return the steps and values of a curve, of a long one the means of pieces of equal length."""
    steps, values = (np.array(part, float) for part in zip(*points, strict=True)) if points else (np.zeros(0),) * 2
    if len(steps) <= MOST_POINTS:
        return steps, values
    starts = np.arange(MOST_POINTS) * len(steps) // MOST_POINTS
    counts = np.diff(starts, append=len(steps))
    return np.add.reduceat(steps, starts) / counts, np.add.reduceat(values, starts) / counts


def curve(axes: Any, points: tuple[Any, Any], **options: Any) -> None:
    """Draw a line without marks; a single point has one, or nothing would be seen."""
    axes.plot(*points, **{**({"marker": ".", "markersize": 5} if len(points[0]) == 1 else {}), **options})


def legend(axes: Any, **options: Any) -> None:
    """Name the curves, if there are some with a name: beside them, or below the picture where there are many."""
    handles, names = axes.get_legend_handles_labels()
    options = {"handlelength": 2.6, **options}
    if len(names) > MOST_INSIDE:
        columns = 1 if max(map(len, names)) > LONG_NAME else 2
        figure = axes.figure
        figure.set_figheight(figure.get_figheight() + 0.2 * math.ceil(len(names) / columns))
        figure.legend(handles, names, **{**options, "loc": "outside lower left", "ncols": columns})
    elif names:
        axes.legend(**options)


def diagonal(axes: Any) -> None:
    """Draw the line on which both axes are equal."""
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)))
