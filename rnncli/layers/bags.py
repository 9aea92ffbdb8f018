"""Sums of rows of a table that the features of a sequence point at: a linear model over sparse features."""

from typing import Any

import numpy as np

from rnncli.packing import Array, IntArray


def bag_forward(rows: IntArray, sequences: IntArray, N: int, values: Array | None, W: Array) -> tuple[Array, Any]:
    """Add up rows of a table for each sequence.

    Parameters
    ----------
    rows : ndarray of int, shape (F,)
        Rows of W, over all sequences.
    sequences : ndarray of int, shape (F,)
        Which sequence has each, in [0, N).
    N : int
        How many sequences there are; one may have no feature.
    values : ndarray of shape (F, K) or None
        What each row is multiplied by; 1 when not given.
    W : ndarray of shape (U, K)
        The table.

    Returns
    -------
    out : ndarray of shape (N, K)
        The sums, added up in float64.
    cache
        For :func:`bag_backward`.
    """
    terms = W[rows] if values is None else W[rows] * values
    columns = [np.bincount(sequences, column, N) for column in terms.T]
    return np.stack(columns, axis=1).astype(W.dtype), (rows, sequences, values, W.shape)


def bag_backward(dout: Array, cache: Any) -> Array:
    """Back-propagate through :func:`bag_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, K)
        Gradient of the sums.
    cache
        From the forward pass.

    Returns
    -------
    dW : ndarray of shape (U, K)
        Zero in the rows that no feature points at; :func:`bag_backward_rows` has the others alone.
    """
    dW = np.zeros(cache[3], dout.dtype)
    rows, values = bag_backward_rows(dout, cache)
    dW[rows] = values
    return dW


def bag_backward_rows(dout: Array, cache: Any) -> tuple[IntArray, Array]:
    """Return the rows of a table that occur, rising, (U',), and their gradients (U', K)."""
    rows, sequences, values, _ = cache
    distinct, places = np.unique(rows, return_inverse=True)
    terms = dout[sequences] if values is None else dout[sequences] * values
    columns = [np.bincount(places, column, len(distinct)) for column in terms.T]
    return distinct, np.stack(columns, axis=1).astype(dout.dtype)
