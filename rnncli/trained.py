"""A trained model with all it needs to read new texts, as one checkpoint file."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli import __version__
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.config import Config, parse_config
from rnncli.data.dataset import Dataset
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import CheckpointError, ConfigError, shown_on_one_line
from rnncli.models import Model, model_with, weight_shapes
from rnncli.packing import Array
from rnncli.training import Trainer


@dataclass(frozen=True)
class Trained:
    """What a checkpoint holds.

    Attributes
    ----------
    model : Model
        With the saved weights.
    vocabulary : Vocabulary
        Token to id.
    labels : tuple of str
        Name of each class id.
    config : Config
        The resolved config of the run.
    progress : dict
        Step, metrics and counters at the time of saving.
    moments : dict of str to ndarray
        The optimizer's state.
    """

    model: Model
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    config: Config
    progress: dict[str, Any]
    moments: dict[str, Array]


def save_trained(path: Path, trainer: Trainer, config: Config, data: Dataset, progress: dict[str, Any]) -> None:
    """Write everything about a training run into one file.

    Parameters
    ----------
    path : Path
        The checkpoint; replaced as a whole or not at all.
    trainer : Trainer
        Weights and moments.
    config : Config
        The resolved config.
    data : Dataset
        Its vocabulary and labels are saved.
    progress : dict
        Where the run is, ready for JSON.

    Raises
    ------
    CheckpointError
        If it cannot be written; an earlier file of that name is intact.
    """
    metadata = {
        "rnncli_version": __version__,
        "config": config.model_dump(mode="json"),
        "labels": list(data.labels),
        "progress": progress,
    }
    tensors = {**trainer.model.params, **trainer.optimizer.state}
    save_checkpoint(path, tensors, metadata, vocabulary=data.vocabulary.tokens)


def load_trained(path: Path, *, instead: str = "Use the one beside it: {beside}") -> Trained:
    """Read a checkpoint and build its model.

    Parameters
    ----------
    path : Path
        A file that :func:`save_trained` wrote.
    instead : str
        What to do, in the message, if it cannot be read and another checkpoint beside it can.

    Returns
    -------
    Trained
        The model and all it needs.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another format; names a good one beside it where there is one.
    """
    try:
        checkpoint = load_checkpoint(path)
    except CheckpointError as error:
        beside = _good_checkpoint_beside(path)
        if beside is None:
            raise
        raise CheckpointError(error.what, where=error.where, remedy=instead.format(beside=beside)) from None
    try:
        metadata = checkpoint.metadata
        config = parse_config(metadata["config"], f"{path} (config)")
        labels, progress = tuple(metadata["labels"]), metadata["progress"]
        if type(progress["step"]) is not int:
            raise ValueError("step")
        if len(set(labels)) < max(2, len(labels)) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels")
        if any(shown_on_one_line(label) != label for label in labels):
            raise ValueError("labels")
        if config.model.loss == "binary" and len(labels) != 2:
            raise ValueError("labels")
        vocabulary = Vocabulary(checkpoint.vocabulary)
    except ConfigError as error:
        reason = "; ".join(str(error).splitlines())
        raise CheckpointError(reason, remedy="Use the version of rnncli that wrote it") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"holds no usable {error}", where=str(path), remedy="Was it written by rnncli train?"
        ) from error
    # Sizes are compared before anything of that size is made: a file may claim any.
    params = {}
    for name, shape in weight_shapes(config.model, len(vocabulary), len(labels)).items():
        array = checkpoint.tensors.get(name)
        if array is None or (array.shape, array.dtype) != (shape, np.dtype(np.float32)):
            found = (
                "is missing" if array is None else f"is {array.dtype} {array.shape}, its config says float32 {shape}"
            )
            raise CheckpointError(f"tensor {name} {found}", where=str(path), remedy="Was it written by rnncli train?")
        params[name] = array
    model = model_with(config.model, params)
    moments = {name: array for name, array in checkpoint.tensors.items() if "/" in name}
    return Trained(model, vocabulary, labels, config, progress, moments)


def _good_checkpoint_beside(path: Path) -> Path | None:
    """Return another checkpoint in the folder that can be read, the newest step first."""
    steps: dict[Path, int] = {}
    for other in path.parent.glob("*.safetensors"):
        with suppress(CheckpointError, KeyError, TypeError, ValueError):
            if other != path:
                steps[other] = int(load_checkpoint(other).metadata["progress"]["step"])
    return max(steps, key=lambda other: steps[other], default=None)


def take_weights(model: Model, data: Dataset, source: Trained, where: str) -> None:
    """Start a new model from another's weights (``init_from``).

    The embeddings are matched by token, so the vocabularies may differ; the recurrent layers must be of one shape.
    The output layer is taken over where the labels are the same, else it stays fresh.

    Parameters
    ----------
    model : Model
        Changed in place.
    data : Dataset
        Its vocabulary and labels.
    source : Trained
        Whose weights to take.
    where : str
        The source's name, for messages.

    Raises
    ------
    ConfigError
        If a tensor has another shape in the two models, one has more of them, or the cells differ.
    """
    theirs = source.model.params
    if source.model.cell is not model.cell:
        raise ConfigError(
            f"{where} has another cell ({source.config.model.rnn.cell}) than this config",
            where="init_from",
            remedy="Give model.rnn the cell of that checkpoint, a gru also its reset",
        )
    for name in theirs:
        if name not in model.params:
            raise ConfigError(
                f"{where} has the tensor {name}, which the model of this config does not",
                where="init_from",
                remedy="Give the model section the sizes of that checkpoint",
            )
    for name, array in model.params.items():
        if name.startswith("output.") and source.labels != data.labels:
            continue
        if name == "embedding.W":
            if theirs[name].shape[1] != array.shape[1]:
                raise _does_not_fit(where, name, theirs[name].shape, array.shape)
            shared = [token for token in data.vocabulary.tokens if token in source.vocabulary]
            array[data.vocabulary.encode(shared)] = theirs[name][source.vocabulary.encode(shared)]
        elif name not in theirs or theirs[name].shape != array.shape:
            raise _does_not_fit(where, name, theirs[name].shape if name in theirs else None, array.shape)
        else:
            array[...] = theirs[name]


def _does_not_fit(where: str, name: str, theirs: tuple[int, ...] | None, ours: tuple[int, ...]) -> ConfigError:
    found = "does not have" if theirs is None else f"has, with shape {theirs},"
    return ConfigError(
        f"{where} {found} the tensor {name}, which this config makes of shape {ours}",
        where="init_from",
        remedy="Give the model section the sizes of that checkpoint",
    )
