"""What is added to a loss so that states stay small and change slowly, on packed rows (see :mod:`rnncli.packing`).

Merity, McCann and Socher 2017 ("Revisiting activation regularization for language RNNs"), with means for their sums, so
that a weight means the same for any number of units, steps and sequences::

    activation = mean over all steps of h_t^2        slowness = mean over all steps but the first of (h_t - h_{t-1})^2
"""

from typing import Any

import numpy as np

from rnncli.packing import Array, Packing


def activation_penalty_forward(h: Array, *, rows: int | None = None) -> tuple[Array, Any]:
    """Compute the mean square of the states.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    rows : int, optional
        Rows to take the mean over, of a batch that these are a part of; R when not given.

    Returns
    -------
    out : ndarray of shape ()
        The penalty, without its weight.
    cache
        For :func:`activation_penalty_backward`.
    """
    count = (len(h) if rows is None else rows) * h.shape[1]
    return _mean_square(h, count), (h, count)


def activation_penalty_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`activation_penalty_forward`.

    Parameters
    ----------
    dout : ndarray of shape ()
        Gradient of the penalty.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H)
        Gradient of every state.
    """
    h, count = cache
    dh: Array = h * np.asarray(2 * dout / count, h.dtype)
    return dh


def slowness_penalty_forward(h: Array, packing: Packing, *, changes: int | None = None) -> tuple[Array, Any]:
    """Compute the mean square of how much a state differs from that of the step before.

    Parameters
    ----------
    h : ndarray of shape (R, H)
        States.
    packing : Packing
        The layout; a sequence of one step has nothing that could differ.
    changes : int, optional
        Differences to take the mean over, of a batch that these are a part of; R - N when not given.

    Returns
    -------
    out : ndarray of shape ()
        The penalty, without its weight; 0 where there is no difference.
    cache
        For :func:`slowness_penalty_backward`.
    """
    sizes = packing.sizes
    # Row r of step t goes on from the row of the same sequence in the step before, which had sizes[t - 1] rows.
    before = np.arange(sizes[0], packing.rows) - np.repeat(sizes[:-1], sizes[1:])
    change = h[sizes[0] :] - h[before]
    count = max(1, (len(change) if changes is None else changes) * h.shape[1])
    return _mean_square(change, count), (change, before, int(sizes[0]), count)


def slowness_penalty_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`slowness_penalty_forward`.

    Parameters
    ----------
    dout : ndarray of shape ()
        Gradient of the penalty.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, H)
        Gradient of every state.
    """
    change, before, first, count = cache
    dchange = change * np.asarray(2 * dout / count, change.dtype)
    dh = np.concatenate([np.zeros((first, change.shape[1]), change.dtype), dchange])
    dh[before] -= dchange  # which names no row twice
    return dh


def _mean_square(x: Array, count: int) -> Array:
    return np.asarray(np.square(x).sum(dtype=np.float64) / count, x.dtype)
