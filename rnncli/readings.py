"""Models that read texts already embedded, so that a prediction can be followed back to the inputs.

A model is given the inputs of a batch as its embedding, a row for each of them, and reads row after row. So every pass
is the model's own, and its gradient of the embedding is that of the inputs.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnncli.data.batches import Batch
from rnncli.data.language.steps import make_steps
from rnncli.data.tagging.batches import TaggedBatch
from rnncli.language_models import LanguageModel
from rnncli.layers.output import OutputLoss
from rnncli.layers.recurrent import Cache
from rnncli.models import Model
from rnncli.ngram_inputs import gathered, gathered_backward, shared
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray, Packing, make_packing, pack, unpack
from rnncli.pooled import attention_of
from rnncli.taggers import Tagger
from rnncli.wide_models import BIAS, WideModel


class Reading(NamedTuple):
    """What a model made of K texts of T inputs.

    Attributes
    ----------
    scores : ndarray of shape (K, C)
        Whose softmax is the probabilities of what can be predicted.
    backward : callable
        ``backward(dscores)`` -> the gradient (K, T, D) of the inputs.
    runs : list of Cache
        Of each layer and direction, from the input on.
    attention : ndarray of shape (K, T) or None
        How much each step counts where the model has attention; of each text the numbers add up to 1.
    beside : int
        How many of the D numbers of an input, the last ones, are not a token's embedding.
    """

    scores: Array
    backward: Callable[[Array], Array]
    runs: list[Cache]
    attention: Array | None = None
    beside: int = 0


Reader = Callable[[Array], Reading]  # takes inputs (K, T, D)


def classifier_reader(model: Model) -> Reader:
    """Return a classifier as a reader of embedded texts; the model is not changed and drops nothing out.

    Of a model of n-grams too, what it takes is as :func:`classifier_inputs` gives it.
    """
    if isinstance(model, WideModel):
        return _wide_reader(model)

    def read(x: Array) -> Reading:
        packing, params = _as_embedding(model.params, x)
        reading = replace(model, params=params, frozen=())
        logits, cache = reading.forward(Batch(np.arange(packing.rows), packing, np.zeros(len(x), np.int64)))

        def backward(dscores: Array) -> Array:
            dlogits = dscores[:, 1:] if model.loss_name == "binary" else dscores
            return _of_inputs(reading.backward(dlogits, cache)["embedding.W"], packing, x)

        _, _, (runs, _), pooling, *_ = cache
        weights = attention_of(pooling)
        attention = None if weights is None else unpack(weights, packing, x.shape[1])
        return Reading(model.class_scores(logits), backward, runs, attention)

    return read


def classifier_inputs(model: Model, ids: IntArray) -> Array:
    """Return a text as a reader takes it: its embedded tokens, each with its share in what the n-grams say.

    First in what they say to the layers, if these read their ratios, then in what they add to the scores. A score that
    is linear in the shares gives each token's push exactly, by any method that multiplies gradients.
    """
    embedded = model.params["embedding.W"][ids]
    if not isinstance(model, WideModel):
        return embedded
    parts = [embedded]
    if model.wide.inputs:
        packing = make_packing(np.array([len(ids)]))
        ratios = model.beside(Batch(ids, packing, np.zeros(1, np.int64)))
        assert ratios is not None
        parts.append(shared(ratios, len(model.params[BIAS])))
    return np.concatenate([*parts, model.shares(ids)], axis=1)


def _wide_reader(model: WideModel) -> Reader:
    """Return a classifier with n-grams as a reader of what :func:`classifier_inputs` gives."""
    of_layers, b = classifier_reader(model.recurrent), model.params[BIAS]
    D, orders = model.params["embedding.W"].shape[1], model.wide.orders

    def read(x: Array) -> Reading:
        embedded, told, shares = x[..., :D], x[..., D : -len(b)], x[..., -len(b) :]
        if model.wide.inputs:
            embedded = np.concatenate([embedded, gathered(told, orders)], axis=2)
        reading = of_layers(embedded)

        def backward(dscores: Array) -> Array:
            drecurrent, dsums = model.combined_backward(dscores)
            dread = reading.backward(drecurrent)
            dshares = np.broadcast_to(dsums[:, None], shares.shape)
            dtold = [gathered_backward(dread[..., D:], orders)] if model.wide.inputs else []
            return np.concatenate([dread[..., :D], *dtold, dshares], axis=2)

        scores = model.combined(reading.scores, shares.sum(axis=1) + b)
        return reading._replace(scores=scores, backward=backward, beside=x.shape[2] - D)

    return read


def tagger_reader(model: Tagger, word: int) -> Reader:
    """Return a tagger, asked for the tag of one word, as a reader of words with their spelling.

    Parameters
    ----------
    model : Tagger
        Not changed.
    word : int
        The word, from 0.

    Returns
    -------
    callable
        Takes what :meth:`rnncli.taggers.Tagger.inputs` gives.
    """

    def read(x: Array) -> Reading:
        packing, params = _as_embedding(model.params, x)
        reading = replace(model, params=params, frozen=())
        y = np.zeros(packing.rows, np.int64)
        logits, cache = reading.forward(TaggedBatch(np.arange(packing.rows), packing, y, None))
        rows = slice(*packing.offsets[word : word + 2].tolist())

        def backward(dscores: Array) -> Array:
            dlogits = np.zeros_like(logits)
            dlogits[rows] = dscores
            return _of_inputs(reading.backward(dlogits, cache)["embedding.W"], packing, x)

        (runs, _) = cache[4]
        return Reading(logits[rows], backward, runs)

    return read


def language_reader(model: LanguageModel) -> Reader:
    """Return a language model, asked for what comes after a text, as a reader; it begins with a state of zero."""
    w, b = model.output()

    def read(x: Array) -> Reading:
        K, T, D = x.shape
        # What was tied must not follow the embedding.
        params = {**model.params, "embedding.W": x.reshape(K * T, D), "output.w": w}
        reading = replace(model, params=params, frozen=())
        ids = np.arange(K * T).reshape(K, T)
        steps = make_steps(ids, ids, np.zeros(ids.shape, bool))
        out, _, cache = reading.forward(steps, reading.fresh_state(K))
        last = steps.packing.last_rows

        def backward(dscores: Array) -> Array:
            dout = np.zeros_like(out)
            dout[last] = dscores @ w.T
            nothing = OutputLoss(0.0, 0, dout, np.zeros((0, 0), x.dtype), np.zeros(0, x.dtype))
            gradient = reading.backward(nothing, cache)["embedding.W"]
            return _rows_of(gradient, (K * T, D)).reshape(x.shape)

        _, _, (runs, _), *_ = cache
        return Reading(out[last] @ w + b, backward, runs)

    return read


def _as_embedding(params: dict[str, Array], x: Array) -> tuple[Packing, dict[str, Array]]:
    """Return the layout of K sequences of T inputs, and the weights with these inputs, packed, as the embedding."""
    packing = make_packing(np.full(len(x), x.shape[1]))
    return packing, {**params, "embedding.W": pack(x, packing)}


def _of_inputs(gradient: Gradient, packing: Packing, x: Array) -> Array:
    """Return the gradient of the inputs, (K, T, D), from that of the embedding."""
    return unpack(_rows_of(gradient, (packing.rows, x.shape[2])), packing, x.shape[1])


def _rows_of(gradient: Gradient, shape: tuple[int, ...]) -> Array:
    assert isinstance(gradient, SparseRows)
    rows = np.empty(shape, gradient.values.dtype)
    rows[gradient.rows] = gradient.values
    return rows
