"""The affine map, for one vector a sequence and for one a step."""

from typing import Any

from rnncli.packing import Array


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Any]:
    """Compute x w + b.

    Parameters
    ----------
    x : ndarray of shape (N, D)
        Inputs.
    w, b : ndarrays of shape (D, M), (M,)
        Weights.

    Returns
    -------
    out : ndarray of shape (N, M)
        Outputs.
    cache
        For :func:`affine_backward`.
    """
    return x @ w + b, (x, w)


def affine_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Back-propagate through :func:`affine_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, M)
        Gradient of the outputs.
    cache
        From the forward pass.

    Returns
    -------
    dx, dw, db : ndarrays of shape (N, D), (D, M), (M,)
        Gradients of the inputs and weights.
    """
    x, w = cache
    return dout @ w.T, x.T @ dout, dout.sum(axis=0)


def temporal_affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Any]:
    """Compute x w + b at every step.

    Parameters
    ----------
    x : ndarray of shape (N, T, D)
        Inputs.
    w, b : ndarrays of shape (D, M), (M,)
        Weights.

    Returns
    -------
    out : ndarray of shape (N, T, M)
        Outputs.
    cache
        For :func:`temporal_affine_backward`.
    """
    N, T, D = x.shape
    out, cache = affine_forward(x.reshape(N * T, D), w, b)
    return out.reshape(N, T, -1), cache


def temporal_affine_backward(dout: Array, cache: Any) -> tuple[Array, Array, Array]:
    """Back-propagate through :func:`temporal_affine_forward`.

    Parameters
    ----------
    dout : ndarray of shape (N, T, M)
        Gradient of the outputs.
    cache
        From the forward pass.

    Returns
    -------
    dx, dw, db : ndarrays of shape (N, T, D), (D, M), (M,)
        Gradients of the inputs and weights.
    """
    N, T, M = dout.shape
    dx, dw, db = affine_backward(dout.reshape(N * T, M), cache)
    return dx.reshape(N, T, -1), dw, db
