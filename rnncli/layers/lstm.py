"""The LSTM (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000).

With the four gates side by side in the columns of Wx, Wh and b, in the order i, f, o, g::

    a = x Wx + h Wh + b                                   (N, 4H)
    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)    input, forget and output gate
    g = tanh(a_g)                                         candidate
    c' = f * c + i * g
    h' = o * tanh(c')
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rnncli.layers.gates import HALF, ONE, cut_columns, multiply, split_gates
from rnncli.layers.recurrent import Cell
from rnncli.layers.sequence import sequence_backward, sequence_forward
from rnncli.packing import Array


def _prepare(Wh_scaled: Array, N: int) -> Array:
    return cut_columns(Wh_scaled, 4, N)


def _step(Wh: Array, x: Array, h: Array, c: Array, gates: Array, next_c: Array, next_h: Array, tmp: Array) -> None:
    """Do one step: x (4, n, H) projected input; h, c (n, H) states; gates (4, n, H), next_c and next_h (n, H) out."""
    multiply(h, Wh, out=gates)
    np.add(gates, x, out=gates)
    np.tanh(gates, out=gates)
    i_f_o = gates[:3]
    np.multiply(i_f_o, HALF, out=i_f_o)
    np.add(i_f_o, HALF, out=i_f_o)
    i, f, o, g = gates
    np.multiply(f, c, out=next_c)
    np.multiply(i, g, out=tmp)
    np.add(next_c, tmp, out=next_c)
    np.tanh(next_c, out=tmp)
    np.multiply(o, tmp, out=next_h)


def _prepare_backward(Wh: Array, N: int) -> Array:
    return cut_columns(Wh.T, 1, N)


def _step_backward(
    WhT: Array,
    dh: Array,
    dc: Array,
    next_h: Array,
    gates: Array,
    next_c: Array,
    da: Array,
    dextra: Array,
    dprev_h: Array,
    scratch: Array,
    tmp: Array,
    mask: Array | None,
) -> None:
    """Undo one step: da (n, 4H) and dprev_h (n, H) out; dc becomes dprev_c in place; da may lie over the gates."""
    i, f, o, g = gates
    left, right = scratch
    # dc += dh * o * (1 - tanh(c')^2), where o * tanh(c') is h'
    np.tanh(next_c, out=tmp)
    np.multiply(next_h, tmp, out=tmp)
    np.subtract(o, tmp, out=tmp)
    np.multiply(dh, tmp, out=tmp)
    np.add(dc, tmp, out=dc)
    # da_i = dc ig (1 - i), da_f = dc fc (1 - f), da_o = dh h' (1 - o), da_g = (i - ig g) dc; here fc is c' - ig
    np.multiply(i, g, out=left[0])
    np.subtract(next_c, left[0], out=left[1])
    np.multiply(dh, next_h, out=left[2])
    np.multiply(left[0], g, out=left[3])
    np.subtract(i, left[3], out=left[3])
    np.multiply(dc, left[:2], out=left[:2])
    np.subtract(ONE, gates[:3], out=right[:3])
    right[3] = dc
    np.multiply(dc, f, out=dc)
    np.multiply(left, right, out=split_gates(da, 4))
    multiply(da, WhT, out=dprev_h)
    if mask is not None:
        np.multiply(dprev_h, mask, out=dprev_h)


def _weight_grads(da: Array, prev_h: Array, next_c: Array, dextra: Array) -> tuple[Array, ...]:
    return (prev_h.T @ da,)


LSTM = Cell("lstm", 4, 3, True, _prepare, _step, _prepare_backward, _step_backward, _weight_grads)


def lstm_step_forward(
    x: ArrayLike, prev_h: ArrayLike, prev_c: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike
) -> tuple[Array, Array, Any]:
    """Do one step of an LSTM.

    Parameters
    ----------
    x : array of shape (N, D)
        Input.
    prev_h, prev_c : arrays of shape (N, H)
        Previous hidden and cell state.
    Wx, Wh, b : arrays of shape (D, 4H), (H, 4H), (4H,)
        Weights, gates in the order i, f, o, g.

    Returns
    -------
    next_h, next_c : ndarrays of shape (N, H)
        The states after the step.
    cache
        For :func:`lstm_step_backward`.
    """
    h, _, next_c, cache = sequence_forward(LSTM, np.asarray(x)[:, None], prev_h, (Wx, Wh, b), c0=prev_c)
    assert next_c is not None
    return h[:, 0], next_c, cache


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Any) -> tuple[Array, Array, Array, Array, Array, Array]:
    """Back-propagate through one step of an LSTM.

    Parameters
    ----------
    dnext_h, dnext_c : ndarrays of shape (N, H)
        Gradients of the states after the step.
    cache
        From :func:`lstm_step_forward`.

    Returns
    -------
    dx : ndarray of shape (N, D)
        Gradient of the input.
    dprev_h, dprev_c : ndarrays of shape (N, H)
        Gradients of the previous states.
    dWx, dWh, db : ndarrays of shape (D, 4H), (H, 4H), (4H,)
        Gradients of the weights.
    """
    dx, dprev_h, dprev_c, dWx, dWh, db, _ = sequence_backward(dnext_h[:, None], cache, dfinal_c=dnext_c)
    return dx[:, 0], dprev_h, dprev_c, dWx, dWh, db


def lstm_forward(
    x: ArrayLike,
    h0: ArrayLike,
    Wx: ArrayLike,
    Wh: ArrayLike,
    b: ArrayLike,
    *,
    c0: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Any]:
    """Run an LSTM over sequences.

    Parameters
    ----------
    x : array of shape (N, T, D)
        Inputs.
    h0 : array of shape (N, H)
        Initial hidden states.
    Wx, Wh, b : arrays of shape (D, 4H), (H, 4H), (4H,)
        Weights, gates in the order i, f, o, g.
    c0 : array of shape (N, H), optional
        Initial cell states, zero when not given.
    lengths : array of int, shape (N,), optional
        Real steps of each sequence, T when not given.
    reverse : bool
        Run from the last real step to the first.

    Returns
    -------
    h : ndarray of shape (N, T, H)
        The hidden state after each step, zero beyond each length.
    cache
        For :func:`lstm_backward`.
    """
    h, _, _, cache = sequence_forward(LSTM, x, h0, (Wx, Wh, b), c0=c0, lengths=lengths, reverse=reverse)
    return h, (cache, c0 is not None)


def lstm_backward(dh: Array, cache: Any) -> tuple[Array, ...]:
    """Back-propagate through an LSTM.

    Parameters
    ----------
    dh : ndarray of shape (N, T, H)
        Gradient of every hidden state.
    cache
        From :func:`lstm_forward`.

    Returns
    -------
    dx : ndarray of shape (N, T, D)
        Gradient of the inputs, zero beyond each length.
    dh0 : ndarray of shape (N, H)
        Gradient of the initial hidden states.
    dWx, dWh, db : ndarrays of shape (D, 4H), (H, 4H), (4H,)
        Gradients of the weights.
    dc0 : ndarray of shape (N, H)
        Gradient of the initial cell states; only when ``c0`` was given.
    """
    inner, c0_given = cache
    dx, dh0, dc0, dWx, dWh, db, _ = sequence_backward(dh, inner)
    return (dx, dh0, dWx, dWh, db, dc0) if c0_given else (dx, dh0, dWx, dWh, db)
