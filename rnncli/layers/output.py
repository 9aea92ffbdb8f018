"""An output layer over many classes with its loss: scores are made, used and let go a block of rows at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.packing import Array, IntArray

BLOCK = 2**21  # scores that there are at once
ALONE = 2**22  # of a text that is scored only: with 20,000 classes faster by a quarter to a third than half as many


class OutputLoss(NamedTuple):
    """What :func:`affine_softmax_loss` gives.

    Attributes
    ----------
    loss : float
        The mean cross-entropy, in nats.
    hits : int
        Rows whose best class is the true one.
    dx, dw, db : ndarrays
        Gradients of the loss by the inputs and weights.
    classes : ndarray of int or None
        The classes that dw and db are of, where these are not all.
    """

    loss: float
    hits: int
    dx: Array
    dw: Array
    db: Array
    classes: IntArray | None = None


def affine_softmax_loss(
    x: Array,
    w: Array,
    b: Array,
    y: NDArray[np.integer],
    count: int | None = None,
    block: int = BLOCK,
    *,
    smoothing: float = 0.0,
    shift: Array | None = None,
) -> OutputLoss:
    """Compute the softmax cross-entropy of x w + b, and its gradients.

    Parameters
    ----------
    x : ndarray of shape (R, D)
        Inputs.
    w, b : ndarrays of shape (D, V), (V,)
        Weights; w may be a transposed view.
    y : ndarray of int, shape (R,)
        The true class, in [0, V).
    count : int, optional
        What the sum over the rows is divided by; R when not given.
    block : int
        Most scores that are made at once.
    smoothing : float
        As in :func:`rnncli.layers.losses.softmax_loss`.
    shift : ndarray of shape (V,), optional
        Added to the scores for the loss, but not to tell which is best.

    Returns
    -------
    OutputLoss
        Loss and gradients. The (R, V) scores never exist as a whole.
    """
    R, V = len(x), w.shape[1]
    scale = np.asarray(1 / (count or R), x.dtype)
    loss, hits = 0.0, 0
    dx, dw, db = np.empty_like(x), np.zeros(w.shape, x.dtype), np.zeros(V, x.dtype)
    step = max(1, block // V)
    for start in range(0, R, step):
        rows, truth = x[start : start + step], y[start : start + step]
        scores = rows @ w
        scores += b
        nats, best = _to_probabilities(scores, truth, smoothing, shift)
        loss += float(np.sum(nats, dtype=np.float64))
        hits += int(np.count_nonzero(best == truth))
        scores[np.arange(len(truth)), truth] -= 1 - smoothing
        if smoothing:
            scores -= smoothing / V
        scores *= scale
        np.matmul(scores, w.T, out=dx[start : start + step])
        dw += rows.T @ scores
        db += scores.sum(axis=0)
    return OutputLoss(loss / (count or R), hits, dx, dw, db)


def affine_softmax_nats(
    x: Array, w: Array, b: Array, y: NDArray[np.integer], block: int = ALONE
) -> tuple[Array, NDArray[np.bool_]]:
    """Compute what each row costs, without gradients.

    Parameters
    ----------
    x, w, b, y, block
        As for :func:`affine_softmax_loss`.

    Returns
    -------
    nats : ndarray of shape (R,)
        The cross-entropy of each row.
    right : ndarray of bool, shape (R,)
        Whether its best class is the true one.
    """
    nats, right = np.empty(len(x), x.dtype), np.empty(len(x), bool)
    step = max(1, block // w.shape[1])
    for start in range(0, len(x), step):
        piece = slice(start, start + step)
        scores = x[piece] @ w
        scores += b
        nats[piece], best = _to_probabilities(scores, y[piece])
        right[piece] = best == y[piece]
    return nats, right


def _to_probabilities(
    scores: Array, y: NDArray[np.integer], smoothing: float = 0.0, shift: Array | None = None
) -> tuple[Array, NDArray[np.int64]]:
    """Turn scores into probabilities in place; return what the true class of each row costs, and the best class."""
    rows = np.arange(len(scores))
    best = scores.argmax(axis=1)
    if shift is None:
        scores -= scores[rows, best][:, None]
    else:
        scores += shift
        scores -= scores.max(axis=1, keepdims=True)
    picked = scores[rows, y]
    if smoothing:
        picked = (1 - smoothing) * picked + smoothing * scores.mean(axis=1)
    np.exp(scores, out=scores)
    sums = scores.sum(axis=1)
    scores /= sums[:, None]
    return np.log(sums) - picked, best
