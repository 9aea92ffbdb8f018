"""Element-wise functions that are stable at any magnitude."""

import numpy as np

from rnncli.packing import Array


def sigmoid(x: Array) -> Array:
    """Compute 1 / (1 + exp(-x)) without overflow and with full relative precision.

    The gates of the LSTM and the GRU use the identity sigmoid(x) = tanh(x / 2) / 2 + 1 / 2 instead, which is faster
    and differs by rounding alone.

    Parameters
    ----------
    x : ndarray of any shape
        Logits.

    Returns
    -------
    ndarray of the shape of x
        Values in [0, 1].
    """
    x = np.asarray(x)
    z = np.exp(-np.abs(x))  # in (0, 1]: never overflows
    return np.asarray(np.where(x >= 0, 1, z) / (1 + z))


def softmax(x: Array) -> Array:
    """Compute exp(x) / sum(exp(x)) over the last axis without overflow.

    Parameters
    ----------
    x : ndarray of shape (..., V)
        Scores.

    Returns
    -------
    ndarray of shape (..., V)
        Probabilities that add up to 1 over the last axis.
    """
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def log_softmax(x: Array) -> Array:
    """Compute log(softmax(x)) over the last axis without overflow or log of zero.

    Parameters
    ----------
    x : ndarray of shape (..., V)
        Scores.

    Returns
    -------
    ndarray of shape (..., V)
        Log-probabilities, all at most 0.
    """
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))
