"""From the ``model`` section of a classifier's config to the model: the shapes of its weights, and the first ones."""

import numpy as np

from rnncli.config import ModelConfig
from rnncli.models import Model
from rnncli.packing import Array
from rnncli.penalized import Penalties
from rnncli.stacks import cell_of, fresh_weights, layer_shapes


def build_model(
    config: ModelConfig, vocabulary_size: int, classes: int, rng: np.random.Generator, dtype: type = np.float32
) -> Model:
    """Build a model with fresh weights.

    Parameters
    ----------
    config : ModelConfig
        The ``model`` section of a config.
    vocabulary_size, classes : int
        V and C.
    rng : numpy.random.Generator
        Draws the first weights; see :func:`rnncli.stacks.fresh_weights`.
    dtype : type
        float32 to train, float64 to check gradients.

    Returns
    -------
    Model
        The model.
    """
    shapes = weight_shapes(config, vocabulary_size, classes)
    return model_with(config, fresh_weights(shapes, rng, getattr(config.rnn, "forget_bias", None), dtype))


def model_with(config: ModelConfig, params: dict[str, Array]) -> Model:
    """Build a model of weights that there are.

    Parameters
    ----------
    config : ModelConfig
        The ``model`` section of a config.
    params : dict of str to ndarray
        With the names and shapes of :func:`weight_shapes`; not copied.

    Returns
    -------
    Model
        The model.
    """
    return Model(
        cell=cell_of(config.rnn.cell, getattr(config.rnn, "reset", None)),
        layers=config.rnn.layers,
        directions=_directions(config),
        poolings=config.poolings,
        loss_name=config.loss,
        word_dropout=config.embedding.word_dropout,
        embedding_dropout=config.embedding.dropout,
        state_dropout=config.rnn.state_dropout,
        recurrent_dropout=config.rnn.recurrent_dropout,
        between_dropout=config.rnn.dropout,
        pooled_dropout=config.dropout,
        variational=config.variational,
        penalties=Penalties(config.activation_penalty, config.slowness_penalty),
        params=params,
        frozen=("embedding.W",) if config.embedding.frozen else (),
    )


def weight_shapes(config: ModelConfig, vocabulary_size: int, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a model, without making any.

    Parameters
    ----------
    config : ModelConfig
        The ``model`` section of a config.
    vocabulary_size, classes : int
        V and C.

    Returns
    -------
    dict of str to tuple of int
        In the order in which the model's first weights are drawn.
    """
    cell, directions = cell_of(config.rnn.cell, getattr(config.rnn, "reset", None)), _directions(config)
    H, D = config.rnn.hidden, config.embedding.dim
    beside = 0 if config.ngrams is None else config.ngrams.columns(classes)
    shapes: dict[str, tuple[int, ...]] = {"embedding.W": (vocabulary_size, D)}
    for layer in range(config.rnn.layers):
        inputs = len(directions) * H if layer else D + beside
        for direction in directions:
            shapes |= layer_shapes(cell, f"rnn{layer}.{direction}", inputs, H)
    states, outputs = len(directions) * H, 1 if config.loss == "binary" else classes
    if "attention" in config.poolings:
        shapes["attention.w"] = (states,)
    return shapes | {"output.w": (len(config.poolings) * states, outputs), "output.b": (outputs,)}


def _directions(config: ModelConfig) -> tuple[str, ...]:
    return ("fwd", "bwd") if config.rnn.bidirectional else ("fwd",)
