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
    f: ScoreFunction, x: Array, baseline: Array, *, steps: int = 32, tolerance: float = 0.01, most_steps: int = 1024
) -> Attribution:
    """Integrate the gradient of a score on the straight path from a baseline to the input.

    Sundararajan, Taly and Yan 2017, equation 1: the push of step t is the sum over d of
    ``(x - x')[t, d] * integral from 0 to 1 of dF(x' + a (x - x')) / dx[t, d] da``. All pushes add up to F(x) - F(x')
    (their proposition 1), so that the sum says how well the integral is known. Each piece of the path is integrated at
    the points of Gauss and Legendre; the pieces are halved until the error is small.

    Parameters
    ----------
    f : callable
        The score function.
    x, baseline : ndarrays of shape (T, D)
        The inputs, and those that stand for "nothing was said".
    steps : int
        Points of the path to begin with, rounded up to a multiple of ``POINTS``.
    tolerance : float
        The error, in the unit of the score, that is good enough.
    most_steps : int
        Points at which to stop all the same.

    Returns
    -------
    Attribution
        With the error that is left.
    """
    ends, _ = f(np.stack([baseline, x]))
    pieces = -(-steps // POINTS)
    while True:
        pushes = _integrate(f, x, baseline, pieces)
        found = Attribution(pushes, float(ends[1]), float(ends[0]), pieces * POINTS)
        if abs(found.error) <= tolerance or 2 * pieces * POINTS > most_steps:
            return found
        pieces *= 2


def _integrate(f: ScoreFunction, x: Array, baseline: Array, pieces: int) -> Array:
    """Return the integral for each step of the sequence, (T,), with ``POINTS`` points to each piece of the path."""
    nodes, shares = np.polynomial.legendre.leggauss(POINTS)  # on [-1, 1]; the shares add up to 2
    alphas = ((np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces).reshape(-1)
    weights = np.tile(shares / 2 / pieces, pieces)
    delta = x - baseline
    total = np.zeros(x.shape, np.float64)
    at_once = max(1, ROWS_AT_ONCE // len(x))
    for start in range(0, len(alphas), at_once):
        some = slice(start, start + at_once)
        _, gradients = f(baseline + alphas[some, None, None].astype(x.dtype) * delta)
        total += np.tensordot(weights[some], gradients, axes=1)
    pushes: Array = np.sum(total * delta, axis=1)
    return pushes


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
