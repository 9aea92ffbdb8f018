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

from rnncli.layers.recurrent import Cell, split_gates
from rnncli.layers.sequence import sequence_backward, sequence_forward
from rnncli.packing import Array


def _prepare(Wh_scaled: Array) -> Array:
    return Wh_scaled


def _step(
    Wh: Array, x: Array, h: Array, c: Array, gates: Array, tanh_c: Array, next_h: Array, a: Array, tmp: Array
) -> None:
    """Do one step: x (n, 4H) projected input; h, c (n, H) states, c is moved on in place; gates (4, n, H) out."""
    np.matmul(h, Wh, out=a)
    np.add(split_gates(x, 4), split_gates(a, 4), out=gates)
    np.tanh(gates, out=gates)
    i_f_o = gates[:3]
    np.multiply(i_f_o, 0.5, out=i_f_o)
    np.add(i_f_o, 0.5, out=i_f_o)
    i, f, o, g = gates
    np.multiply(f, c, out=c)
    np.multiply(i, g, out=tmp)
    np.add(c, tmp, out=c)
    np.tanh(c, out=tanh_c)
    np.multiply(o, tanh_c, out=next_h)


def _prepare_backward(Wh: Array) -> Array:
    return np.ascontiguousarray(Wh.T)


def _step_backward(
    WhT: Array,
    dh: Array,
    dc: Array,
    h: Array,
    c: Array,
    gates: Array,
    tanh_c: Array,
    da: Array,
    dprev_h: Array,
    scratch: Array,
    tmp: Array,
) -> None:
    """Undo one step: da (n, 4H) and dprev_h (n, H) out; dc becomes dprev_c in place; dh is used up."""
    i, f, o, g = gates
    dgates, slope = scratch
    di, df, do, dg = dgates
    np.multiply(dh, tanh_c, out=do)
    # dc += dh * o * (1 - tanh(c)^2)
    np.multiply(tanh_c, tanh_c, out=tmp)
    np.subtract(1, tmp, out=tmp)
    np.multiply(dh, o, out=dh)
    np.multiply(tmp, dh, out=tmp)
    np.add(dc, tmp, out=dc)
    np.multiply(dc, g, out=di)
    np.multiply(dc, c, out=df)
    np.multiply(dc, i, out=dg)
    # Slopes of the activations: s (1 - s) = s - s^2 for the sigmoids, 1 - g^2 for the tanh.
    np.multiply(gates, gates, out=slope)
    np.subtract(gates[:3], slope[:3], out=slope[:3])
    np.subtract(1, slope[3], out=slope[3])
    np.multiply(dgates, slope, out=split_gates(da, 4))
    np.multiply(dc, f, out=dc)
    np.matmul(da, WhT, out=dprev_h)


def _weight_grads(da: Array, prev_h: Array, gates: Array, extra: Array) -> tuple[Array, ...]:
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
