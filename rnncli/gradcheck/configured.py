"""The very model of a config, on a small batch of its own data."""

from dataclasses import replace

import numpy as np

from rnncli.assembly import build_trainer
from rnncli.config import Config
from rnncli.data.batches import make_batch
from rnncli.data.dataset import Dataset, EncodedTexts
from rnncli.gradcheck.checks import GradientCheck, IdentityCheck, Inputs
from rnncli.gradcheck.models import ModelCase, model_rows, unsettle
from rnncli.packing import IntArray

# Tokens kept of each text: ragged, one of length 1, the longest not first; few, because each element checked takes
# four or more forward passes.
LENGTHS = (9, 1, 12, 7, 12, 4)
LIMIT = 24


def configured_checks(config: Config, data: Dataset) -> tuple[GradientCheck, IdentityCheck]:
    """Return the rows of a config's model.

    The weights are those that a run of the config starts from, in float64, with the embeddings enlarged and the biases
    moved off zero so that every term of a gradient counts. Dropout rates and class weights are the config's.

    Parameters
    ----------
    config : Config
        The config.
    data : Dataset
        Its data.

    Returns
    -------
    GradientCheck, IdentityCheck
        The loss by every parameter; and what :func:`rnncli.gradcheck.models.model_identities` compares.

    Raises
    ------
    ConfigError
        If the config does not fit the data.
    """
    trainer = build_trainer(config, data)

    def build(rng: np.random.Generator) -> ModelCase:
        params: Inputs = {name: array.astype(np.float64) for name, array in trainer.model.params.items()}
        model = replace(trainer.model, params=params)
        unsettle(model, rng)
        texts = short_texts(data.train, rng)
        batch = make_batch(texts, np.arange(len(texts)))
        weights = None if trainer.class_weights is None else trainer.class_weights.astype(np.float64)
        return ModelCase(model, batch, weights, int(rng.integers(2**32)))

    return model_rows(f"model of {config.name}", build, LIMIT)


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
