"""Inverted dropout (Srivastava et al. 2014): scaled in training, so that evaluation needs no change."""

import numpy as np

from rnncli.packing import Array


def dropout_mask(shape: tuple[int, ...], rate: float, rng: np.random.Generator, dtype: np.dtype[np.floating]) -> Array:
    """Draw the factors of a dropout.

    Parameters
    ----------
    shape : tuple of int
        Shape of what will be dropped.
    rate : float
        The probability of a zero, in [0, 1).
    rng : numpy.random.Generator
        Moved on by the draw.
    dtype : dtype
        Of the factors.

    Returns
    -------
    ndarray
        0 with probability ``rate``, else 1 / (1 - rate), so that the expectation is 1.
    """
    keep = rng.random(shape, dtype=np.float32) >= rate
    return np.multiply(keep, 1 / (1 - rate), dtype=dtype)


def dropout_forward(x: Array, mask: Array) -> tuple[Array, Array]:
    """Apply a mask from :func:`dropout_mask`.

    Parameters
    ----------
    x : ndarray
        Any array.
    mask : ndarray of the shape of x
        The factors.

    Returns
    -------
    out : ndarray of the shape of x
        x times the mask.
    cache
        For :func:`dropout_backward`.
    """
    return x * mask, mask


def dropout_backward(dout: Array, cache: Array) -> Array:
    """Back-propagate through :func:`dropout_forward`.

    Parameters
    ----------
    dout : ndarray
        Gradient of the output.
    cache
        From the forward pass.

    Returns
    -------
    dx : ndarray of the shape of dout
        Gradient of x.
    """
    return dout * cache
