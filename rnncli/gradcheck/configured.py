"""The very model of a config, on a small batch of its own data."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rnncli.assembly import build_trainer
from rnncli.classifiers import INTEGERS
from rnncli.classifying import Classifying
from rnncli.config import RunConfig
from rnncli.data.batches import make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.data.language.windows import document_starts
from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.gradcheck.checks import Check
from rnncli.gradcheck.models import ModelCase, model_rows, unsettle
from rnncli.gradcheck.sequences import (
    LanguageCase,
    TaggerCase,
    in_float64,
    language_rows,
    tagger_rows,
)
from rnncli.language_modelling import LanguageWork
from rnncli.packing import IntArray
from rnncli.stacks import State
from rnncli.tagging import TaggingWork

# Tokens kept of each text: ragged, one of length 1, the longest not first; few, because each element checked takes
# four or more forward passes.
LENGTHS = (9, 1, 12, 7, 12, 4)
LIMIT = 24


def configured_checks(config: RunConfig, data: Any) -> Sequence[Check]:
    """Return the rows of a config's model.

    The weights are those that a run of the config starts from, in float64, with the embeddings enlarged and the biases
    moved off zero so that every term of a gradient counts. Dropout rates, class weights and label smoothing are the
    config's.

    Parameters
    ----------
    config : RunConfig
        The config.
    data
        Its data.

    Returns
    -------
    GradientCheck, IdentityCheck
        The loss by every parameter; and what is compared with other ways to compute the same.

    Raises
    ------
    ConfigError
        If the config does not fit the data.
    """
    work, name = build_trainer(config, data).work, f"model of {config.name}"
    if isinstance(work, TaggingWork):
        return tagger_rows(name, partial(_tagger_case, work), LIMIT)
    if isinstance(work, LanguageWork):
        return language_rows(name, partial(_language_case, work), LIMIT)
    assert isinstance(work, Classifying)
    return model_rows(name, partial(_model_case, work), LIMIT)


def _model_case(work: Classifying, rng: np.random.Generator) -> ModelCase:
    params = {
        name: array.copy() if name in INTEGERS else array.astype(np.float64)
        for name, array in work.model.params.items()
    }
    model = replace(work.model, params=params, frozen=())  # the gradient of what a run leaves alone is checked too
    unsettle(model, rng)
    texts = short_texts(work.train, rng)
    batch = make_batch(texts, np.arange(len(texts)))
    weights = None if work.class_weights is None else work.class_weights.astype(np.float64)
    return ModelCase(model, batch, weights, int(rng.integers(2**32)), work.smoothing)


def _tagger_case(work: TaggingWork, rng: np.random.Generator) -> TaggerCase:
    short = np.flatnonzero(work.train.lengths <= max(LENGTHS))
    rows = rng.permutation(short if len(short) else np.arange(1))[: len(LENGTHS)]
    model = in_float64(work.model, rng)
    return TaggerCase(model, make_tagged_batch(work.train, rows), int(rng.integers(2**32)), work.smoothing)


def _language_case(work: LanguageWork, rng: np.random.Generator) -> LanguageCase:
    model = in_float64(work.model, rng)
    steps = min(LENGTHS[0], len(work.train) - 1)
    firsts = rng.integers(0, len(work.train) - steps, 3)
    ids = np.stack([work.train.tokens[first : first + steps + 1] for first in firsts]).astype(np.int64)
    state: list[State] = [
        (0.5 * rng.standard_normal(h.shape), None if c is None else rng.standard_normal(c.shape))
        for h, c in model.fresh_state(len(ids))
    ]
    inputs = ids[:, :-1]
    starts = document_starts(inputs, work.end_of_text)
    candidates = work.draw(ids[:, 1:], rng)
    return LanguageCase(model, inputs, ids[:, 1:], starts, state, int(rng.integers(2**32)), work.smoothing, candidates)


def short_texts(texts: EncodedTexts, rng: np.random.Generator) -> EncodedTexts:
    """Take the beginnings of a few texts, from as many classes as there are.

    Parameters
    ----------
    texts : EncodedTexts
        The training part.
    rng : numpy.random.Generator
        Decides which.

    Returns
    -------
    EncodedTexts
        One text for each of ``LENGTHS``, or all if there are fewer; no longer than that, and never without a token.
    """
    rows = _spread_over_classes(texts.labels, rng)[: len(LENGTHS)]
    pieces = [
        texts.ids[start : min(start + length, end)]
        for start, end, length in zip(texts.offsets[rows], texts.offsets[rows + 1], LENGTHS, strict=False)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])])
    return EncodedTexts(np.concatenate(pieces), offsets, texts.labels[rows])


def _spread_over_classes(labels: IntArray, rng: np.random.Generator) -> IntArray:
    """Return all rows in an order that takes one of each class in turn."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return by_class[np.argsort(turn, kind="stable")]
