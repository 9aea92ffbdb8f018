"""The cells as a textbook writes them: one vector at a time, in loops, sharing nothing with rnncli.

They run in float64, and in complex128 for :func:`complex_step_gradients`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray


def logistic(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def rnn_step(x: Array, h: Array, Wx: Array, Wh: Array, b: Array) -> Array:
    return np.tanh(x @ Wx + h @ Wh + b)


def lstm_step(x: Array, h: Array, c: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Array]:
    Wxi, Wxf, Wxo, Wxg = np.split(Wx, 4, axis=1)
    Whi, Whf, Who, Whg = np.split(Wh, 4, axis=1)
    bi, bf, bo, bg = np.split(b, 4)
    i = logistic(x @ Wxi + h @ Whi + bi)
    f = logistic(x @ Wxf + h @ Whf + bf)
    o = logistic(x @ Wxo + h @ Who + bo)
    g = np.tanh(x @ Wxg + h @ Whg + bg)
    c = f * c + i * g
    return o * np.tanh(c), c


def gru_step(x: Array, h: Array, Wx: Array, Wh: Array, b: Array, bhn: Array | None, reset: str) -> Array:
    Wxr, Wxz, Wxn = np.split(Wx, 3, axis=1)
    Whr, Whz, Whn = np.split(Wh, 3, axis=1)
    br, bz, bn = np.split(b, 3)
    r = logistic(x @ Wxr + h @ Whr + br)
    z = logistic(x @ Wxz + h @ Whz + bz)
    if reset == "before":
        n = np.tanh(x @ Wxn + (r * h) @ Whn + bn)
    else:
        n = np.tanh(x @ Wxn + bn + r * (h @ Whn + (0 if bhn is None else bhn)))
    return (1 - z) * n + z * h


def _walk(x: Array, lengths: Any, reverse: bool) -> Iterator[tuple[int, list[int]]]:
    """Yield each sequence with the times of its real steps, in the order they are made."""
    for n in range(len(x)):
        times = list(range(x.shape[1] if lengths is None else lengths[n]))
        yield n, times[::-1] if reverse else times


def _blank(x: Array, h0: Array, *weights: Array) -> Array:
    return np.zeros((*x.shape[:2], h0.shape[1]), np.result_type(x, h0, *weights))


def rnn(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, *, lengths: Any = None, reverse: bool = False) -> Array:
    out = _blank(x, h0, Wx, Wh, b)
    for n, times in _walk(x, lengths, reverse):
        h = h0[n]
        for t in times:
            out[n, t] = h = rnn_step(x[n, t], h, Wx, Wh, b)
    return out


def lstm(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    c0: Array | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> Array:
    c0 = np.zeros_like(h0) if c0 is None else c0
    out = _blank(x, h0, Wx, Wh, b, c0)
    for n, times in _walk(x, lengths, reverse):
        h, c = h0[n], c0[n]
        for t in times:
            h, c = lstm_step(x[n, t], h, c, Wx, Wh, b)
            out[n, t] = h
    return out


def gru(
    x: Array,
    h0: Array,
    Wx: Array,
    Wh: Array,
    b: Array,
    bhn: Array | None = None,
    *,
    reset: str,
    lengths: Any = None,
    reverse: bool = False,
) -> Array:
    out = _blank(x, h0, Wx, Wh, b, *([] if bhn is None else [bhn]))
    for n, times in _walk(x, lengths, reverse):
        h = h0[n]
        for t in times:
            out[n, t] = h = gru_step(x[n, t], h, Wx, Wh, b, bhn, reset)
    return out


def complex_step_gradients(function: Callable[..., Array], inputs: tuple[Array, ...], dout: Array) -> list[Array]:
    """Differentiate sum(function(*inputs) * dout) by every entry of every input.

    f(a + ih) = f(a) + ih f'(a) for an analytic f, and with h = 1e-30 nothing is subtracted: the gradient is exact to
    the last few bits, where a finite difference has half of them.
    """
    grads = []
    for k, a in enumerate(inputs):
        grad = np.zeros(a.shape)
        for entry in np.ndindex(a.shape):
            moved = a.astype(np.complex128)
            moved[entry] += 1e-30j
            out = function(*inputs[:k], moved, *inputs[k + 1 :])
            grad[entry] = np.sum(np.asarray(out).imag * dout) / 1e-30
        grads.append(grad)
    return grads
