"""From the states of all real steps to one vector a sequence, on packed rows (see :mod:`rnncli.packing`).

All take h of shape (R, H) and give (N, H) in packed order; steps beyond a sequence's length have no row, so they
cannot count.
"""

from typing import Any

import numpy as np

from rnncli.packing import Array, Packing


def last_pooling_forward(h: Array, packing: Packing, *, reverse: bool = False) -> tuple[Array, Any]:
    """Take the state after the last step that the layer made.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    packing : Packing
        The layout.
    reverse : bool
        For a layer that ran against time: the state at the first step.

    Returns
    -------
    out : ndarray of shape (N, H)
        One state a sequence.
    cache
        For :func:`last_pooling_backward`.
    """
    rows = np.arange(len(packing.order)) if reverse else packing.last_rows
    return h[rows], (rows, h.shape)


def last_pooling_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`last_pooling_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, H)
        Gradient of the pooled states.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H)
        Gradient of every state.
    """
    rows, shape = cache
    dh = np.zeros(shape, dout.dtype)
    dh[rows] = dout
    return dh


def mean_pooling_forward(h: Array, packing: Packing) -> tuple[Array, Any]:
    """Average the states over the real steps.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    packing : Packing
        The layout.

    Returns
    -------
    out : ndarray of shape (N, H)
        One mean a sequence.
    cache
        For :func:`mean_pooling_backward`.
    """
    out = np.zeros((len(packing.order), h.shape[1]), h.dtype)
    for start, end in packing.steps():
        out[: end - start] += h[start:end]
    out /= packing.lengths[:, None].astype(h.dtype)
    return out, packing


def mean_pooling_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`mean_pooling_forward`.

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
    """
    packing: Packing = cache
    share = dout / packing.lengths[:, None].astype(dout.dtype)
    return np.take(share, packing.sequences, axis=0)


def max_pooling_forward(h: Array, packing: Packing) -> tuple[Array, Any]:
    """Take the largest value of each unit over the real steps.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    packing : Packing
        The layout.

    Returns
    -------
    out : ndarray of shape (N, H)
        One maximum a sequence and unit; of equal ones the first counts.
    cache
        For :func:`max_pooling_backward`.
    """
    N = len(packing.order)
    out = h[:N].copy()  # the rows of step 0
    row = np.repeat(np.arange(N)[:, None], h.shape[1], axis=1)  # where each maximum was found
    for start, end in packing.steps():
        n = end - start
        larger = h[start:end] > out[:n]
        np.copyto(out[:n], h[start:end], where=larger)
        np.copyto(row[:n], np.arange(start, end)[:, None], where=larger)
    return out, (row, h.shape)


def max_pooling_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`max_pooling_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, H)
        Gradient of the maxima.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H)
        Gradient of every state.
    """
    row, shape = cache
    dh = np.zeros(shape, dout.dtype)
    dh[row, np.arange(shape[1])] = dout
    return dh
