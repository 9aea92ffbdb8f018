"""A weighted mean over the steps of a sequence whose weights are learned, on packed rows (see :mod:`rnncli.packing`).

The score of a step is the product of its state with one vector, and the weights of a sequence are the softmax of its
scores: the attention of Felbo et al. 2017 (DeepMoji), the simplest that there is.
"""

from typing import Any

import numpy as np

from rnncli.packing import Array, IntArray, Packing


def attention_pooling_forward(h: Array, w: Array, packing: Packing) -> tuple[Array, Any]:
    """Average the states over the real steps, weighted by how each scores.

    With a vector w that is learned (Felbo et al. 2017)::

        e_t = h_t w        a_t = exp(e_t) / sum over s of exp(e_s)        out = sum over t of a_t h_t

    A vector of zeros, which w is at first, makes this the mean.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    w : ndarray of shape (H,)
        What a state is multiplied with to give its score.
    packing : Packing
        The layout.

    Returns
    -------
    out : ndarray of shape (N, H)
        One weighted mean a sequence.
    cache
        For :func:`attention_pooling_backward`.
    """
    weights = attention_weights(h, w, packing)
    weighted = weights[:, None] * h
    out = weighted[: len(packing.order)].copy()  # the rows of step 0
    for start, end in list(packing.steps())[1:]:
        out[: end - start] += weighted[start:end]
    return out, (h, w, weights, packing)


def attention_pooling_backward(dout: Array, cache: Any) -> tuple[Array, Array]:
    """Back-propagate through :func:`attention_pooling_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, H)
        Gradient of the means.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H)
        Gradient of every state.
    dw : ndarray of shape (H,)
        Gradient of the vector.
    """
    h, w, weights, packing = cache
    sequences = packing.sequences
    dh = np.take(dout, sequences, axis=0)
    dweights = np.einsum("rh,rh->r", dh, h)
    # The softmax: a score moves its own step's weight up and those of the others down.
    dscores = weights * (dweights - _sums(weights * dweights, sequences)[sequences])
    dw = dscores @ h
    dh *= weights[:, None]
    dh += dscores[:, None] * w
    return dh, dw


def attention_weights(h: Array, w: Array, packing: Packing) -> Array:
    """Return how much each step counts in :func:`attention_pooling_forward`.

    Parameters
    ----------
    h, w, packing
        As there.

    Returns
    -------
    ndarray of shape (R,)
        At least 0; those of a sequence add up to 1.
    """
    scores, sequences = h @ w, packing.sequences
    largest = scores[: len(packing.order)].copy()
    for start, end in packing.steps():
        np.maximum(largest[: end - start], scores[start:end], out=largest[: end - start])
    raised = np.exp(scores - largest[sequences])
    weights: Array = raised / _sums(raised, sequences)[sequences]
    return weights


def _sums(x: Array, sequences: IntArray) -> Array:
    """Add up the numbers (R,) of each sequence."""
    return np.bincount(sequences, x).astype(x.dtype)
