"""How far the probabilities of a classifier can be believed: ROC curve, reliability, calibration error.

Letters: N rows, M bins.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 15
_Z = 1.959963984540054  # the normal quantile of 97.5%

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Reliability(NamedTuple):
    """How often predictions of about the same confidence are right.

    Parameters
    ----------
    confidence : ndarray of shape (M,)
        Mean of each bin that has rows.
    accuracy : ndarray of shape (M,)
        Part of its rows that are right.
    rows : ndarray of shape (M,)
        How many they are.
    """

    confidence: Floats
    accuracy: Floats
    rows: Ints

    @property
    def error(self) -> float:
        """The expected calibration error, equation 3 of Guo, Pleiss, Sun and Weinberger (2017)."""
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.rows * gaps).sum() / self.rows.sum())


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Sort predictions into bins of equal width by their confidence.

    Parameters
    ----------
    confidence : array-like of shape (N,)
        Probability of the predicted label, from 0 to 1.
    right : array-like of bool, shape (N,)
        Whether the prediction is right.
    bins : int
        Number of bins from 0 to 1; those without a row are left out.

    Returns
    -------
    Reliability
        In order of confidence.

    Raises
    ------
    ValueError
        If the shapes differ or there are no rows.
    """
    values, hits = np.asarray(confidence, float), np.asarray(right, float)
    if values.shape != hits.shape or values.ndim != 1 or not values.size:
        raise ValueError(f"need as many answers as confidences, at least one, got {hits.shape} and {values.shape}")
    place = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)  # a bin has its upper end
    rows = np.bincount(place, minlength=bins)
    there = rows > 0
    mean, part = (np.bincount(place, weights=each, minlength=bins)[there] / rows[there] for each in (values, hits))
    return Reliability(mean, part, rows[there])


def roc_curve(positive: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """Return the false and true positive rates of all thresholds.

    Parameters
    ----------
    positive : array-like of bool, shape (N,)
        Whether a row is of the positive class; some are, some are not.
    scores : array-like of shape (N,)
        Higher for the positive class.

    Returns
    -------
    false_positive_rate, true_positive_rate : ndarray
        From (0, 0) to (1, 1), without points on a straight line between their neighbours.

    Raises
    ------
    ValueError
        If the shapes differ or one of the classes has no row.
    """
    true, values = np.asarray(positive, bool), np.asarray(scores, float)
    if true.shape != values.shape or true.ndim != 1 or not true.any() or true.all():
        raise ValueError("need as many scores as rows, some of each class")
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.diff(values[order], append=np.nan) != 0)  # tied scores change sides together
    found = np.concatenate([[0], np.cumsum(true[order])[ends]])
    wrong = np.concatenate([[0], (ends + 1)]) - found
    # Whole numbers, so that a bend is told from a straight line exactly.
    up, right = np.diff(found), np.diff(wrong)
    bends = np.concatenate([[True], up[:-1] * right[1:] != up[1:] * right[:-1], [True]])
    return wrong[bends] / wrong[-1], found[bends] / found[-1]


def wilson_interval(right: ArrayLike, rows: ArrayLike) -> tuple[Floats, Floats]:
    """Return the 95% interval of a part of some rows, equation 4 of Brown, Cai and DasGupta (2001).

    Parameters
    ----------
    right, rows : array-like of the same shape
        How many of how many, at least one.

    Returns
    -------
    low, high : ndarray
        Within 0 and 1 even where all or none are right.
    """
    x, n = np.asarray(right, float), np.asarray(rows, float)
    middle = (x + _Z**2 / 2) / (n + _Z**2)
    half = _Z * np.sqrt(n) / (n + _Z**2) * np.sqrt(x / n * (1 - x / n) + _Z**2 / (4 * n))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def thinned(x: Floats, y: Floats, most: int) -> tuple[Floats, Floats]:
    """Return at most so many points of a curve, its ends among them, evenly along it."""
    if len(x) <= most:
        return x, y
    along = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    places = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)))
    return x[places], y[places]
