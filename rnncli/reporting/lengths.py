"""Whether a model does worse on long texts; of a language model, where in the text it does."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.calibration import wilson_interval
from rnncli.comparing import bootstrap, percentiles
from rnncli.evaluation import Evaluation
from rnncli.judging import Judged
from rnncli.packing import Array, IntArray
from rnncli.pictures import drawing, inline_svg
from rnncli.reporting.markup import Section, figures_html
from rnncli.reporting.plots import axes_of, legend, look, named, numbers_on, shares_on

BINS = 7
PIECES = 40  # of a language model's text
DRAWS = 2000  # of an interval of a range


def lengths(runs: Sequence[Judged]) -> Section | None:
    """Draw accuracy by length, or cost by place in the text.

    Parameters
    ----------
    runs : sequence of Judged
        Curves of several lie over each other.

    Returns
    -------
    Section or None
        None where nothing could be evaluated.
    """
    known = [(place, run) for place, run in enumerate(runs) if run.outcome]
    if not known:
        return None
    alone = len(runs) == 1
    if known[0][1].record.trained.config.task == "language_model":
        with drawing():
            return Section("Cost along the text", figures_html([_along(known, alone=alone)]))
    with drawing():
        return Section("Length and accuracy", figures_html([_by_length(known, alone=alone)]))


def length_bins(sizes: IntArray, bins: int = BINS) -> list[tuple[int, int]]:
    """Return ranges of lengths, from and to, that hold about as many units each.

    Parameters
    ----------
    sizes : ndarray of shape (U,)
        The length of each unit, at least one.
    bins : int
        At most so many ranges.

    Returns
    -------
    list of (int, int)
        Rising, without gaps at which there is a unit.
    """
    ends = np.unique(np.quantile(sizes, np.arange(1, bins + 1) / bins, method="inverted_cdf").astype(np.int64))
    starts = [int(sizes.min()), *(int(end) + 1 for end in ends[:-1])]
    return list(zip(starts, ends.tolist(), strict=True))


def _sizes(run: Judged) -> tuple[IntArray, str]:
    assert run.outcome is not None
    details = run.outcome.details
    if isinstance(details, Evaluation):
        return details.lengths, "tokens of the text, up to"
    return run.outcome.sizes.astype(np.int64), "words of the sentence, up to"


def _by_length(runs: Sequence[tuple[int, Judged]], *, alone: bool) -> tuple[str, str]:
    sizes, what = _sizes(runs[0][1])
    ranges = length_bins(sizes)
    figure, axes = axes_of("Accuracy by length", what, "accuracy")
    for number, (place, run) in enumerate(runs):
        assert run.outcome is not None
        sizes, style = _sizes(run)[0], look(place)
        middle, low, high, there = accuracies(sizes, ranges, run.outcome.counted, run.outcome.sizes)
        axes.errorbar(
            np.flatnonzero(there) + 0.12 * (number - (len(runs) - 1) / 2),
            middle,
            yerr=np.maximum([middle - low, high - middle], 0),
            color=style.colour,
            marker=style.marker,
            markersize=5,
            linestyle=style.dash,
            linewidth=1,
            elinewidth=1,
            capsize=3,
            label=None if alone else named(run),
        )
    axes.set_xticks(range(len(ranges)))
    axes.set_xticklabels([f"{end:,}" for _, end in ranges])
    axes.grid(visible=False, axis="x")
    shares_on(axes)
    legend(axes)
    caption = "Ranges of about as many each, with 95% intervals."
    if isinstance(runs[0][1].outcome and runs[0][1].outcome.details, Evaluation):
        caption += " Tokens as the model reads them, after data.max_length."
    return inline_svg(figure, "Accuracy by length"), caption


def accuracies(sizes: IntArray, ranges: Sequence[tuple[int, int]], counted: Array, below: Array) -> tuple[Any, ...]:
    """Return the accuracy of the units of each range of lengths, with its interval.

    Parameters
    ----------
    sizes : ndarray of shape (U,)
        The length of each unit.
    ranges : sequence of (int, int)
        From and to.
    counted, below : ndarray of shape (U,)
        What is right of each unit, and out of how many: 1 of a text, of a sentence its words.

    Returns
    -------
    middle, low, high : ndarray
        Of each range that holds a unit.
    there : ndarray of bool, one for each range
        Which do.
    """
    inside = np.array([(sizes >= start) & (sizes <= end) for start, end in ranges])
    right, rows = inside @ counted, inside @ below
    there = rows > 0
    if np.all(below == 1):
        low, high = wilson_interval(right[there], rows[there])
    else:  # words of a sentence are not independent of each other
        drawn = (bootstrap(counted[part], below[part], draws=DRAWS)[0] for part in inside[there])
        low, high = np.array([percentiles(samples) for samples in drawn]).T
    return right[there] / rows[there], low, high, there


def _along(runs: Sequence[tuple[int, Judged]], *, alone: bool) -> tuple[str, str]:
    figure, axes = axes_of("Cost along the text", "place in the text", "bits/char")
    for place, run in runs:
        assert run.outcome is not None
        bits, characters, style = run.outcome.counted, run.outcome.sizes, look(place)
        starts = np.unique(np.arange(PIECES) * len(bits) // PIECES)
        cost = np.add.reduceat(bits, starts) / np.add.reduceat(characters, starts)
        ends = np.cumsum(np.add.reduceat(characters, starts))
        middle = (ends - np.add.reduceat(characters, starts) / 2) / ends[-1]
        name = None if alone else named(run)
        axes.plot(
            middle,
            cost,
            color=style.colour,
            marker=style.marker,
            markersize=3.5,
            linestyle=style.dash,
            linewidth=1,
            label=name,
        )
        axes.axhline(bits.sum() / characters.sum(), color=style.colour, linewidth=0.8, alpha=0.6)
    numbers_on(axes.xaxis, ".0%")
    legend(axes)
    return inline_svg(
        figure, "Cost along the text"
    ), "Means over pieces of about as many lines; the level line: of all."
