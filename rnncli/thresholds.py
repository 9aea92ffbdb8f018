"""Where to draw the line between two classes: at which probability of the positive one a text is called so."""

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from rnncli.metrics import class_scores, confusion_matrix
from rnncli.packing import Array, IntArray

Goal = Literal["f1", "accuracy", "balanced_accuracy"]
GOALS: tuple[Goal, ...] = get_args(Goal)


class Threshold(NamedTuple):
    """What makes a text positive.

    Parameters
    ----------
    positive : int
        The class that is called positive, 0 or 1.
    value : float
        A text is positive where the probability of that class is at or above this.
    """

    positive: int
    value: float


def predicted_classes(probabilities: Array, threshold: Threshold) -> IntArray:
    """Return the class of each text.

    Parameters
    ----------
    probabilities : ndarray of shape (N, 2)
        Of both classes.
    threshold : Threshold
        Where one begins.

    Returns
    -------
    ndarray of int, shape (N,)
        Class ids.
    """
    positive = _of(probabilities, threshold.positive) >= threshold.value
    return np.where(positive, threshold.positive, 1 - threshold.positive)


def threshold_figures(y: ArrayLike, probabilities: Array, threshold: Threshold) -> dict[str, float]:
    """Return how good a threshold is.

    Parameters
    ----------
    y : array-like of shape (N,)
        Class ids, at least one.
    probabilities : ndarray of shape (N, 2)
        Of both classes.
    threshold : Threshold
        What to judge.

    Returns
    -------
    dict of str to float
        ``threshold``, ``accuracy``, ``balanced_accuracy`` (the mean recall of the two classes), and of the positive
        class ``precision``, ``recall`` and ``f1``.
    """
    confusion = confusion_matrix(y, predicted_classes(probabilities, threshold), 2)
    scores, positive = class_scores(confusion), threshold.positive
    return {
        "threshold": threshold.value,
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "balanced_accuracy": float(scores.recall.mean()),
        "precision": float(scores.precision[positive]),
        "recall": float(scores.recall[positive]),
        "f1": float(scores.f1[positive]),
    }


def find_threshold(y: ArrayLike, probabilities: Array, positive: int, goal: Goal) -> Threshold:
    """Return the threshold at which a figure is best.

    Parameters
    ----------
    y : array-like of shape (N,)
        Class ids, of both classes at least one.
    probabilities : ndarray of shape (N, 2)
        Of both classes.
    positive : int
        The class that is called positive.
    goal : {"f1", "accuracy", "balanced_accuracy"}
        The figure, as :func:`threshold_figures` gives it.

    Returns
    -------
    Threshold
        Of all ranges that do as well the one nearest to 0.5; in it 0.5 itself, or its middle, rounded as far as it can
        be.

    Raises
    ------
    ValueError
        If one of the classes is not there.
    """
    truth = np.asarray(y) == positive
    P = int(truth.sum())
    N = len(truth) - P
    if not P or not N:
        raise ValueError("need texts of both classes")
    p = _of(probabilities, positive)
    order = np.argsort(-p, kind="stable")
    p = p[order]
    # How many texts from the most probable on can be positive: cuts lie between two that differ.
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(p)) + 1, [len(p)]])
    cuts = cuts[int(p[0] >= 1) :]  # none is positive: not where a probability is 1
    hits = np.concatenate([[0], np.cumsum(truth[order])])[cuts]
    others = cuts - hits
    figure = {
        "f1": 2 * hits / (cuts + P),
        "accuracy": (hits + N - others) / (P + N),
        "balanced_accuracy": (hits / P + (N - others) / N) / 2,
    }[goal]
    low, high = np.concatenate([p, [0.0]])[cuts], np.concatenate([[1.0], p])[cuts]
    best = np.flatnonzero(figure >= figure.max() - 1e-12)
    distance = np.maximum(low - 0.5, 0.5 - high)  # below 0 where it is inside
    chosen = best[np.argmin(distance[best])]
    return Threshold(positive, _short(float(low[chosen]), float(high[chosen])))


def _of(probabilities: Array, positive: int) -> Array:
    """Return the probabilities of a class as numbers that print and compare alike everywhere."""
    return np.asarray(probabilities, dtype=np.float64)[:, positive]


def _short(low: float, high: float) -> float:
    """Return a number above ``low`` and at most ``high``: 0.5, or the middle with few decimals."""
    if low < 0.5 <= high:
        return 0.5
    for digits in range(2, 17):
        value = round((low + high) / 2, digits)
        if low < value <= high and low < float(np.float32(value)):  # also where it is compared in float32
            return value
    return high
