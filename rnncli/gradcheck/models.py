"""Whole models: their loss differentiated by every parameter, with the dropout masks fixed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rnncli.classifiers import build_classifier
from rnncli.config import ModelConfig
from rnncli.data.batches import Batch
from rnncli.data.vocabulary import UNKNOWN_ID
from rnncli.errors import GradientError
from rnncli.gradcheck.checks import Case, Check, GradientCheck, IdentityCheck, Inputs, Pairs
from rnncli.models import Model
from rnncli.ngram_counts import NgramCounts, count_ngrams
from rnncli.ngrams import bag_of, occurrences, packed_endings
from rnncli.optim import SparseRows
from rnncli.packing import Array, IntArray, make_packing
from rnncli.stacks import EMBEDDING_SCALE
from rnncli.wide_models import BIAS, FIXED, RATIOS, TABLE, WideModel

VOCABULARY_SIZE = 11
LENGTHS = (3, 1, 5, 2)


@dataclass(frozen=True)
class ModelCase:
    """A model in float64, a batch, and what else decides its loss."""

    model: Model
    batch: Batch
    class_weights: Array | None
    dropout_seed: int
    smoothing: float = 0.0


def model_case(given: ModelCase) -> Case:
    """Return a model's loss as a case: its parameters are the inputs.

    The masks of every evaluation are drawn by a generator started anew, so they are the same.

    Parameters
    ----------
    given : ModelCase
        The model, whose parameters are moved by the check and put back, and its batch.

    Returns
    -------
    Case
        With the sparse gradients of the embedding and of the n-grams written out, and their rows named.
    """
    model, batch = given.model, given.batch
    trained = {name: array for name, array in model.params.items() if name not in FIXED}

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        assert inputs is trained
        logits, cache = model.forward(batch, np.random.default_rng(given.dropout_seed))
        loss, dlogits = model.loss(logits, batch.y, given.class_weights, given.smoothing)
        return [np.array(loss + model.penalty(cache))], (dlogits, cache)

    def backward(douts: Sequence[Array], cache: Any) -> Inputs:
        dlogits, model_cache = cache
        grads = model.backward(dlogits, model_cache)
        dense = {name: dense_gradient(name, grad, model.params[name].shape) for name, grad in grads.items()}
        return {name: douts[0] * grad for name, grad in dense.items()}

    hidden = [UNKNOWN_ID] if model.word_dropout else []
    rows = {"embedding.W": np.union1d(batch.ids, hidden).astype(np.int64)}
    if isinstance(model, WideModel):
        rows[TABLE] = np.unique(bag_of(batch.ids, batch.packing, model.wide.orders, model.keys).rows)
    return Case(trained, forward, backward, rows)


def dense_gradient(name: str, grad: Array | SparseRows, shape: tuple[int, ...]) -> Array:
    """Write out a sparse gradient, which may not name a row twice: an optimizer would count one of the two."""
    if not isinstance(grad, SparseRows):
        return grad
    if len(np.unique(grad.rows)) != len(grad.rows):
        raise GradientError("the sparse gradient names a row twice", where=name)
    dense = np.zeros(shape)
    dense[grad.rows] = grad.values
    return dense


def model_identities(given: ModelCase) -> Pairs:
    """Compare a batch with its texts alone, with scoring, with its mirror image, and the loss with the texts' own.

    Parameters
    ----------
    given : ModelCase
        The model and its batch; nothing is dropped.

    Yields
    ------
    (str, ndarray, ndarray)
        What is compared, one way and the other way.
    """
    model, batch = given.model, given.batch
    logits, _ = model.forward(batch)
    alone = []
    for n, length in enumerate(batch.packing.lengths):
        ids = batch.ids[batch.packing.sequences == n]
        own = Batch(ids, make_packing(np.array([length])), batch.y[n : n + 1])
        alone.append(model.forward(own)[0][0])
    yield "logits, each text alone", logits, np.stack(alone)
    yield "logits, scoring", logits, model.forward(batch, keep=False)[0]
    of_layers = slice(None)  # which of the logits are the recurrent layers'
    if isinstance(model, WideModel):
        plain, sums = model.branches(logits)
        of_layers = slice(plain.shape[1])
        yield "n-grams, added up one by one", sums, _sums_of_ngrams(model, batch)
        if model.wide.inputs:
            found = model.ratios_at(packed_endings(batch.ids, batch.packing, model.wide.orders, model.keys))
            yield "ratios at tokens, one by one", found, _ratios_at_tokens(model, batch)
            batch = batch._replace(inputs=found)  # which n-grams end at a token is not the same backwards
    if len(model.directions) == 2:
        other = mirrored(model).forward(_backwards(batch))[0]
        yield "logits, mirrored", logits[:, of_layers], other[:, of_layers]
    losses = [model.loss(logits[n : n + 1], batch.y[n : n + 1])[0] for n in range(len(batch.y))]
    counts: Array = np.ones(batch.y.max() + 1) if given.class_weights is None else given.class_weights
    weights = counts[batch.y]
    mean = np.dot(losses, weights) / weights.sum()
    yield "loss", model.loss(logits, batch.y, given.class_weights)[0], mean


def _sums_of_ngrams(model: WideModel, batch: Batch) -> Array:
    """Add up what the n-grams of each text weigh, with loops."""
    sums = []
    for n in range(len(batch.packing.order)):
        ids = batch.ids[batch.packing.sequences == n]
        found = {int(row) for _, _, rows in occurrences(ids, model.wide.orders, model.keys) for row in rows}
        total = model.params[BIAS].copy()
        for row in sorted(found):
            value = model.params[RATIOS][row] if model.wide.weighted else 1.0
            total += model.params[TABLE][row] * value
        sums.append(total)
    return np.stack(sums)


def _ratios_at_tokens(model: WideModel, batch: Batch) -> Array:
    """Look up what the n-grams that end at each token say by themselves, with loops."""
    ratios = model.params[RATIOS]
    out = np.zeros((len(batch.ids), model.wide.orders, ratios.shape[1]))
    for n in range(len(batch.packing.order)):
        rows = np.flatnonzero(batch.packing.sequences == n)
        for order, places, found in occurrences(batch.ids[rows], model.wide.orders, model.keys):
            for place, row in zip(places, found, strict=True):
                out[rows[place + order - 1], order - 1] = ratios[row]
    return out.reshape(len(out), -1)


def mirrored(model: Model) -> Model:
    """Exchange the two directions of a model: it must say of reversed texts what the model says of the texts.

    Parameters
    ----------
    model : Model
        Bidirectional; not changed.

    Returns
    -------
    Model
        With the directions' weights exchanged, and the rows of the weights that read both.
    """
    params = {}
    for name, array in model.params.items():
        layer, _, rest = name.partition(".")
        direction, _, weight = rest.partition(".")
        if direction in model.directions:
            other = "bwd" if direction == "fwd" else "fwd"
            name = f"{layer}.{other}.{weight}"
        reads_both = name in ("output.w", "attention.w") or (weight == "Wx" and layer != "rnn0")
        if reads_both:  # of the output layer, each pooling's rows
            pieces = np.split(array, len(model.poolings) if name == "output.w" else 1)
            array = np.concatenate([np.roll(piece, len(piece) // 2, axis=0) for piece in pieces])
        params[name] = array
    return replace(model, params=params)


def _backwards(batch: Batch) -> Batch:
    """Reverse every text."""
    packing = batch.packing
    rows = packing.offsets[packing.lengths[packing.sequences] - 1 - packing.times] + packing.sequences
    return batch._replace(ids=batch.ids[rows], inputs=None if batch.inputs is None else batch.inputs[rows])


def unsettle(model: Any, rng: np.random.Generator) -> None:
    """Move fresh weights to where every term of a gradient counts.

    Fresh embeddings are so small that each tanh is almost its argument, and fresh biases are zero.

    Parameters
    ----------
    model : Model, Tagger or LanguageModel
        In float64; its parameters are changed.
    rng : numpy.random.Generator
        Draws the biases.
    """
    for name, array in model.params.items():
        if name in ("embedding.W", "spelling.W"):
            array *= 0.7 / EMBEDDING_SCALE
        elif (array.ndim == 1 and name not in FIXED) or name == TABLE:
            array += 0.3 * rng.standard_normal(array.shape)


def _small_case(rng: np.random.Generator, *, settings: dict[str, Any], weighted: bool) -> ModelCase:
    config = ModelConfig.model_validate(settings)
    classes = 2 if config.loss == "binary" else 3
    packing = make_packing(np.array(LENGTHS))
    # Some tokens occur several times and others not at all; the most frequent is not the first.
    ids = rng.permutation(np.repeat([8, 4, 5, 0], [5, 3, 2, 1]))
    y = np.arange(len(LENGTHS)) % classes
    scale = None if config.ngrams is None else np.linspace(0.5, 2.0, config.ngrams.columns(classes))
    counts = _counts(config, ids, classes)
    model = build_classifier(config, VOCABULARY_SIZE, classes, rng, counts, dtype=np.float64, scale=scale)
    unsettle(model, rng)
    weights = np.array([0.5, 2.0, 1.25])[:classes] if weighted else None
    return ModelCase(model, Batch(ids, packing, y), weights, int(rng.integers(2**32)))


def _counts(config: ModelConfig, ids: IntArray, classes: int) -> NgramCounts | None:
    """Count the n-grams of some texts, which need not be those of the batch: some of it have no row."""
    if config.ngrams is None:
        return None
    offsets = np.cumsum([0, *LENGTHS])
    labels = np.arange(len(LENGTHS)) % classes
    return count_ngrams(ids, offsets, labels, classes, orders=config.ngrams.orders, min_count=1, most=12)


def _settings() -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield (name, model section, whether classes are weighted): every cell and shape, every pooling, every loss."""
    cells: dict[str, dict[str, Any]] = {
        "rnn": {"cell": "rnn"},
        "lstm": {"cell": "lstm"},
        "gru": {"cell": "gru"},
        "gru reset after": {"cell": "gru", "reset": "after"},
    }
    shapes = [(layers, bidirectional) for layers in (1, 2) for bidirectional in (False, True)]
    for name, cell in cells.items():
        for layers, bidirectional in shapes:
            rnn = {**cell, "hidden": 2, "layers": layers, "bidirectional": bidirectional}
            if layers > 1:
                rnn["dropout"] = 0.3
            shape = f"{layers} layer{'s' * (layers > 1)}{', bidirectional' * bidirectional}"
            section = {"embedding": {"dim": 3, "dropout": 0.2}, "rnn": rnn, "dropout": 0.25}
            yield f"{name}, {shape}, dropout, weights", section, True
    for pooling in ("last", "mean", "max", "attention", ["attention", "last"], ["max", "mean", "attention"]):
        for loss in ("softmax", "binary"):
            for bidirectional in (False, True):
                rnn = {"cell": "lstm", "hidden": 2, "bidirectional": bidirectional}
                section = {"embedding": {"dim": 3}, "rnn": rnn, "pooling": pooling, "loss": loss}
                shape = f"lstm{', bidirectional' * bidirectional}"
                names = pooling if isinstance(pooling, str) else " and ".join(pooling)
                yield f"{shape}, {names} pooling, {loss} loss", section, loss == "binary"


def _regularized() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, model section): each way to regularize, then all at once."""
    rnn = {"cell": "lstm", "hidden": 2}
    deep = {**rnn, "layers": 2, "bidirectional": True}
    yield "word dropout", {"embedding": {"dim": 3, "word_dropout": 0.4}, "rnn": rnn}
    rates = {"embedding": {"dim": 3, "dropout": 0.3}, "rnn": {**deep, "dropout": 0.3}, "dropout": 0.3}
    yield "variational dropout", {**rates, "variational": True}
    for cell in ("rnn", "lstm", "gru"):
        for key in ("state_dropout", "recurrent_dropout"):
            section = {"embedding": {"dim": 3}, "rnn": {**deep, "cell": cell, key: 0.4}}
            yield f"{key.replace('_', ' ')}, {cell}", section
    every = {
        "embedding": {"dim": 3, "dropout": 0.3, "word_dropout": 0.2},
        "rnn": {**deep, "dropout": 0.3, "state_dropout": 0.3, "recurrent_dropout": 0.2},
        "dropout": 0.3,
        "variational": True,
        "pooling": ["max", "attention"],
    }
    for name in ("activation", "slowness"):
        section = {"embedding": {"dim": 3}, "rnn": {**deep, "dropout": 0.3}, f"{name}_penalty": 2.0}
        yield f"{name} penalty", section
    yield "all of these", {**every, "activation_penalty": 1.0, "slowness_penalty": 3.0}


def _wide() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, model section) of models with n-grams beside the recurrent layers."""
    rnn = {"cell": "gru", "hidden": 2, "bidirectional": True}
    ways = (
        ("weight", "own", "softmax"),
        ("start", "own", "binary"),
        ("none", "joint", "softmax"),
        ("weight", "joint", "binary"),
    )
    for bayes, branches, loss in ways:
        ngrams = {"naive_bayes": bayes, "loss": branches, "dropout": 0.3}
        section = {"embedding": {"dim": 3, "dropout": 0.3}, "rnn": rnn, "loss": loss, "ngrams": ngrams}
        yield f"n-grams, naive Bayes {bayes}, {branches} loss, {loss}", section
    for bayes, loss, variational in (("weight", "binary", False), ("start", "softmax", True)):
        ngrams = {"naive_bayes": bayes, "inputs": True, "share": 0.7, "orders": 2}
        section = {"embedding": {"dim": 3, "dropout": 0.3}, "rnn": rnn, "loss": loss, "ngrams": ngrams}
        name = f"n-grams as inputs, naive Bayes {bayes}, {loss}{', variational' * variational}"
        yield name, section | {"variational": variational}


def model_rows(
    name: str, build: Callable[[np.random.Generator], ModelCase], limit: int
) -> tuple[GradientCheck, IdentityCheck]:
    """Return the two rows of a model.

    Parameters
    ----------
    name : str
        Of both rows.
    build : callable
        ``build(rng) -> ModelCase``.
    limit : int
        Elements checked of each parameter.

    Returns
    -------
    GradientCheck, IdentityCheck
        The loss by every parameter; and :func:`model_identities`.
    """
    return (
        GradientCheck(name, lambda rng: model_case(build(rng)), limit),
        IdentityCheck(f"{name}: same by other ways", lambda rng: model_identities(build(rng))),
    )


CHECKS: tuple[Check, ...] = tuple(
    row
    for name, settings, weighted in _settings()
    for row in model_rows(f"model: {name}", partial(_small_case, settings=settings, weighted=weighted), limit=6)
) + tuple(
    row
    for name, settings in (*_regularized(), *_wide())
    for row in model_rows(f"model: {name}", partial(_small_case, settings=settings, weighted=True), limit=6)
)
