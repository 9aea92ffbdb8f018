"""One loop over time for every cell, on packed rows (see :mod:`rnncli.packing`).

A cell is a pair of functions for one step plus a few small facts (:class:`Cell`); the loop owns everything else:
the states, the ragged ends, the direction, what is kept for the backward pass. Both the (N, T, D) functions of
``rnn.py``, ``lstm.py`` and ``gru.py`` and the models run this code.

Where the speed comes from:

* finished sequences have no rows, so the products shrink with the batch (no padding);
* the input is projected before the loop, each distinct token once, and its weights' gradient is one product after;
* within a step every gate is contiguous in memory, (G, n, H), from the look-up of the projected input and the recurrent
  product on, and all gates pass through one tanh: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, the halves folded into the
  weights (exact, since 0.5 is a power of two);
* a step's product is cut into pieces for which the BLAS has its fastest code (:mod:`rnncli.layers.gates`);
* little is kept: a step's previous states are rows of the step before, and the gradients of the gates may be written
  over the gates.

Letters: n sequences alive at a step, R packed rows, U input rows, G gates.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from rnncli.layers.gates import split_gates, step_gates
from rnncli.packing import Array, Grouping, Packing, sum_by_group
from rnncli.profiling import stage

# Rows whose projected inputs are made ready at once: enough for a product of full speed, few enough for the cache.
AHEAD_PROJECTED = 1024
AHEAD_LOOKED_UP = 64


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
        ``prepare(Wh_scaled, N, *more_weights)`` -> what ``step`` takes first; once a batch of N sequences.
    step : callable
        One step, see ``lstm.py`` for the fullest example.
    prepare_backward : callable
        ``prepare_backward(Wh, N, *more_weights)`` -> what ``step_backward`` takes first; once a batch.
    step_backward : callable
        The gradient of one step.
    weight_grads : callable
        ``weight_grads(da, prev_h, extra, dextra)`` -> dWh and the gradients of the further weights, over all rows.
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
    h0: Array  # (N, H)
    h: Array  # (R, H), what the caller was given
    gates: Array  # (R, G*H): of each step, its (G, n, H) one after the other
    extra: Array  # (R, H): the cell state after each step, or what else the cell wants to see again
    state_mask: Array | None = None  # (N, H)
    spent: bool = False  # gates and extra are gone
    dh: Array | None = None  # (R, H): where recurrent_backward is to leave the gradient of each state, if at all


def gate_scale(cell: Cell, H: int, dtype: np.dtype[Any]) -> Array:
    """Return the factor of each gate's columns, shape (G*H,): 0.5 for sigmoids, 1 for tanh."""
    scale = np.ones(cell.gates * H, dtype)
    scale[: cell.sigmoid_gates * H] = 0.5
    return scale


def carry(states: Array, initial: Array, n: int, buffer: Array) -> Array:
    """Return the states (n, H) that a step starts from: those of the step run before, then initial ones.

    Forward in time sequences only end, and this is a view; against it sequences begin too, and ``buffer`` is filled.
    """
    m = len(states)
    if m >= n:
        return states[:n]
    buffer[:m] = states
    buffer[m:n] = initial[m:n]
    return buffer[:n]


def states_before(h: Array, h0: Array, packing: Packing, *, reverse: bool) -> Array:
    """Return the state (R, H) that each row's step started from, copied in few long stretches."""
    before = np.empty(h.shape, h.dtype)
    sizes, offsets = packing.sizes, packing.offsets.tolist()
    changes = np.flatnonzero(np.diff(sizes)) + 1
    earlier = 0  # sequences alive in the step before
    for first, last in pairwise([0, *changes.tolist(), len(sizes)]):
        start, end, n = offsets[first], offsets[last], int(sizes[first])
        if reverse:  # row r continues row r + n, the next step's; the last of these steps may have fewer to continue
            m = int(sizes[last]) if last < len(sizes) else 0
            before[start : end - n] = h[start + n : end]
            before[end - n : end - n + m] = h[end : end + m]
            before[end - n + m : end] = h0[m:n]
        else:
            before[start : start + n] = h[start - earlier : start - earlier + n] if first else h0
            before[start + n : end] = h[start : end - n]
            earlier = n
    return before


def rows_ahead(offsets: list[int], start: int, end: int, rows: int, *, reverse: bool) -> tuple[int, int]:
    """Extend the rows of a step by those of whole steps still to be run, up to so many rows in all."""
    if reverse:
        return min(start, offsets[bisect_left(offsets, end - rows)]), end
    return start, max(end, offsets[bisect_right(offsets, start + rows) - 1])


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
    state_mask: Array | None = None,
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
    state_mask : ndarray of shape (N, H), optional
        What h is multiplied with where it is multiplied with Wh, the same at every step: recurrent dropout (Gal and
        Ghahramani 2016). Where a cell carries h on besides, as a GRU does, it does so whole.

    Returns
    -------
    h : ndarray of shape (R, H)
        The state after each step. The cache refers to it: it is not to be changed before the backward pass.
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
    Wx_gates = np.ascontiguousarray(split_gates(Wx * scale, G))  # (G, D, H)
    b_gates = split_gates((b * scale)[None], G)  # (G, 1, H)
    prepared = cell.prepare(Wh * scale, N, *more_weights)
    # Floating-point operations of the products, for --profile.
    projecting, recurrent = 2.0 * x.size * G * H, 2.0 * R * H * G * H
    table = None
    if groups is not None:
        with stage("projection", projecting):
            table = x @ Wx_gates + b_gates  # (G, U, H)
    index = None if groups is None else groups.index

    h0 = h0.astype(dtype)  # copies: the cache is not to depend on what becomes of the caller's
    c0 = np.zeros((N, H), dtype) if c0 is None else c0.astype(dtype)
    M = R if keep else N  # rows of the arrays that only the backward pass reads
    h = np.empty((R, H), dtype) if out is None else out
    gates = np.empty((M, G * H), dtype)
    extra = np.empty((M, H), dtype)
    ahead = min(R, max(N, AHEAD_PROJECTED if groups is None else AHEAD_LOOKED_UP))
    inputs = np.empty(G * ahead * H, dtype)
    tmp, h_buffer, c_buffer = np.empty((3, N, H), dtype)
    masked = tmp if state_mask is None else np.empty((N, H), dtype)

    offsets = packing.offsets.tolist()
    steps = list(packing.steps(reverse=reverse))
    first = steps[0][1] - steps[0][0]
    h_t, c_t = h0[:first], c0[:first]
    low = high = 0  # the rows whose projected inputs are at hand
    with stage("forward", recurrent if table is not None else recurrent + projecting):
        for start, end in steps:
            n = end - start
            if not low <= start < high:
                low, high = rows_ahead(offsets, start, end, ahead, reverse=reverse)
                projected = inputs[: G * (high - low) * H].reshape(G, high - low, H)
                if table is None or index is None:
                    np.matmul(x[low:high], Wx_gates, out=projected)
                    np.add(projected, b_gates, out=projected)
                else:
                    table.take(index[low:high], axis=1, out=projected, mode="clip")
            x_t = projected[:, start - low : end - low]
            kept = slice(start, end) if keep else slice(0, n)
            h_prev = carry(h_t, h0, n, h_buffer)
            c_prev = carry(c_t, c0, n, c_buffer) if cell.has_cell_state else None
            if state_mask is not None:
                c_prev = c_prev if cell.has_cell_state else h_prev
                h_prev = np.multiply(h_prev, state_mask[:n], out=masked[:n])
            h_t, c_t = h[start:end], extra[kept]
            cell.step(prepared, x_t, h_prev, c_prev, step_gates(gates[kept], G), c_t, h_t, tmp[:n])

    final_rows = np.arange(N) if reverse else packing.last_rows
    final_c = None
    if cell.has_cell_state:
        final_c = extra[final_rows] if keep else extra
    if not keep:
        return h, h[final_rows], final_c, None
    weights = (Wx, Wh, *more_weights)
    cache = Cache(cell, x, groups, packing, reverse, weights, h0, h, gates, extra, state_mask)
    return h, h[final_rows], final_c, cache


def recurrent_backward(
    dh: Array,
    cache: Cache,
    *,
    dfinal_h: Array | None = None,
    dfinal_c: Array | None = None,
    spend: bool = False,
) -> tuple[Array, Array, Array, Array, Array, Array, tuple[Array, ...]]:
    """Back-propagate through :func:`recurrent_forward`.

    Parameters
    ----------
    dh : ndarray of shape (R, H)
        Gradient of the state after each step; not changed.
    cache : Cache
        From the forward pass; not changed unless ``spend``.
    dfinal_h, dfinal_c : ndarray of shape (N, H), optional
        Gradients of the final states, where they are used besides ``h``.
    spend : bool
        Write the gradients over what the cache keeps, and let go of it: two thirds of the memory.

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
    if cache.spent:
        raise ValueError("this cache has been spent by an earlier recurrent_backward(..., spend=True)")
    gates, extra = cache.gates, cache.extra
    if spend:
        cache.spent, cache.gates, cache.extra = True, gates[:0].copy(), extra[:0].copy()
    prepared = cell.prepare_backward(Wh, N, *more_weights)
    # Gradient of every gate before its activation: of each row, its G*H.
    da = gates if spend else np.empty((R, G * H), dtype)
    dextra = extra if spend else np.empty((R, H), dtype)
    # Row j holds what has flowed back into sequence j so far: before a sequence's last step is reached, the gradient
    # of its final state; after its first, the gradient of its initial state.
    dstate = np.zeros((N, H), dtype) if dfinal_h is None else dfinal_h.astype(dtype)
    dcell = np.zeros((N, H), dtype) if dfinal_c is None else dfinal_c.astype(dtype)
    dh_step, tmp = np.empty((2, N, H), dtype)
    scratch = np.empty(2 * G * N * H, dtype)

    recurrent = 2.0 * R * H * G * H
    with stage("backward", recurrent):
        alive = 0
        for start, end in packing.steps(reverse=not cache.reverse):
            if end - start != alive:
                alive = end - start
                dh_t, dstate_t, dcell_t, tmp_t = dh_step[:alive], dstate[:alive], dcell[:alive], tmp[:alive]
                scratch_t = scratch[: 2 * G * alive * H].reshape(2, G, alive, H)
            np.add(dh[start:end], dstate_t, out=dh_t)
            if cache.dh is not None:  # with all that follows from the state
                cache.dh[start:end] = dh_t
            cell.step_backward(
                prepared,
                dh_t,
                dcell_t,
                cache.h[start:end],
                step_gates(gates[start:end], G),
                extra[start:end],
                da[start:end],
                dextra[start:end],
                dstate_t,
                scratch_t,
                tmp_t,
                None if cache.state_mask is None else cache.state_mask[:alive],
            )

    with stage("gradients", recurrent + 4.0 * cache.x.size * G * H):
        prev_h = states_before(cache.h, cache.h0, packing, reverse=cache.reverse)
        if cache.state_mask is not None:
            prev_h *= cache.state_mask[packing.sequences]
        dWh, *dmore = cell.weight_grads(da, prev_h, extra, dextra)
        dprojected = da if cache.groups is None else sum_by_group(da, cache.groups)
        dWx, db = cache.x.T @ dprojected, dprojected.sum(axis=0)
        return dprojected @ Wx.T, dstate, dcell, dWx, dWh, db, tuple(dmore)
