"""How sure a figure is, and whether two models differ by more than chance: the bootstrap, McNemar's test, Holm's rule.

A figure here is a ratio of sums over units that are drawn independently of each other: right texts by texts; right
words by words, or twice the entities found by those there and those predicted, over sentences; bits by characters, over
blocks of lines. Letters: U units, R runs, B draws.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 10_000
LEVEL = 0.95
_TOGETHER = 5_000_000  # numbers of the drawn counts that are held at once

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """What a figure would be in 95 of 100 samples like this one, roughly.

    Parameters
    ----------
    low, high : float
        Its ends.
    """

    low: float
    high: float


class McNemar(NamedTuple):
    """How often only one of two models is right, and how likely a split that uneven is if they are equally good.

    Parameters
    ----------
    first_only, second_only : int
        Units that only the one got right.
    p : float
        Two-sided, exact.
    """

    first_only: int
    second_only: int
    p: float


def bootstrap(counted: ArrayLike, sizes: ArrayLike, *, draws: int = DRAWS, seed: int = 1) -> Floats:
    """Draw samples of the units with replacement and return each run's figure in each (Efron, 1979).

    All runs see the same samples, so that differences of rows are those of paired samples. Units that are alike are
    drawn together, as multinomial counts, which is the same distribution.

    Parameters
    ----------
    counted : array-like of shape (R, U)
        What adds up above the line: of a text 1 if it was predicted rightly, of a sentence its right words.
    sizes : array-like of shape (R, U)
        What adds up below it: 1 of a text, of a sentence its words.
    draws : int
        B.
    seed : int
        Decides the samples.

    Returns
    -------
    ndarray of shape (R, B)
        Sums of ``counted`` by sums of ``sizes``; 0 where there is nothing to divide by.

    Raises
    ------
    ValueError
        If the shapes differ or there are no units.
    """
    above, below = np.atleast_2d(np.asarray(counted, float)), np.atleast_2d(np.asarray(sizes, float))
    if above.shape != below.shape or not above.size:
        raise ValueError(f"need as many sizes as counts, at least one, got {below.shape} and {above.shape}")
    runs, units = above.shape
    kinds, times = np.unique(np.concatenate([above, below]), axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    found = []
    while draws:
        now = max(1, min(draws, _TOGETHER // len(times)))
        drawn = rng.multinomial(units, times / units, size=now).astype(float)  # (now, kinds)
        sums = kinds @ drawn.T  # (2 R, now)
        found.append(np.divide(sums[:runs], sums[runs:], out=np.zeros((runs, now)), where=sums[runs:] > 0))
        draws -= now
    return np.concatenate(found, axis=1)


def percentiles(samples: ArrayLike, level: float = LEVEL) -> Interval:
    """Return the percentile interval of drawn figures (Efron, 1981).

    Parameters
    ----------
    samples : array-like of shape (B,)
        A row of :func:`bootstrap`, or the difference of two.
    level : float
        The share of the samples within.

    Returns
    -------
    Interval
        As much of them is left out below it as above it.
    """
    low, high = np.quantile(np.asarray(samples), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def chance_of_difference(differences: ArrayLike) -> float:
    """Return how likely a difference at least this far from zero is if there is none, by its drawn values.

    Parameters
    ----------
    differences : array-like of shape (B,)
        The difference of two rows of :func:`bootstrap`.

    Returns
    -------
    float
        Two-sided: twice the share of the draws on the smaller side of zero, the difference as it was observed counted
        among them (Davison and Hinkley, 1997, section 4.2), so that it is never 0.
    """
    drawn = np.asarray(differences)
    smaller = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (drawn.size + 1))


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Test whether two models are right equally often (McNemar, 1947), by the exact binomial distribution.

    Parameters
    ----------
    first, second : array-like of bool, shape (U,)
        Whether each was right about each unit.

    Returns
    -------
    McNemar
        Counts of the units on which they differ, and the probability of counts at least as uneven when each of these
        units falls to either model with probability 1/2. 1 where they never differ.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    one, other = np.asarray(first, bool), np.asarray(second, bool)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"need answers to the same units, got {one.shape} and {other.shape}")
    a, b = int((one & ~other).sum()), int((other & ~one).sum())
    return McNemar(a, b, min(1.0, 2 * _binomial_tail(min(a, b), a + b)))


def _binomial_tail(most: int, n: int) -> float:
    """Return the probability of at most so many heads in n throws of a coin."""
    constant = math.lgamma(n + 1) - n * math.log(2)
    return math.fsum(math.exp(constant - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(most + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of several tests for their number (Holm, 1979).

    Parameters
    ----------
    p_values : sequence of float
        Of each test.

    Returns
    -------
    list of float
        In the same order. Calling those below 0.05 differences is wrong about any of them in at most 5 of 100 cases.
    """
    corrected = [0.0] * len(p_values)
    worst = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = worst
    return corrected
