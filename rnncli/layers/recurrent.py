"""One loop over time for every cell, on packed rows (see :mod:`rnncli.packing`).

A cell is a pair of functions for one step plus three small facts (:class:`Cell`); the loop owns everything else:
the states, the ragged ends, the direction, what is kept for the backward pass. Both the (N, T, D) functions of
``rnn.py``, ``lstm.py`` and ``gru.py`` and the models run this code.

Where the speed comes from:

* finished sequences have no rows, so the products shrink with the batch (no padding);
* the input is projected before the loop, each distinct token once, and its weights' gradient is one product after;
* within a step every gate is contiguous in memory, ``gates[k]`` of shape (n, H), and all gates pass through one tanh:
  sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, the halves folded into the weights (exact, since 0.5 is a power of two).

Letters: n sequences alive at a step, R packed rows, U input rows, G gates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.packing import Array, Grouping, Packing, sum_by_group


@dataclass(frozen=True)
class Cell:
    """What the loop needs to know about a cell.

    Attributes
    ----------
    name : str
        As in a config.
    gates : int
        G; Wx is (D, G*H), Wh (H, G*H), b (G*H,).
    sigmoid_gates : int
        The first so many gates are sigmoids, the rest tanh.
    has_cell_state : bool
        Whether a second state c goes along with h.
    prepare : callable
        ``prepare(Wh_scaled, *more_weights)`` -> what ``step`` takes first; once a batch.
    step : callable
        One step, see ``lstm.py`` for the fullest example.
    prepare_backward : callable
        ``prepare_backward(Wh, *more_weights)`` -> what ``step_backward`` takes first; once a batch.
    step_backward : callable
        The gradient of one step.
    weight_grads : callable
        ``weight_grads(da, prev_h, gates, extra)`` -> dWh and the gradients of the further weights, over all rows.
    """

    name: str
    gates: int
    sigmoid_gates: int
    has_cell_state: bool
    prepare: Callable[..., Any]
    step: Callable[..., None]
    prepare_backward: Callable[..., Any]
    step_backward: Callable[..., None]
    weight_grads: Callable[..., tuple[Array, ...]]


@dataclass
class Cache:
    """What :func:`recurrent_backward` needs from :func:`recurrent_forward`."""

    cell: Cell
    x: Array
    groups: Grouping | None
    packing: Packing
    reverse: bool
    weights: tuple[Array, ...]  # Wx, Wh, and the cell's own further weights
    prev_h: Array  # (R, H)
    prev_c: Array | None  # (R, H)
    gates: Array  # (G, R, H)
    extra: Array  # (R, H)


def gate_scale(cell: Cell, H: int, dtype: np.dtype[Any]) -> Array:
    """Return the factor of each gate's columns, shape (G*H,): 0.5 for sigmoids, 1 for tanh."""
    scale = np.ones(cell.gates * H, dtype)
    scale[: cell.sigmoid_gates * H] = 0.5
    return scale


def split_gates(a: Array, gates: int) -> Array:
    """View rows of G*H as (G, n, H)."""
    n, GH = a.shape
    return a.reshape(n, gates, GH // gates).transpose(1, 0, 2)


def recurrent_forward(
    cell: Cell,
    x: Array,
    packing: Packing,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    *more_weights: Array,
    groups: Grouping | None = None,
    c0: Array | None = None,
    reverse: bool = False,
    keep: bool = True,
    out: Array | None = None,
) -> tuple[Array, Array, Array | None, Cache | None]:
    """Run a cell over packed sequences.

    Parameters
    ----------
    cell : Cell
        One of ``CELLS``.
    x : ndarray of shape (R, D), or (U, D) with ``groups``
        The input of each packed row; with ``groups``, of each distinct token (row r reads ``x[groups.index[r]]``).
    packing : Packing
        Which row is which step.
    h0 : ndarray of shape (N, H)
        Initial states, in packed order.
    Wx, Wh, b : ndarrays of shape (D, G*H), (H, G*H), (G*H,)
        Weights.
    *more_weights : ndarrays
        Weights that only this cell has.
    groups : Grouping, optional
        Rows grouped by token.
    c0 : ndarray of shape (N, H), optional
        Initial cell states, in packed order; zero when not given.
    reverse : bool
        Run from each sequence's last step to its first.
    keep : bool
        Keep what the backward pass needs; off when scoring.
    out : ndarray of shape (R, H), optional
        Where to write the result (one half of a bidirectional layer's rows).

    Returns
    -------
    h : ndarray of shape (R, H)
        The state after each step.
    final_h : ndarray of shape (N, H)
        The state after each sequence's last step, in packed order.
    final_c : ndarray of shape (N, H) or None
        Likewise the cell state.
    cache : Cache or None
        None unless ``keep``.
    """
    N, H = h0.shape
    G, R, dtype = cell.gates, packing.rows, x.dtype
    scale = gate_scale(cell, H, dtype)
    projected = x @ (Wx * scale)
    projected += b * scale
    prepared = cell.prepare(Wh * scale, *more_weights)

    M = R if keep else N  # rows of the arrays that only the backward pass reads
    h = np.empty((R, H), dtype) if out is None else out
    gates = np.empty((G, M, H), dtype)
    extra = np.empty((M, H), dtype)
    prev_h = np.empty((M if keep else 0, H), dtype)
    prev_c = np.empty((M if keep and cell.has_cell_state else 0, H), dtype)
    state = h0.astype(dtype)  # a copy: row j always holds the newest state of sequence j
    cell_state = np.zeros((N, H), dtype) if c0 is None else c0.astype(dtype)
    looked_up = np.empty((N, G * H), dtype)
    scratch = np.empty((N, G * H), dtype), np.empty((N, H), dtype)

    for start, end in packing.steps(reverse=reverse):
        n = end - start
        kept = slice(start, end) if keep else slice(0, n)
        if groups is None:
            x_t = projected[start:end]
        else:
            x_t = looked_up[:n]
            np.take(projected, groups.index[start:end], axis=0, out=x_t, mode="clip")
        state_t, cell_t, h_t = state[:n], cell_state[:n], h[start:end]
        if keep:
            prev_h[kept] = state_t
            if cell.has_cell_state:
                prev_c[kept] = cell_t
        cell.step(prepared, x_t, state_t, cell_t, gates[:, kept], extra[kept], h_t, scratch[0][:n], scratch[1][:n])
        state_t[...] = h_t

    final_c = cell_state if cell.has_cell_state else None
    if not keep:
        return h, state, final_c, None
    weights = (Wx, Wh, *more_weights)
    kept_c = prev_c if cell.has_cell_state else None
    return h, state, final_c, Cache(cell, x, groups, packing, reverse, weights, prev_h, kept_c, gates, extra)


def recurrent_backward(
    dh: Array,
    cache: Cache,
    *,
    dfinal_h: Array | None = None,
    dfinal_c: Array | None = None,
) -> tuple[Array, Array, Array, Array, Array, Array, tuple[Array, ...]]:
    """Back-propagate through :func:`recurrent_forward`.

    Parameters
    ----------
    dh : ndarray of shape (R, H)
        Gradient of the state after each step; not changed.
    cache : Cache
        From the forward pass; not changed.
    dfinal_h, dfinal_c : ndarray of shape (N, H), optional
        Gradients of the final states, where they are used besides ``h``.

    Returns
    -------
    dx : ndarray of the shape of x
        With groups, the sum over each distinct token's rows.
    dh0, dc0 : ndarrays of shape (N, H)
        Gradients of the initial states; dc0 is zero for a cell without a cell state.
    dWx, dWh, db : ndarrays
        Gradients of the weights.
    dmore : tuple of ndarrays
        Gradients of the cell's own further weights.
    """
    cell, packing = cache.cell, cache.packing
    Wx, Wh, *more_weights = cache.weights
    N, H = len(packing.order), Wh.shape[0]
    G, R, dtype = cell.gates, packing.rows, cache.x.dtype
    prepared = cell.prepare_backward(Wh, *more_weights)
    da = np.empty((R, G * H), dtype)  # gradient of every gate before its activation
    # Row j holds what has flowed back into sequence j so far: before a sequence's last step is reached, the gradient
    # of its final state; after its first, the gradient of its initial state.
    dstate = np.zeros((N, H), dtype) if dfinal_h is None else dfinal_h.astype(dtype)
    dcell = np.zeros((N, H), dtype) if dfinal_c is None else dfinal_c.astype(dtype)
    dh_step = np.empty((N, H), dtype)
    scratch = np.empty(2 * G * N * H, dtype), np.empty((N, H), dtype)

    for start, end in packing.steps(reverse=not cache.reverse):
        n = end - start
        dh_t, dstate_t = dh_step[:n], dstate[:n]
        np.add(dh[start:end], dstate_t, out=dh_t)
        cell.step_backward(
            prepared,
            dh_t,
            dcell[:n],
            cache.prev_h[start:end],
            None if cache.prev_c is None else cache.prev_c[start:end],
            cache.gates[:, start:end],
            cache.extra[start:end],
            da[start:end],
            dstate_t,
            scratch[0][: 2 * G * n * H].reshape(2, G, n, H),
            scratch[1][:n],
        )

    dWh, *dmore = cell.weight_grads(da, cache.prev_h, cache.gates, cache.extra)
    dprojected = da if cache.groups is None else sum_by_group(da, cache.groups)
    dWx, db = cache.x.T @ dprojected, dprojected.sum(axis=0)
    return dprojected @ Wx.T, dstate, dcell, dWx, dWh, db, tuple(dmore)
