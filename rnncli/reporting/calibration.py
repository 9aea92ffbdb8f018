"""How far the probabilities of a classifier or a tagger can be believed: ROC curve, reliability, calibration error."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.calibration import Reliability, reliability, roc_curve, thinned, wilson_interval
from rnncli.data.rows import short_label
from rnncli.evaluation import Evaluation
from rnncli.judging import Judged
from rnncli.packing import Array
from rnncli.pictures import FAINT, drawing, inline_svg, new_figure, subplots
from rnncli.reporting.markup import Section, figures_html
from rnncli.reporting.plots import MOST_POINTS, WIDTH, Look, axes_of, diagonal, label, legend, look, named, numbers_on


def calibration(runs: Sequence[Judged]) -> Section | None:
    """Draw ROC curves, of two labels, and reliability diagrams.

    Parameters
    ----------
    runs : sequence of Judged
        Curves of several lie over each other.

    Returns
    -------
    Section or None
        None unless classifiers or taggers were evaluated.
    """
    known = [(place, run) for place, run in enumerate(runs) if run.outcome and run.outcome.right is not None]
    if not known:
        return None
    with drawing():
        figures = [_reliability(known, alone=len(runs) == 1)]
        if any(run.outcome and run.outcome.report.get("roc_auc") is not None for _, run in known):
            figures.insert(0, _roc(known, alone=len(runs) == 1))
    return Section("ROC and calibration" if len(figures) > 1 else "Calibration", figures_html(figures))


def _roc(runs: Sequence[tuple[int, Judged]], *, alone: bool) -> tuple[str, str]:
    figure, axes = axes_of("ROC curve", "false positive rate", "true positive rate", height=3.6)
    diagonal(axes)
    positive: dict[str, None] = {}
    for place, run in runs:
        assert run.outcome is not None
        style = look(place)
        if run.outcome.report["roc_auc"] is None:
            continue
        found: Evaluation = run.outcome.details
        x, y = thinned(*roc_curve(found.labels == 1, found.probabilities[:, 1]), MOST_POINTS)
        area = f"AUC {run.outcome.report['roc_auc']:.4f}"
        name = area if alone else f"{named(run)}, {area}"
        axes.plot(x, y, color=style.colour, linestyle=style.dash, label=name)
        positive[short_label(run.record.trained.learned.labels[1])] = None
    axes.set_aspect("equal")
    legend(axes, loc="lower right")
    caption = f"Positive label: {', '.join(positive)}. The dotted line is what chance reaches."
    return inline_svg(figure, "ROC curve"), caption


def _reliability(runs: Sequence[tuple[int, Judged]], *, alone: bool) -> tuple[str, str]:
    figure = new_figure(WIDTH, 3.6)
    upper, lower = subplots(figure, 2, 1, sharex=True, height_ratios=[3, 1])
    label(upper, "Reliability", "", "right")
    texts = isinstance(runs[0][1].outcome and runs[0][1].outcome.details, Evaluation)
    label(lower, "", "confidence", "texts" if texts else "words")
    diagonal(upper)
    left = bottom = 1.0
    for number, (place, run) in enumerate(runs):
        bins = reliability(*_answers(run))
        name = f"{'' if alone else f'{named(run)}, '}ECE {bins.error:.1%}"
        left = min(left, float(bins.confidence.min()))
        bottom = min(bottom, _draw_bins(upper, lower, bins, look(place), number, name, intervals=texts))
    upper.set_xlim(max(0.0, left - 0.03), 1.01)
    upper.set_ylim(max(0.0, min(left, bottom) - 0.03), 1.02)
    for axis in (upper.yaxis, lower.xaxis):
        numbers_on(axis, ".0%")
    numbers_on(lower.yaxis)
    legend(upper)
    intervals = ", with 95% intervals" if texts else ""  # words of a sentence are not independent
    caption = (
        f"How often predictions of a confidence are right{intervals}; on the dotted line confidence is right. "
        "ECE: the mean distance from it (15 bins)."
    )
    return inline_svg(figure, "Reliability diagram"), caption


def _answers(run: Judged) -> tuple[Array, Any]:
    """Return how sure each prediction is, and whether it is right."""
    assert run.outcome is not None
    found = run.outcome.details
    if isinstance(found, Evaluation):
        return found.probabilities.max(axis=1), run.outcome.right
    both = zip(found.sentences, found.predicted, strict=True)
    right = [one == other for sentence, tags in both for one, other in zip(sentence.tags, tags, strict=True)]
    return found.confidence, right


def _draw_bins(
    upper: Any, lower: Any, bins: Reliability, style: Look, number: int, name: str, *, intervals: bool
) -> float:
    """Draw a run's bins, and return how far down they reach."""
    low, high = wilson_interval(bins.accuracy * bins.rows, bins.rows)
    upper.errorbar(
        bins.confidence,
        bins.accuracy,
        yerr=np.maximum([bins.accuracy - low, high - bins.accuracy], 0) if intervals else None,
        color=style.colour,
        marker=style.marker,
        markersize=4.5,
        linestyle=style.dash,
        elinewidth=0.8,
        capsize=2,
        linewidth=1.2,
        label=name,
    )
    if number == 0:
        lower.bar(bins.confidence, bins.rows, width=0.02, color=style.colour, edgecolor=FAINT, linewidth=0.4)
    else:
        lower.plot(
            bins.confidence, bins.rows, color=style.colour, marker=style.marker, markersize=3.5, linestyle="none"
        )
    return float((low if intervals else bins.accuracy).min())
