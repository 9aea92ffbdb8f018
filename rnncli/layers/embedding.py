"""Word embeddings: a table of one row a token."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncli.packing import Array, group_rows, sum_by_group


def word_embedding_forward(x: NDArray[np.integer], W: Array) -> tuple[Array, Any]:
    """Look up the row of each token.

    Parameters
    ----------
    x : ndarray of int, shape (N, T)
        Token ids, each in [0, V).
    W : ndarray of shape (V, D)
        One row a token.

    Returns
    -------
    out : ndarray of shape (N, T, D)
        The rows.
    cache
        For :func:`word_embedding_backward`.
    """
    return W[x], (x, W.shape)


def word_embedding_backward(dout: Array, cache: Any) -> Array:
    """Add up the gradients of each token's row.

    Parameters
    ----------
    dout : ndarray of shape (N, T, D)
        Gradient of the looked-up rows.
    cache
        From :func:`word_embedding_forward`.

    Returns
    -------
    dW : ndarray of shape (V, D)
        Zero in the rows of tokens that do not occur.
    """
    x, shape = cache
    dW = np.zeros(shape, dout.dtype)
    groups = group_rows(x.reshape(-1))
    dW[groups.values] = sum_by_group(dout.reshape(-1, shape[1]), groups)
    return dW
