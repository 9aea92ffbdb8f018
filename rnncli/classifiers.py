"""From the ``model`` section of a config to a classifier, with n-grams beside its recurrent layers or without."""

from typing import Any

import numpy as np

from rnncli.building import build_model, model_with, weight_shapes
from rnncli.config import ModelConfig
from rnncli.config.ngrams import NgramConfig
from rnncli.models import Model
from rnncli.ngram_counts import NgramCounts, log_count_ratios
from rnncli.packing import Array
from rnncli.wide_models import BIAS, FIXED, KEYS, RATIOS, SCALE, TABLE, Wide, WideModel

START_SCALE = 0.05  # of the ratios, where they are the first weights: see docs/models.md
INTEGERS = (KEYS,)  # arrays that are not of floats
ANY = -1  # a size that the config does not tell


def build_classifier(
    config: ModelConfig,
    vocabulary_size: int,
    classes: int,
    rng: np.random.Generator,
    counts: NgramCounts | None = None,
    dtype: type = np.float32,
    scale: Array | None = None,
) -> Model:
    """Build a classifier with fresh weights.

    Parameters
    ----------
    config : ModelConfig
        The ``model`` section of a config.
    vocabulary_size, classes : int
        V and C.
    rng : numpy.random.Generator
        Draws the first weights.
    counts : NgramCounts, optional
        The n-grams of the training part, if the config has a wide branch; its first weights are zero, or the
        log-count ratios times ``START_SCALE``.
    dtype : type
        float32 to train, float64 to check gradients.
    scale : ndarray of shape (E,), optional
        What the ratios that the layers read are divided by, if the config has them read any.

    Returns
    -------
    Model
        A :class:`WideModel` if the config has ``ngrams``.
    """
    model = build_model(config, vocabulary_size, classes, rng, dtype)
    if config.ngrams is None:
        return model
    assert counts is not None
    ratios: Array = log_count_ratios(counts.texts).astype(dtype)
    params: dict[str, Any] = {**model.params, KEYS: counts.keys}
    if _keeps_ratios(config.ngrams):
        params[RATIOS] = ratios
    if config.ngrams.inputs:
        assert scale is not None
        params[SCALE] = scale.astype(dtype)
    first = START_SCALE * ratios if config.ngrams.naive_bayes == "start" else np.zeros_like(ratios)
    params |= {TABLE: first.astype(dtype), BIAS: np.zeros(ratios.shape[1], dtype)}
    return classifier_with(config, params)


def classifier_with(config: ModelConfig, params: dict[str, Array]) -> Model:
    """Build a classifier of weights that there are; see :func:`rnncli.building.model_with`."""
    model = model_with(config, params)
    if config.ngrams is None:
        return model
    settings = config.ngrams
    wide = Wide(
        orders=settings.orders,
        dropout=settings.dropout,
        own_loss=settings.loss == "own",
        share=settings.share,
        weighted=settings.naive_bayes == "weight",
        inputs=settings.inputs,
    )
    fixed = tuple(name for name in FIXED if name in params)
    return WideModel(**{**vars(model), "frozen": (*model.frozen, *fixed)}, wide=wide)


def classifier_shapes(config: ModelConfig, vocabulary_size: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a classifier; see :func:`rnncli.building.weight_shapes`.

    Parameters
    ----------
    config : ModelConfig
        The ``model`` section of a config.
    vocabulary_size, classes : int
        V and C.

    Returns
    -------
    dict of str to tuple of int
        Of float32, but for ``KEYS``, which are of int32. What only the training part tells, how many n-grams have a
        row, is ``ANY``: the same number in each of the shapes.
    """
    shapes = weight_shapes(config, vocabulary_size, classes)
    if config.ngrams is None:
        return shapes
    K = 1 if classes == 2 else classes
    shapes[KEYS] = (ANY,)
    if _keeps_ratios(config.ngrams):
        shapes[RATIOS] = (ANY, K)
    if config.ngrams.inputs:
        shapes[SCALE] = (config.ngrams.columns(classes),)
    return shapes | {TABLE: (ANY, K), BIAS: (K,)}


def _keeps_ratios(settings: NgramConfig) -> bool:
    """Return whether the ratios are of use once the first weights are there."""
    return settings.naive_bayes == "weight" or settings.inputs
