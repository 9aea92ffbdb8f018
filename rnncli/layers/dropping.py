"""What is left out in training, of batches that may be parts of larger ones: vectors, words, weights."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.layers.dropout import dropout_backward, dropout_forward, dropout_mask
from rnncli.packing import Array, IntArray

Drop = Callable[[Array], tuple[Array, Array | None]]


class Places(NamedTuple):
    """Which rows of a mask belong to a part of a batch: it is drawn for the whole, so that parts agree.

    Attributes
    ----------
    rows : ndarray of int, shape (R,)
        For each row here, its row of the mask.
    total : int
        Rows of the mask.
    """

    rows: IntArray
    total: int


def drop(x: Array, rate: float, rng: np.random.Generator | None, places: Places | None) -> tuple[Array, Array | None]:
    """Drop out of the rows of x.

    Parameters
    ----------
    x : ndarray of shape (R, D)
        Rows.
    rate : float
        Fraction to zero.
    rng : numpy.random.Generator or None
        Moved on by the mask of all rows; None drops nothing.
    places : Places or None
        None if each row has a mask of its own, in order.

    Returns
    -------
    out : ndarray of shape (R, D)
        x itself where nothing is dropped.
    mask : ndarray of shape (R, D) or None
        For :func:`undrop`.
    """
    if rng is None or rate == 0:
        return x, None
    if places is None:
        return dropout_forward(x, dropout_mask(x.shape, rate, rng, x.dtype))
    return dropout_forward(x, dropout_mask((places.total, x.shape[1]), rate, rng, x.dtype)[places.rows])


def undrop(dout: Array, mask: Array | None) -> Array:
    """Back-propagate through :func:`drop`."""
    return dout if mask is None else dropout_backward(dout, mask)


def hide_words(
    ids: IntArray, unknown: int, rate: float, rng: np.random.Generator | None, places: Places | None
) -> IntArray:
    """Show some words as the unknown one.

    Parameters
    ----------
    ids : ndarray of int, shape (R,)
        Words.
    unknown : int
        The id that stands for a word which is not known.
    rate : float
        How likely each word is to be hidden.
    rng : numpy.random.Generator or None
        Moved on by one number for each word of the whole batch; None hides nothing.
    places : Places or None
        As for :func:`drop`.

    Returns
    -------
    ndarray of int, shape (R,)
        ids themselves where nothing is hidden.
    """
    if rng is None or rate == 0:
        return ids
    shown = rng.random(len(ids) if places is None else places.total) >= rate
    return np.where(shown if places is None else shown[places.rows], ids, unknown)


def drop_state_weights(
    layers: Sequence[Sequence[Sequence[Array]]], rate: float, rng: np.random.Generator | None
) -> tuple[Sequence[Sequence[Sequence[Array]]], list[list[Array]] | None]:
    """Drop out of the weights from state to state (weight dropout, Merity et al. 2018).

    Parameters
    ----------
    layers : sequence of sequence of sequence of ndarray
        For each layer and direction Wx, Wh and what else it has; not changed.
    rate : float
        Fraction of each Wh to zero.
    rng : numpy.random.Generator or None
        Moved on by a mask for each Wh; None drops nothing.

    Returns
    -------
    layers
        With another Wh in each place, or what was given where nothing is dropped.
    masks : list of list of ndarray, or None
        For :func:`undrop_state_weights`.
    """
    if rng is None or rate == 0:
        return layers, None
    masks = [[dropout_mask(own[1].shape, rate, rng, own[1].dtype) for own in directions] for directions in layers]
    dropped = [
        [[own[0], own[1] * mask, *own[2:]] for own, mask in zip(directions, drawn, strict=True)]
        for directions, drawn in zip(layers, masks, strict=True)
    ]
    return dropped, masks


def draw_state_masks(
    layers: Sequence[Sequence[Sequence[Array]]], rate: float, rng: np.random.Generator | None, places: Places
) -> list[list[Array]] | None:
    """Draw what the states of each layer are masked with on their way to the next step (Gal and Ghahramani 2016).

    Parameters
    ----------
    layers : sequence of sequence of sequence of ndarray
        For each layer and direction Wx, Wh and what else it has.
    rate : float
        Fraction of each state to zero.
    rng : numpy.random.Generator or None
        Moved on by a mask of all sequences for each layer and direction; None drops nothing.
    places : Places
        Which of the sequences of the whole batch each packed one is.

    Returns
    -------
    list of list of ndarray of shape (N, H), or None
        For :func:`rnncli.stacks.stack_forward`.
    """
    if rng is None or rate == 0:
        return None
    return [
        [dropout_mask((places.total, len(own[1])), rate, rng, own[1].dtype)[places.rows] for own in directions]
        for directions in layers
    ]


def undrop_state_weights(
    grads: list[list[tuple[Array, ...]]], masks: list[list[Array]] | None
) -> list[list[tuple[Array, ...]]]:
    """Return the gradients of layers whose weights went through :func:`drop_state_weights`."""
    if masks is None:
        return grads
    return [
        [(own[0], own[1] * mask, *own[2:]) for own, mask in zip(directions, drawn, strict=True)]
        for directions, drawn in zip(grads, masks, strict=True)
    ]
