"""How far each step of a sequence pushes a score: gradients summed up along a path, and how two such answers agree.

Nothing here knows a model. A score function takes inputs (K, T, D), K versions of one sequence of T steps, and returns
their scores (K,) and the gradients of the scores by the inputs (K, T, D).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rnncli.layers.activations import log_softmax
from rnncli.packing import Array

ScoreFunction = Callable[[Array], tuple[Array, Array]]

# Points of a piece of the path. A polynomial of degree 15 is integrated exactly; max pooling bends the score where
# another step takes the lead, and pieces keep what a bend spoils short.
POINTS = 8
ROWS_AT_ONCE = 2**14  # of one pass


class Attribution(NamedTuple):
    """How far each step pushed a score.

    Attributes
    ----------
    pushes : ndarray of shape (T,), float64
        Of each step, in the unit of the score; positive for it.
    score : float
        F(x), of the sequence.
    baseline_score : float
        F(x'), of the baseline.
    steps : int
        Points of the path at which the gradient was taken.
    """

    pushes: Array
    score: float
    baseline_score: float
    steps: int

    @property
    def error(self) -> float:
        """What the pushes add up to beyond F(x) - F(x'); zero would be complete."""
        return float(self.pushes.sum()) - (self.score - self.baseline_score)


def gradient_times_input(f: ScoreFunction, x: Array, baseline: Array) -> Attribution:
    """Multiply the gradient of a score by what sets the input apart from a baseline.

    Parameters
    ----------
    f : callable
        The score function.
    x, baseline : ndarrays of shape (T, D)
        The inputs, and those that stand for "nothing was said".

    Returns
    -------
    Attribution
        The first term of the Taylor series at x, of one gradient; complete for a linear score only.
    """
    scores, gradients = f(np.stack([baseline, x]))
    pushes: Array = np.sum((x - baseline) * gradients[1], axis=1, dtype=np.float64)
    return Attribution(pushes, float(scores[1]), float(scores[0]), 1)


def integrated_gradients(
    f: ScoreFunction, x: Array, baseline: Array, *, steps: int = 16, tolerance: float = 0.01, most_steps: int = 1024
) -> Attribution:
    """Integrate the gradient of a score on the straight path from a baseline to the input.

    Sundararajan, Taly and Yan 2017, equation 1: the push of step t is the sum over d of
    ``(x - x')[t, d] * integral from 0 to 1 of dF(x' + a (x - x')) / dx[t, d] da``. All pushes add up to F(x) - F(x')
    (their proposition 1), and what a piece of the path adds is the difference of the scores at its ends, so that each
    piece says how well its integral is known. It is taken at the points of Gauss and Legendre, and the pieces that are
    off are halved until no more is missing than allowed.

    Parameters
    ----------
    f : callable
        The score function.
    x, baseline : ndarrays of shape (T, D)
        The inputs, and those that stand for "nothing was said".
    steps : int
        Points of the path to begin with, rounded up to a multiple of ``POINTS``.
    tolerance : float
        The errors of all pieces together, without their signs, that are good enough; in the unit of the score.
    most_steps : int
        Points at which to stop all the same.

    Returns
    -------
    Attribution
        With the error that is left.
    """
    pieces = -(-steps // POINTS)
    lows, width = np.arange(pieces) / pieces, np.full(pieces, 1 / pieces)
    pushes, errors, ends = _integrate(f, x, baseline, lows, width)
    while True:
        off = errors > tolerance * width
        enough = errors.sum() <= tolerance or not off.any()  # the latter also where an error is not a number
        if enough or (len(lows) + np.count_nonzero(off)) * POINTS > most_steps:
            return Attribution(pushes.sum(axis=0), ends[1], ends[0], len(lows) * POINTS)
        half = width[off] / 2
        new_lows, new_width = np.concatenate([lows[off], lows[off] + half]), np.concatenate([half, half])
        new_pushes, new_errors, _ = _integrate(f, x, baseline, new_lows, new_width)
        lows, width = np.concatenate([lows[~off], new_lows]), np.concatenate([width[~off], new_width])
        pushes, errors = np.concatenate([pushes[~off], new_pushes]), np.concatenate([errors[~off], new_errors])


def _integrate(
    f: ScoreFunction, x: Array, baseline: Array, lows: Array, width: Array
) -> tuple[Array, Array, tuple[float, float]]:
    """Integrate P pieces of the path.

    Returns the pushes of each piece (P, T), by how much their sum is off (P,), and the scores at the lowest and the
    highest end of all.
    """
    nodes, shares = np.polynomial.legendre.leggauss(POINTS)  # on [-1, 1]; the shares add up to 2
    places = np.concatenate([(nodes + 1) / 2, [0, 1]])  # the points, and both ends for their scores
    alphas = (lows[:, None] + width[:, None] * places).reshape(-1)
    delta = x - baseline
    slopes, scores = np.empty((len(alphas), len(x))), np.empty(len(alphas))
    at_once = max(1, ROWS_AT_ONCE // len(x))
    for start in range(0, len(alphas), at_once):
        some = slice(start, start + at_once)
        scores[some], gradients = f(baseline + alphas[some, None, None].astype(x.dtype) * delta)
        slopes[some] = np.sum(gradients * delta, axis=2, dtype=np.float64)
    by_piece = slopes.reshape(len(lows), len(places), len(x))[:, :POINTS]
    pushes: Array = np.tensordot(by_piece, shares / 2, axes=(1, 0)) * width[:, None]
    low, high = scores.reshape(len(lows), len(places))[:, POINTS:].T
    errors = np.abs(pushes.sum(axis=1) - (high - low))
    return pushes, errors, (float(low[lows.argmin()]), float(high[lows.argmax()]))


def log_odds(scores: Array, label: int) -> tuple[Array, Array]:
    """Return the log-odds of a class against all others, and their gradient.

    Parameters
    ----------
    scores : ndarray of shape (N, C)
        Whose softmax is the probabilities p.
    label : int
        The class k.

    Returns
    -------
    odds : ndarray of shape (N,)
        ``log(p_k / (1 - p_k))``, which of two classes is the difference of their scores.
    dscores : ndarray of shape (N, C)
        Its gradient by the scores.
    """
    others = np.delete(scores, label, axis=1)
    top = others.max(axis=1)
    odds = scores[:, label] - top - np.log(np.sum(np.exp(others - top[:, None]), axis=1))
    dscores = np.insert(-np.exp(log_softmax(others)), label, 1, axis=1)
    return odds, dscores


def rank_correlation(a: Array, b: Array) -> float | None:
    """Compute Spearman's rank correlation.

    Parameters
    ----------
    a, b : ndarrays of shape (n,)
        Two answers to the same questions.

    Returns
    -------
    float or None
        From -1 to 1; None where one of them is the same throughout, or there are fewer than two.
    """
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(a: Array) -> Array:
    """Return the rank of each value, equal values having the mean of theirs."""
    _, inverse, counts = np.unique(a, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Array = last - (counts - 1) / 2
    return means[inverse]
