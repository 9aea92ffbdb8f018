"""What is added to a loss so that states stay small and change slowly, on packed rows (see :mod:`rnncli.packing`).

Merity, McCann and Socher 2017 ("Revisiting activation regularization for language RNNs"), with means as in their code,
so that a weight means the same for any number of units, steps and sequences::

    activation = mean over all steps of h_t^2        slowness = mean over all steps but the first of (h_t - h_{t-1})^2
"""

from collections.abc import Iterator
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
    first = int(packing.sizes[0])
    change = np.empty((packing.rows - first, h.shape[1]), h.dtype)
    for start, end, back in _stretches(packing):
        np.subtract(h[start:end], h[start - back : end - back], out=change[start - first : end - first])
    count = max(1, (len(change) if changes is None else changes) * h.shape[1])
    return _mean_square(change, count), (change, packing, count)


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
    change, packing, count = cache
    first = int(packing.sizes[0])
    dchange = change * np.asarray(2 * dout / count, change.dtype)
    dh = np.zeros((packing.rows, change.shape[1]), change.dtype)
    dh[first:] = dchange
    for start, end, back in _stretches(packing):
        dh[start - back : end - back] -= dchange[start - first : end - first]
    return dh


def _stretches(packing: Packing) -> Iterator[tuple[int, int, int]]:
    """Yield (first row, row after the last, rows back): where each row goes on from one so many rows above.

    Those of a step go on from the step before, which is as many rows above as it has; so steps after ones of the same
    size are one stretch.
    """
    sizes, offsets = packing.sizes, packing.offsets
    ends = np.flatnonzero(np.diff(sizes[:-1], append=0)) + 2  # after the last step whose step before is of that size
    start = 1
    for end in ends.tolist():
        yield int(offsets[start]), int(offsets[end]), int(sizes[start - 1])
        start = end


def _mean_square(x: Array, count: int) -> Array:
    return np.asarray(np.vdot(x, x) / count, x.dtype)
