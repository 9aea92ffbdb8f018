"""Models as functions of their embedded inputs: what :mod:`rnncli.attributions` asks for scores and gradients.

A model is given the inputs of one batch as its embedding, a row for each of them, and reads row after row. So every
pass is the model's own, and its gradient of the embedding is that of the inputs.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from rnncli.attributions import ScoreFunction, log_odds
from rnncli.data.batches import Batch, make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.gate_traces import Trace, layer_trace, watch
from rnncli.models import Model
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray, Packing, make_packing, pack, unpack

ROWS_AT_ONCE = 2**14


def classifier_score(model: Model, label: int) -> ScoreFunction:
    """Return the log-odds of a class as a function of the embedded text.

    Parameters
    ----------
    model : Model
        Not changed; nothing is dropped out.
    label : int
        The class.

    Returns
    -------
    callable
        See :data:`rnncli.attributions.ScoreFunction`.
    """

    def score(x: Array) -> tuple[Array, Array]:
        packing, params = _as_embedding(model.params, x)
        reading = replace(model, params=params, frozen=())
        logits, cache = reading.forward(Batch(np.arange(packing.rows), packing, np.zeros(len(x), np.int64)))
        odds, dlogits = classifier_odds(model, logits, label)
        grads = reading.backward(dlogits, cache, spend=True)
        return odds, _of_inputs(grads["embedding.W"], packing, x)

    return score


def classifier_scores(model: Model, x: Array) -> Array:
    """Return the score of every class for embedded texts.

    Parameters
    ----------
    model : Model
        Not changed.
    x : ndarray of shape (K, T, D)
        The texts.

    Returns
    -------
    ndarray of shape (K, C)
        Whose softmax is the probabilities.
    """
    packing, params = _as_embedding(model.params, x)
    batch = Batch(np.arange(packing.rows), packing, np.zeros(len(x), np.int64))
    logits, _ = replace(model, params=params, frozen=()).forward(batch, keep=False)
    return model.class_scores(logits)


def classifier_trace(model: Model, ids: IntArray, label: int) -> Trace:
    """Return what happens inside a classifier at each step of a text, with gradients of the log-odds of a class.

    Parameters
    ----------
    model : Model
        Not changed.
    ids : ndarray of int, shape (T,)
        The text.
    label : int
        The class.

    Returns
    -------
    Trace
        Of every layer and direction.
    """
    x = model.params["embedding.W"][ids][None]
    packing, params = _as_embedding(model.params, x)
    reading = replace(model, params=params, frozen=())
    logits, cache = reading.forward(Batch(np.arange(packing.rows), packing, np.zeros(1, np.int64)))
    _, _, (runs, _), *_ = cache
    watch(runs)
    grads = reading.backward(classifier_odds(model, logits, label)[1], cache)
    names = [f"rnn{layer}.{direction}" for layer in range(model.layers) for direction in model.directions]
    return Trace(list(map(layer_trace, names, runs)), _of_inputs(grads["embedding.W"], packing, x)[0])


def classifier_odds(model: Model, logits: Array, label: int) -> tuple[Array, Array]:
    """Return the log-odds of a class, and their gradient by the logits.

    Parameters
    ----------
    model : Model
        Whose logits.
    logits : ndarray of shape (N, C), or (N, 1) for the binary loss
        From its forward pass.
    label : int
        The class.

    Returns
    -------
    odds : ndarray of shape (N,)
        See :func:`rnncli.attributions.log_odds`.
    dlogits : ndarray of the shape of the logits
        Of each row's log-odds by that row.
    """
    odds, dscores = log_odds(model.class_scores(logits), label)
    return odds, dscores[:, 1:] if model.loss_name == "binary" else dscores


def classifier_without(model: Model, ids: IntArray, label: int) -> Array:
    """Return the log-odds of a class for a text with each of its tokens left out in turn.

    Parameters
    ----------
    model : Model
        Not changed.
    ids : ndarray of int, shape (T,)
        The text; where its one token is left out, the model reads the unknown one, as it does for an empty text.
    label : int
        The class.

    Returns
    -------
    ndarray of shape (T,)
        Of the text without token t.
    """
    T = len(ids)
    shorter = without_each(ids) if T > 1 else np.zeros((1, 1), np.int64)
    at_once = max(1, ROWS_AT_ONCE // shorter.shape[1])
    odds = []
    for start in range(0, T, at_once):
        some = shorter[start : start + at_once]
        offsets = np.arange(len(some) + 1) * some.shape[1]
        texts = EncodedTexts(some.reshape(-1).astype(np.int32), offsets, np.zeros(len(some), np.int64))
        logits, _ = model.forward(make_batch(texts, np.arange(len(some))), keep=False)
        odds.append(classifier_odds(model, logits, label)[0])
    return np.concatenate(odds)


def without_each(ids: IntArray) -> IntArray:
    """Return a sequence of T with each of its steps left out in turn, (T, T - 1)."""
    T = len(ids)
    kept = ~np.eye(T, dtype=bool)
    return np.tile(ids, (T, 1))[kept].reshape(T, T - 1)


def _as_embedding(params: dict[str, Array], x: Array) -> tuple[Packing, dict[str, Array]]:
    """Return the layout of K sequences of T inputs, and the weights with these inputs, packed, as the embedding."""
    packing = make_packing(np.full(len(x), x.shape[1]))
    return packing, {**params, "embedding.W": pack(x, packing)}


def _of_inputs(gradient: Gradient, packing: Packing, x: Array) -> Array:
    """Return the gradient of the inputs, (K, T, D), from that of the embedding."""
    assert isinstance(gradient, SparseRows)
    rows: Any = np.empty((packing.rows, x.shape[2]), x.dtype)
    rows[gradient.rows] = gradient.values
    return unpack(rows, packing, x.shape[1])
