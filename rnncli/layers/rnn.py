"""The simple recurrent network with a tanh (Elman 1990).

::

    h' = tanh(x Wx + h Wh + b)

The other way to write it, ``tanh([h, x] W + b)`` with W = [Wh; Wx], is the same thing.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rnncli.layers.gates import ONE, cut_columns, multiply
from rnncli.layers.recurrent import Cell
from rnncli.layers.sequence import sequence_backward, sequence_forward
from rnncli.packing import Array


def _prepare(Wh_scaled: Array, N: int) -> Array:
    return cut_columns(Wh_scaled, 1, N)


def _step(Wh: Array, x: Array, h: Array, c: None, gates: Array, extra: Array, next_h: Array, tmp: Array) -> None:
    """Do one step: x (1, n, H) projected input; h (n, H) previous state; next_h (n, H) out; nothing else is kept."""
    multiply(h, Wh, out=next_h)
    np.add(next_h, x[0], out=next_h)
    np.tanh(next_h, out=next_h)


def _prepare_backward(Wh: Array, N: int) -> Array:
    return cut_columns(Wh.T, 1, N)


def _step_backward(
    WhT: Array,
    dh: Array,
    dc: Array,
    next_h: Array,
    gates: Array,
    extra: Array,
    da: Array,
    dextra: Array,
    dprev_h: Array,
    scratch: Array,
    tmp: Array,
    mask: Array | None,
) -> None:
    """Undo one step: da (n, H) and dprev_h (n, H) out."""
    np.multiply(next_h, next_h, out=tmp)
    np.subtract(ONE, tmp, out=tmp)
    np.multiply(dh, tmp, out=da)
    multiply(da, WhT, out=dprev_h)
    if mask is not None:
        np.multiply(dprev_h, mask, out=dprev_h)


def _weight_grads(da: Array, prev_h: Array, extra: Array, dextra: Array) -> tuple[Array, ...]:
    return (prev_h.T @ da,)


RNN = Cell("rnn", 1, 0, False, _prepare, _step, _prepare_backward, _step_backward, _weight_grads)


def rnn_step_forward(x: ArrayLike, prev_h: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike) -> tuple[Array, Any]:
    """Do one step of a simple RNN.

    Parameters
    ----------
    x : array of shape (N, D)
        Input.
    prev_h : array of shape (N, H)
        Previous state.
    Wx, Wh, b : arrays of shape (D, H), (H, H), (H,)
        Weights.

    Returns
    -------
    next_h : ndarray of shape (N, H)
        The state after the step.
    cache
        For :func:`rnn_step_backward`.
    """
    h, _, _, cache = sequence_forward(RNN, np.asarray(x)[:, None], prev_h, (Wx, Wh, b))
    return h[:, 0], cache


def rnn_step_backward(dnext_h: Array, cache: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Back-propagate through one step of a simple RNN.

    Parameters
    ----------
    dnext_h : ndarray of shape (N, H)
        Gradient of the state after the step.
    cache
        From :func:`rnn_step_forward`.

    Returns
    -------
    dx : ndarray of shape (N, D)
        Gradient of the input.
    dprev_h : ndarray of shape (N, H)
        Gradient of the previous state.
    dWx, dWh, db : ndarrays of shape (D, H), (H, H), (H,)
        Gradients of the weights.
    """
    dx, dprev_h, _, dWx, dWh, db, _ = sequence_backward(dnext_h[:, None], cache)
    return dx[:, 0], dprev_h, dWx, dWh, db


def rnn_forward(
    x: ArrayLike,
    h0: ArrayLike,
    Wx: ArrayLike,
    Wh: ArrayLike,
    b: ArrayLike,
    *,
    lengths: ArrayLike | None = None,
    reverse: bool = False,
) -> tuple[Array, Any]:
    """Run a simple RNN over sequences.

    Parameters
    ----------
    x : array of shape (N, T, D)
        Inputs.
    h0 : array of shape (N, H)
        Initial states.
    Wx, Wh, b : arrays of shape (D, H), (H, H), (H,)
        Weights.
    lengths : array of int, shape (N,), optional
        Real steps of each sequence, T when not given.
    reverse : bool
        Run from the last real step to the first.

    Returns
    -------
    h : ndarray of shape (N, T, H)
        The state after each step, zero beyond each length.
    cache
        For :func:`rnn_backward`.
    """
    h, _, _, cache = sequence_forward(RNN, x, h0, (Wx, Wh, b), lengths=lengths, reverse=reverse)
    return h, cache


def rnn_backward(dh: Array, cache: Any) -> tuple[Array, Array, Array, Array, Array]:
    """Back-propagate through a simple RNN.

    Parameters
    ----------
    dh : ndarray of shape (N, T, H)
        Gradient of every state.
    cache
        From :func:`rnn_forward`.

    Returns
    -------
    dx : ndarray of shape (N, T, D)
        Gradient of the inputs, zero beyond each length.
    dh0 : ndarray of shape (N, H)
        Gradient of the initial states.
    dWx, dWh, db : ndarrays of shape (D, H), (H, H), (H,)
        Gradients of the weights.
    """
    dx, dh0, _, dWx, dWh, db, _ = sequence_backward(dh, cache)
    return dx, dh0, dWx, dWh, db
