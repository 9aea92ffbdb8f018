"""The gated recurrent unit, in its two forms.

With the three gates side by side in the columns of Wx, Wh and b, in the order r, z, n::

    r, z = sigmoid(x Wx + h Wh + b)                       reset and update gate
    n = tanh(x Wxn + (r * h) Whn + bn)                    reset="before" the product (Cho et al. 2014)
    n = tanh(x Wxn + bn + r * (h Whn + bhn))              reset="after" it (cuDNN, PyTorch, Keras)
    h' = (1 - z) * n + z * h

"before" is the published cell; "after" needs one recurrent product a step instead of two and has a bias of its own,
bhn, within the reset product. The two coincide where Whn is diagonal and bhn is zero.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from rnncli.layers.gates import HALF, ONE, cut_columns, multiply, split_gates
from rnncli.layers.recurrent import Cell
from rnncli.layers.sequence import sequence_backward, sequence_forward
from rnncli.packing import Array

Reset = Literal["before", "after"]


def _prepare_before(Wh_scaled: Array, N: int) -> tuple[Array, Array]:
    H = len(Wh_scaled)
    return cut_columns(Wh_scaled[:, : 2 * H], 2, N), cut_columns(Wh_scaled[:, 2 * H :], 1, N)


def _prepare_after(Wh_scaled: Array, N: int, bhn: Array) -> tuple[Array, Array]:
    return cut_columns(Wh_scaled, 3, N), bhn


def _sigmoid_in_place(a: Array) -> None:
    """Turn a = x / 2 into sigmoid(x)."""
    np.tanh(a, out=a)
    np.multiply(a, HALF, out=a)
    np.add(a, HALF, out=a)


def _mix(h: Array, z: Array, n: Array, next_h: Array, tmp: Array) -> None:
    """Compute h' = n + z (h - n)."""
    np.subtract(h, n, out=tmp)
    np.multiply(z, tmp, out=tmp)
    np.add(n, tmp, out=next_h)


def _step_before(
    weights: tuple[Array, Array],
    x: Array,
    h: Array,
    c: Array | None,
    gates: Array,
    rh: Array,
    next_h: Array,
    tmp: Array,
) -> None:
    """Do one step: x (3, n, H) projected input; h (n, H) state; gates (3, n, H), rh and next_h (n, H) out.

    Where h is masked for the products, c is the state itself.
    """
    Wh_rz, Wh_n = weights
    r, z, n = gates
    r_z = gates[:2]
    multiply(h, Wh_rz, out=r_z)
    np.add(r_z, x[:2], out=r_z)
    _sigmoid_in_place(r_z)
    np.multiply(r, h, out=rh)
    multiply(rh, Wh_n, out=n)
    np.add(n, x[2], out=n)
    np.tanh(n, out=n)
    _mix(h if c is None else c, z, n, next_h, tmp)


def _step_after(
    weights: tuple[Array, Array], x: Array, h: Array, c: Array | None, gates: Array, q: Array, next_h: Array, tmp: Array
) -> None:
    """Do one step; besides the gates, q = h Whn + bhn is kept."""
    Wh, bhn = weights
    r, z, n = gates
    r_z = gates[:2]
    multiply(h, Wh, out=gates)
    np.add(n, bhn, out=q)
    np.add(r_z, x[:2], out=r_z)
    _sigmoid_in_place(r_z)
    np.multiply(r, q, out=n)
    np.add(n, x[2], out=n)
    np.tanh(n, out=n)
    _mix(h if c is None else c, z, n, next_h, tmp)


def _prepare_backward(Wh: Array, N: int, *more: Array) -> tuple[Array, Array]:
    H = len(Wh)
    return cut_columns(Wh[:, : 2 * H].T, 1, N), cut_columns(Wh[:, 2 * H :].T, 1, N)


def _update_and_candidate(dh: Array, next_h: Array, gates: Array, dgates: Array, slope: Array) -> None:
    """Fill slope[:2] (n, H) with 1 - r and 1 - z, dgates[1:] with the gradients of z and n before their activation."""
    n = gates[2]
    _, dz, dn = dgates
    np.subtract(ONE, gates[:2], out=slope[:2])
    # dz = dh (h - n) z (1 - z), where z (h - n) is h' - n
    np.subtract(next_h, n, out=dz)
    np.multiply(dh, dz, out=dz)
    np.multiply(dz, slope[1], out=dz)
    # dn = dh (1 - z) (1 - n^2)
    np.multiply(n, n, out=dn)
    np.subtract(ONE, dn, out=dn)
    np.multiply(dn, slope[1], out=dn)
    np.multiply(dn, dh, out=dn)


def _step_backward_before(
    weights: tuple[Array, Array],
    dh: Array,
    dc: Array,
    next_h: Array,
    gates: Array,
    rh: Array,
    da: Array,
    dextra: Array,
    dprev_h: Array,
    scratch: Array,
    tmp: Array,
    mask: Array | None,
) -> None:
    """Undo one step: da (n, 3H) and dprev_h (n, H) out; dh is used up; da may lie over the gates."""
    WhT_rz, WhT_n = weights
    H = dh.shape[1]
    r, z, _ = gates
    dgates, slope = scratch
    dr, _, dn = dgates
    _update_and_candidate(dh, next_h, gates, dgates, slope)
    drh = tmp
    multiply(dn, WhT_n, out=drh)
    # dr = drh h r (1 - r)
    np.multiply(drh, rh, out=dr)
    np.multiply(dr, slope[0], out=dr)
    # dprev_h = dh z + drh r + [dr, dz] Wh_rz^T
    np.multiply(drh, r, out=drh)
    if mask is not None:
        np.multiply(drh, mask, out=drh)
    np.multiply(dh, z, out=dh)
    np.add(drh, dh, out=dh)
    split_gates(da, 3)[...] = dgates
    multiply(da[:, : 2 * H], WhT_rz, out=dprev_h)
    if mask is not None:
        np.multiply(dprev_h, mask, out=dprev_h)
    np.add(dprev_h, dh, out=dprev_h)


def _step_backward_after(
    weights: tuple[Array, Array],
    dh: Array,
    dc: Array,
    next_h: Array,
    gates: Array,
    q: Array,
    da: Array,
    dq: Array,
    dprev_h: Array,
    scratch: Array,
    tmp: Array,
    mask: Array | None,
) -> None:
    """Undo one step of the other form: n's recurrent part is r * q, so q's gradient is dn * r; dq may lie over q."""
    WhT_rz, WhT_n = weights
    H = dh.shape[1]
    r, z, _ = gates
    dgates, slope = scratch
    dr, _, dn = dgates
    _update_and_candidate(dh, next_h, gates, dgates, slope)
    # dr = dn q r (1 - r)
    np.multiply(slope[0], q, out=dr)
    np.multiply(dn, r, out=dq)
    np.multiply(dr, dq, out=dr)
    # dprev_h = dh z + dq Whn^T + [dr, dz] Wh_rz^T
    np.multiply(dh, z, out=dh)
    multiply(dq, WhT_n, out=tmp)
    if mask is not None:
        np.multiply(tmp, mask, out=tmp)
    np.add(dh, tmp, out=dh)
    split_gates(da, 3)[...] = dgates
    multiply(da[:, : 2 * H], WhT_rz, out=dprev_h)
    if mask is not None:
        np.multiply(dprev_h, mask, out=dprev_h)
    np.add(dprev_h, dh, out=dprev_h)


def _weight_grads_before(da: Array, prev_h: Array, rh: Array, dextra: Array) -> tuple[Array, ...]:
    H = prev_h.shape[1]
    dWh = np.empty((H, 3 * H), da.dtype)
    np.matmul(prev_h.T, da[:, : 2 * H], out=dWh[:, : 2 * H])
    np.matmul(rh.T, da[:, 2 * H :], out=dWh[:, 2 * H :])
    return (dWh,)


def _weight_grads_after(da: Array, prev_h: Array, q: Array, dq: Array) -> tuple[Array, ...]:
    H = prev_h.shape[1]
    dWh = np.empty((H, 3 * H), da.dtype)
    np.matmul(prev_h.T, da[:, : 2 * H], out=dWh[:, : 2 * H])
    np.matmul(prev_h.T, dq, out=dWh[:, 2 * H :])
    return dWh, dq.sum(axis=0)


GRU = Cell(
    "gru", 3, 2, False, _prepare_before, _step_before, _prepare_backward, _step_backward_before, _weight_grads_before
)
GRU_RESET_AFTER = Cell(
    "gru", 3, 2, False, _prepare_after, _step_after, _prepare_backward, _step_backward_after, _weight_grads_after
)


def _cell_and_weights(
    reset: Reset, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, bhn: ArrayLike | None
) -> tuple[Cell, tuple[ArrayLike, ...]]:
    if reset == "after":
        zeros = np.zeros(np.shape(Wh)[0], np.asarray(Wh).dtype)
        return GRU_RESET_AFTER, (Wx, Wh, b, zeros if bhn is None else bhn)
    if reset != "before" or bhn is not None:
        raise ValueError(f'reset must be "before" or "after", and bhn goes with "after" alone; reset is {reset!r}')
    return GRU, (Wx, Wh, b)


def gru_step_forward(
    x: ArrayLike,
    prev_h: ArrayLike,
    Wx: ArrayLike,
    Wh: ArrayLike,
    b: ArrayLike,
    *,
    reset: Reset = "before",
    bhn: ArrayLike | None = None,
) -> tuple[Array, Any]:
    """Do one step of a GRU.

    Parameters
    ----------
    x : array of shape (N, D)
        Input.
    prev_h : array of shape (N, H)
        Previous state.
    Wx, Wh, b : arrays of shape (D, 3H), (H, 3H), (3H,)
        Weights, gates in the order r, z, n.
    reset : {"before", "after"}
        Whether the reset gate acts before or after the recurrent product.
    bhn : array of shape (H,), optional
        With ``reset="after"``, the bias within the reset product.

    Returns
    -------
    next_h : ndarray of shape (N, H)
        The state after the step.
    cache
        For :func:`gru_step_backward`.
    """
    cell, weights = _cell_and_weights(reset, Wx, Wh, b, bhn)
    h, _, _, cache = sequence_forward(cell, np.asarray(x)[:, None], prev_h, weights)
    return h[:, 0], (cache, bhn is not None)


def gru_step_backward(dnext_h: Array, cache: Any) -> tuple[Array, ...]:
    """Back-propagate through one step of a GRU.

    Parameters
    ----------
    dnext_h : ndarray of shape (N, H)
        Gradient of the state after the step.
    cache
        From :func:`gru_step_forward`.

    Returns
    -------
    dx : ndarray of shape (N, D)
        Gradient of the input.
    dprev_h : ndarray of shape (N, H)
        Gradient of the previous state.
    dWx, dWh, db : ndarrays of shape (D, 3H), (H, 3H), (3H,)
        Gradients of the weights.
    dbhn : ndarray of shape (H,)
        Only when ``bhn`` was given.
    """
    dx, *grads = gru_backward(dnext_h[:, None], cache)
    return dx[:, 0], *grads


def gru_forward(
    x: ArrayLike,
    h0: ArrayLike,
    Wx: ArrayLike,
    Wh: ArrayLike,
    b: ArrayLike,
    *,
    reset: Reset = "before",
    bhn: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Any]:
    """Run a GRU over sequences.

    Parameters
    ----------
    x : array of shape (N, T, D)
        Inputs.
    h0 : array of shape (N, H)
        Initial states.
    Wx, Wh, b : arrays of shape (D, 3H), (H, 3H), (3H,)
        Weights, gates in the order r, z, n.
    reset : {"before", "after"}
        Whether the reset gate acts before or after the recurrent product.
    bhn : array of shape (H,), optional
        With ``reset="after"``, the bias within the reset product.
    lengths : array of int, shape (N,), optional
        Real steps of each sequence, T when not given.
    reverse : bool
        Run from the last real step to the first.

    Returns
    -------
    h : ndarray of shape (N, T, H)
        The state after each step, zero beyond each length.
    cache
        For :func:`gru_backward`.
    """
    cell, weights = _cell_and_weights(reset, Wx, Wh, b, bhn)
    h, _, _, cache = sequence_forward(cell, x, h0, weights, lengths=lengths, reverse=reverse)
    return h, (cache, bhn is not None)


def gru_backward(dh: Array, cache: Any) -> tuple[Array, ...]:
    """Back-propagate through a GRU.

    Parameters
    ----------
    dh : ndarray of shape (N, T, H)
        Gradient of every state.
    cache
        From :func:`gru_forward`.

    Returns
    -------
    dx : ndarray of shape (N, T, D)
        Gradient of the inputs, zero beyond each length.
    dh0 : ndarray of shape (N, H)
        Gradient of the initial states.
    dWx, dWh, db : ndarrays of shape (D, 3H), (H, 3H), (3H,)
        Gradients of the weights.
    dbhn : ndarray of shape (H,)
        Only when ``bhn`` was given.
    """
    inner, bhn_given = cache
    dx, dh0, _, dWx, dWh, db, dmore = sequence_backward(dh, inner)
    return (dx, dh0, dWx, dWh, db, *dmore) if bhn_given else (dx, dh0, dWx, dWh, db)
