"""The recurrent loop for dense (N, T, D) arrays in batch order, and for a single step.

These wrappers only pack, call :mod:`rnncli.layers.recurrent` and unpack: there is one implementation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnncli.layers.recurrent import Cache, Cell, recurrent_backward, recurrent_forward
from rnncli.packing import Array, make_packing, pack, unpack


@dataclass
class SequenceCache:
    """What :func:`sequence_backward` needs from :func:`sequence_forward`."""

    inner: Cache
    T: int


def sequence_forward(
    cell: Cell,
    x: ArrayLike,
    h0: ArrayLike,
    weights: tuple[ArrayLike, ...],
    *,
    c0: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Array, Array | None, SequenceCache]:
    """Run a cell over a dense batch.

    Parameters
    ----------
    cell : Cell
        The cell.
    x : array of shape (N, T, D)
        Inputs.
    h0 : array of shape (N, H)
        Initial states.
    weights : tuple of arrays
        Wx, Wh, b and the cell's own further weights.
    c0 : array of shape (N, H), optional
        Initial cell states.
    lengths : array of int, shape (N,), optional
        Real steps of each sequence; T for all when not given.
    reverse : bool
        Run from the last real step to the first.

    Returns
    -------
    h : ndarray of shape (N, T, H)
        The state after each step, zero beyond each length.
    final_h, final_c : ndarrays of shape (N, H)
        The states after the last step; ``final_c`` is None for a cell without a cell state.
    cache : SequenceCache
        For :func:`sequence_backward`.
    """
    x, h0, *arrays = (np.asarray(array) for array in (x, h0, *weights))
    dtype = np.result_type(x, h0, *arrays, np.float32)
    Wx, Wh, b, *more = (array.astype(dtype, copy=False) for array in arrays)
    N, T, _ = x.shape
    for name, given in (("h0", h0), ("c0", c0), ("lengths", lengths)):
        if given is not None and len(np.asarray(given)) != N:
            raise ValueError(f"{name} is for {len(np.asarray(given))} sequences and x has {N}")
    packing = make_packing(np.full(N, T) if lengths is None else np.asarray(lengths))
    if packing.lengths[0] > T:
        raise ValueError(f"a length of {packing.lengths[0]} exceeds the {T} steps of x")
    order = packing.order
    packed_c0 = None if c0 is None else np.asarray(c0, dtype)[order]
    rows = pack(x, packing).astype(dtype, copy=False)
    packed_h0 = h0.astype(dtype)[order]
    h, final_h, final_c, cache = recurrent_forward(
        cell, rows, packing, packed_h0, Wx, Wh, b, *more, c0=packed_c0, reverse=reverse
    )
    assert cache is not None
    final_c = None if final_c is None else _unsort(final_c, order)
    return unpack(h, packing, T), _unsort(final_h, order), final_c, SequenceCache(cache, T)


def sequence_backward(
    dh: Array, cache: SequenceCache, *, dfinal_c: Array | None = None
) -> tuple[Array, Array, Array, Array, Array, Array, tuple[Array, ...]]:
    """Back-propagate through :func:`sequence_forward`.

    Parameters
    ----------
    dh : ndarray of shape (N, T, H)
        Gradient of every state; what lies beyond a length is not read.
    cache : SequenceCache
        From the forward pass.
    dfinal_c : ndarray of shape (N, H), optional
        Gradient of the final cell states.

    Returns
    -------
    dx : ndarray of shape (N, T, D)
        Zero beyond each length.
    dh0, dc0 : ndarrays of shape (N, H)
        Gradients of the initial states.
    dWx, dWh, db : ndarrays
        Gradients of the weights.
    dmore : tuple of ndarrays
        Gradients of the cell's own further weights.
    """
    packing = cache.inner.packing
    order = packing.order
    packed_dc = None if dfinal_c is None else dfinal_c[order]
    dx, dh0, dc0, dWx, dWh, db, dmore = recurrent_backward(pack(dh, packing), cache.inner, dfinal_c=packed_dc)
    return unpack(dx, packing, cache.T), _unsort(dh0, order), _unsort(dc0, order), dWx, dWh, db, dmore


def _unsort(a: Array, order: NDArray[np.int64]) -> Array:
    out = np.empty_like(a)
    out[order] = a
    return out
