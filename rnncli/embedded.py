"""Tokens as numbers, with dropout: the same for a token wherever it stands, or the same all through a text."""

from typing import Any

import numpy as np

from rnncli.layers.dropping import Places, drop, undrop
from rnncli.packing import Array, Grouping, IntArray, group_rows, sum_by_group


def embed(
    W: Array,
    ids: IntArray,
    rate: float,
    rng: np.random.Generator | None,
    *,
    tokens: IntArray | None = None,
    streams: Places | None = None,
    beside: Array | None = None,
) -> tuple[Array, Grouping | None, Any]:
    """Look up tokens and drop out of what is found.

    Parameters
    ----------
    W : ndarray of shape (V, D)
        The table.
    ids : ndarray of int, shape (R,)
        Tokens.
    rate : float
        Fraction of the numbers to zero.
    rng : numpy.random.Generator or None
        For the masks; None drops nothing.
    tokens : ndarray of int, optional
        The distinct tokens of the batch that these are a part of, rising.
    streams : Places, optional
        The text of each row. With it a mask holds for all of a text (Gal and Ghahramani 2016); without it, for a
        token wherever it stands.
    beside : ndarray of shape (R, E), optional
        Further numbers of each row; nothing of them is dropped here.

    Returns
    -------
    x : ndarray of shape (U, D), or (R, D + E)
        Of each distinct token, as only these need to pass through a layer's weights; or of each row, where the same
        token is not the same input in every text.
    groups : Grouping or None
        Which of the rows of x each token reads; None where that is its own.
    cache
        For :func:`embed_backward`.
    """
    groups = group_rows(ids)
    by_text = streams is not None and rng is not None and rate > 0
    if by_text:
        x, mask = drop(W[ids], rate, rng, streams)
    else:
        places = None if tokens is None else Places(np.searchsorted(tokens, groups.values), len(tokens))
        x, mask = drop(W[groups.values], rate, rng, places)
    by_row = by_text or beside is not None
    cache = (groups, by_text, by_row, mask, W.shape[1])
    if beside is not None:
        x = np.concatenate([x if by_text else x[groups.index], beside], axis=1)
    return x, None if by_row else groups, cache


def embed_backward(dx: Array, cache: Any) -> tuple[IntArray, Array]:
    """Back-propagate through :func:`embed`.

    Parameters
    ----------
    dx : ndarray of the shape of x
        Gradient of the numbers.
    cache
        From the forward pass.

    Returns
    -------
    tokens : ndarray of int, shape (U,)
        The distinct tokens.
    dW : ndarray of shape (U, D)
        Gradient of their rows of the table.
    """
    groups, by_text, by_row, mask, D = cache
    dx = np.ascontiguousarray(dx[:, :D])
    tokens = groups.values
    if by_text:
        return tokens, sum_by_group(undrop(dx, mask), groups)
    return tokens, undrop(sum_by_group(dx, groups) if by_row else dx, mask)
