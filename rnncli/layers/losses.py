"""Losses with their gradients: stable at any logit, weighted by class or by step, the truth smoothed if asked.

With a smoothing of e the true class is taken for a mixture: itself with 1 - e, and any of the C classes, itself among
them, with e / C each (Szegedy et al. 2016, section 7).
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnncli.layers.activations import log_softmax, sigmoid
from rnncli.packing import Array


def softmax_loss(
    x: Array, y: NDArray[np.integer], *, weights: Array | None = None, smoothing: float = 0.0
) -> tuple[float, Array]:
    """Compute the softmax cross-entropy and its gradient.

    Parameters
    ----------
    x : ndarray of shape (N, C)
        Scores of each class.
    y : ndarray of int, shape (N,)
        The true class, in [0, C).
    weights : ndarray of shape (N,), optional
        What each row counts; the loss is the weighted mean. All 1 when not given.
    smoothing : float
        In [0, 1); the weight of a row is that of its whole smoothed loss.

    Returns
    -------
    loss : float
        In nats.
    dx : ndarray of shape (N, C)
        Gradient of the scores.
    """
    share = _shares(len(y), weights, x.dtype)
    log_p = log_softmax(x)
    picked = np.arange(len(y)), y
    rows = log_p[picked]
    if smoothing:
        rows = (1 - smoothing) * rows + smoothing * log_p.mean(axis=1)
    loss = -np.sum(rows * share)
    dx = np.exp(log_p)
    dx[picked] -= 1 - smoothing
    if smoothing:
        dx -= smoothing / x.shape[1]
    return float(loss), dx * share[:, None]


def binary_loss(
    x: Array, y: NDArray[np.integer], *, weights: Array | None = None, smoothing: float = 0.0
) -> tuple[float, Array]:
    """Compute the binary cross-entropy of one logit and its gradient.

    Parameters
    ----------
    x : ndarray of shape (N, 1)
        Logits of class 1.
    y : ndarray of int, shape (N,)
        The true class, 0 or 1.
    weights : ndarray of shape (N,), optional
        What each row counts; the loss is the weighted mean. All 1 when not given.
    smoothing : float
        In [0, 1); as in :func:`softmax_loss` of the two classes.

    Returns
    -------
    loss : float
        In nats.
    dx : ndarray of shape (N, 1)
        Gradient of the logits.
    """
    share = _shares(len(y), weights, x.dtype)
    z, y_float = x[:, 0], y.astype(x.dtype)
    if smoothing:
        y_float = (1 - smoothing) * y_float + smoothing / 2
    # log(1 + exp(z)) - y z, with the exponent never positive
    rows = np.maximum(z, 0) - z * y_float + np.log1p(np.exp(-np.abs(z)))
    return float(np.sum(rows * share)), ((sigmoid(z) - y_float) * share)[:, None]


def masked_softmax_loss(
    x: Array,
    y: NDArray[np.integer],
    mask: NDArray[np.bool_],
    count: int | None = None,
    *,
    smoothing: float = 0.0,
) -> tuple[float, Array]:
    """Compute the softmax cross-entropy of the rows that count, and its gradient.

    Parameters
    ----------
    x : ndarray of shape (R, C)
        Scores of each class.
    y : ndarray of int, shape (R,)
        The true class, in [0, C) where the mask is true.
    mask : ndarray of bool, shape (R,)
        Which rows count.
    count : int, optional
        What the sum over these rows is divided by; their number when not given.
    smoothing : float
        As in :func:`softmax_loss`.

    Returns
    -------
    loss : float
        In nats; 0 where no row counts.
    dx : ndarray of shape (R, C)
        Gradient of the scores, zero in the other rows.
    """
    rows = np.flatnonzero(mask)
    dx = np.zeros_like(x)
    if not len(rows):
        return 0.0, dx
    mean, dmean = softmax_loss(x[rows], y[rows], smoothing=smoothing)
    scale = len(rows) / (count or len(rows))
    dx[rows] = dmean * np.asarray(scale, x.dtype)
    return mean * scale, dx


def temporal_softmax_loss(
    x: Array,
    y: NDArray[np.integer],
    mask: NDArray[np.generic],
    *,
    average: Literal["batch", "tokens"] = "batch",
    smoothing: float = 0.0,
) -> tuple[float, Array]:
    """Compute the softmax cross-entropy of every step and its gradient.

    Parameters
    ----------
    x : ndarray of shape (N, T, V)
        Scores of each token.
    y : ndarray of int, shape (N, T)
        The true token, in [0, V).
    mask : ndarray of bool, shape (N, T)
        Which steps count.
    average : {"batch", "tokens"}
        Divide the sum over the unmasked steps by N, or by their number.
    smoothing : float
        As in :func:`softmax_loss`.

    Returns
    -------
    loss : float
        In nats.
    dx : ndarray of shape (N, T, V)
        Gradient of the scores, zero where masked.
    """
    N, T, V = x.shape
    flat = np.asarray(mask, bool).reshape(N * T)
    count = N if average == "batch" else None
    loss, dx = masked_softmax_loss(x.reshape(N * T, V), y.reshape(N * T), flat, count, smoothing=smoothing)
    return loss, dx.reshape(N, T, V)


def _shares(N: int, weights: Array | None, dtype: np.dtype[np.floating]) -> Array:
    """Return what each row contributes to the mean; adds up to 1."""
    w = np.ones(N, dtype) if weights is None else weights.astype(dtype)
    return np.asarray(w / w.sum())
