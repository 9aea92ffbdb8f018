"""Several poolings of the same states side by side, and the one place that knows them by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.layers.attention import attention_pooling_backward, attention_pooling_forward
from rnncli.layers.pooling import (
    last_pooling_backward,
    last_pooling_forward,
    max_pooling_backward,
    max_pooling_forward,
    mean_pooling_backward,
    mean_pooling_forward,
)
from rnncli.packing import Array, Packing


def pool_forward(
    names: Sequence[str], h: Array, packing: Packing, directions: int, w: Array | None = None
) -> tuple[Array, Any]:
    """Make one vector of the states of each sequence.

    Parameters
    ----------
    names : sequence of {"last", "mean", "max", "attention"}
        The poolings, each once.
    h : ndarray of shape (R, directions * H)
        The states of the last layer, those of its directions side by side.
    packing : Packing
        The layout.
    directions : int
        1, or 2 of which the second ran against time.
    w : ndarray of shape (directions * H,), optional
        Of attention, if that is among the names.

    Returns
    -------
    pooled : ndarray of shape (N, len(names) * directions * H)
        What each pooling gives, in the order of the names.
    cache
        For :func:`pool_backward`.
    """
    found = [_forward(name, h, packing, directions, w) for name in names]
    caches = [cache for _, cache in found]
    pooled = found[0][0] if len(found) == 1 else np.concatenate([out for out, _ in found], axis=1)
    return pooled, (tuple(names), directions, caches)


def pool_backward(dpooled: Array, cache: Any) -> tuple[Array, Array | None]:
    """Back-propagate through :func:`pool_forward`.

    Parameters
    ----------
    dpooled : ndarray of shape (N, len(names) * directions * H)
        Gradient of the vectors.
    cache
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (R, directions * H)
        Gradient of every state.
    dw : ndarray of shape (directions * H,) or None
        Gradient of attention's vector, where there is attention.
    """
    names, directions, caches = cache
    total, dw = None, None
    for name, dout, own in zip(names, np.split(dpooled, len(names), axis=1), caches, strict=True):
        if name == "attention":
            dh, dw = attention_pooling_backward(dout, own)
        elif name == "last":
            halves = zip(np.split(dout, directions, axis=1), own, strict=True)
            dh = np.concatenate([last_pooling_backward(half, c) for half, c in halves], axis=1)
        else:
            dh = (mean_pooling_backward if name == "mean" else max_pooling_backward)(dout, own)
        total = dh if total is None else np.add(total, dh, out=total)
    assert total is not None
    return total, dw


def attention_of(cache: Any) -> Array | None:
    """Return the weight of every packed row, (R,), from the cache of :func:`pool_forward`; None without attention."""
    names, _, caches = cache
    weights: Array | None = caches[names.index("attention")][2] if "attention" in names else None
    return weights


def _forward(name: str, h: Array, packing: Packing, directions: int, w: Array | None) -> tuple[Array, Any]:
    if name == "attention":
        assert w is not None
        return attention_pooling_forward(h, w, packing)
    if name == "last":
        # Each direction's own last step: the text's last token going forward, its first going backward.
        halves = np.split(h, directions, axis=1)
        found = [last_pooling_forward(half, packing, reverse=d == 1) for d, half in enumerate(halves)]
        return np.concatenate([out for out, _ in found], axis=1), [cache for _, cache in found]
    return (mean_pooling_forward if name == "mean" else max_pooling_forward)(h, packing)
