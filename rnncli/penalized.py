"""The penalties of the last layer's states, weighted and added up, for batches that may be parts of larger ones."""

from typing import Any, NamedTuple

import numpy as np

from rnncli.layers.penalties import (
    activation_penalty_backward,
    activation_penalty_forward,
    slowness_penalty_backward,
    slowness_penalty_forward,
)
from rnncli.packing import Array, Packing


class Penalties(NamedTuple):
    """What the penalties of :mod:`rnncli.layers.penalties` count in the loss; 0 for nothing.

    Attributes
    ----------
    activation, slowness : float
        alpha and beta of Merity et al. 2017.
    """

    activation: float = 0.0
    slowness: float = 0.0


NO_PENALTIES = Penalties()


def penalize(h: Array, packing: Packing, weights: Penalties, rows: int, sequences: int) -> tuple[float, Any]:
    """Compute what states add to the loss of a batch.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States, of the batch or of a part of it.
    packing : Packing
        Their layout.
    weights : Penalties
        What each penalty counts.
    rows, sequences : int
        Of the whole batch, over which the means are taken, so that the penalties of its parts add up to its own.

    Returns
    -------
    value : float
        In the unit of the loss.
    cache
        For :func:`penalize_backward`; None where nothing counts.
    """
    found = []
    if weights.activation:
        out, cache = activation_penalty_forward(h, rows=rows)
        found.append((weights.activation, out, activation_penalty_backward, cache))
    if weights.slowness:
        out, cache = slowness_penalty_forward(h, packing, changes=rows - sequences)
        found.append((weights.slowness, out, slowness_penalty_backward, cache))
    return sum(weight * float(out) for weight, out, *_ in found), found or None


def penalize_backward(cache: Any) -> Array | None:
    """Back-propagate through :func:`penalize`, whose value counts as it is.

    Parameters
    ----------
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H), or None
        Gradient of every state; None where nothing counts.
    """
    dh: Array | None = None
    for weight, _, backward, own in cache or ():
        more = backward(np.asarray(weight), own)
        dh = more if dh is None else np.add(dh, more, out=dh)
    return dh
