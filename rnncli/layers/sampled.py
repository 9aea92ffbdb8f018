"""A softmax over many classes of which each step scores some: those that come in it, and others that are drawn.

With scores s the loss of a row whose true class is y is log Z - s_y, and Z, the sum of exp s over all V classes, is
what costs. Of the classes that do not come in the step, K are drawn, class c with the probability q_c, and

    Z' = sum over those that come of exp s_c  +  sum over those drawn of exp(s_c - log q_c)

is Z on average, whatever the step: a class that is drawn stands for the 1 / q_c that it might have been. (Bengio and
Senecal 2008, "Adaptive importance sampling to accelerate training of a neural probabilistic language model"; that the
classes of a step are scored for all its rows is from Jean et al. 2015, "On using very large target vocabulary for
neural machine translation", section 3.) As log is concave, log Z' is on average a little below log Z.
"""

from typing import NamedTuple

import numpy as np

from rnncli.layers.output import OutputLoss, affine_softmax_loss
from rnncli.packing import Array, IntArray


class Candidates(NamedTuple):
    """The classes that a step scores.

    Attributes
    ----------
    classes : ndarray of int, shape (C,)
        Rising.
    shift : ndarray of shape (C,)
        What is added to the score of each: 0 of those that come, -log q of those drawn.
    """

    classes: IntArray
    shift: Array


def draw_classes(present: IntArray, weights: Array, count: int, rng: np.random.Generator) -> Candidates:
    """Draw some of the classes that do not come in a step.

    Parameters
    ----------
    present : ndarray of int
        The distinct classes that come.
    weights : ndarray of shape (V,)
        What the probability of being drawn is in proportion to, positive; no class is drawn twice, so where that would
        be more than 1 it is 1.
    count : int
        How many to draw; of fewer that are left all are taken.
    rng : numpy.random.Generator
        One number of it is used.

    Returns
    -------
    Candidates
        Those that come and those drawn.
    """
    others = np.delete(np.arange(len(weights)), present)
    start = rng.random()
    chance: Array = np.ones(len(others))
    if count < len(others):
        # Systematic sampling (Madow 1949): the classes lie side by side, each as wide as it is probable, and what is
        # met at equal distances is drawn. It gives just so many, and since classes that are about as frequent lie
        # together, of the frequent and of the rare about as many as there should be.
        chance = _capped(np.asarray(weights[others], np.float64), count)
        met = np.searchsorted(np.cumsum(chance), start + np.arange(count), side="right")
        drawn = np.unique(np.minimum(met, len(others) - 1))
        others, chance = others[drawn], chance[drawn]
    classes = np.concatenate([present, others])
    shift = np.concatenate([np.zeros(len(present)), -np.log(chance)])
    order = np.argsort(classes)
    return Candidates(classes[order], shift[order])


def sampled_softmax_loss(
    x: Array, w: Array, b: Array, y: IntArray, candidates: Candidates, count: int | None = None
) -> OutputLoss:
    """Compute the softmax cross-entropy of x w + b over some of the classes, and its gradients.

    Parameters
    ----------
    x : ndarray of shape (R, D)
        Inputs.
    w, b : ndarrays of shape (D, V), (V,)
        Weights; w may be a transposed view.
    y : ndarray of int, shape (R,)
        The true class, among the candidates.
    candidates : Candidates
        The C classes that are scored; with all V and no shift this is :func:`rnncli.layers.output.affine_softmax_loss`.
    count : int, optional
        What the sum over the rows is divided by; R when not given.

    Returns
    -------
    OutputLoss
        Loss and gradients; ``dw`` (D, C) and ``db`` (C,) are of its ``classes``. The hits are by the scores without the
        shift, as what a class stands for does not make it likelier.
    """
    classes, shift = candidates
    # Rows of the transpose are next to each other where w is such a view.
    own = w[:, classes] if w.flags.c_contiguous else np.ascontiguousarray(w.T[classes]).T
    found = affine_softmax_loss(x, own, b[classes], np.searchsorted(classes, y), count, shift=shift.astype(b.dtype))
    return found._replace(classes=classes)


def _capped(weights: Array, total: float) -> Array:
    """Return probabilities in proportion to weights, but none above 1, that add up to a total."""
    chance = np.asarray(weights * (total / weights.sum()))
    sure = np.zeros(len(weights), bool)
    while (chance > 1).any():
        sure |= chance > 1
        chance[sure] = 1
        chance[~sure] = weights[~sure] * ((total - np.count_nonzero(sure)) / weights[~sure].sum())
    return chance
