"""A trained model with all it needs to read new texts, as one checkpoint file."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnncli import __version__
from rnncli.averaging import PREFIX
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.classifiers import ANY, INTEGERS
from rnncli.config import AnyConfig, RunConfig, parse_config
from rnncli.errors import CheckpointError, ConfigError
from rnncli.packing import Array
from rnncli.tasks import task_of
from rnncli.training import Trainer
from rnncli.work import trained_weights


@dataclass(frozen=True)
class Trained:
    """What a checkpoint holds.

    Attributes
    ----------
    model : Network
        With the saved weights.
    learned : Labelled, TaggingCodec or TextCodec
        What was learned from the training part besides weights: vocabulary, labels.
    config : Config, TaggingConfig or LanguageConfig
        The resolved config of the run.
    progress : dict
        Step, metrics and counters at the time of saving.
    arrays : dict of str to ndarray
        What else a trainer needs to go on: moments, mean weights, carried states.
    """

    model: Any
    learned: Any
    config: AnyConfig
    progress: dict[str, Any]
    arrays: dict[str, Array]

    def use_average(self) -> "Trained":
        """Return the same with the mean weights in the model, where the run keeps them: what its validations saw."""
        means = {name: self.arrays.get(PREFIX + name) for name in trained_weights(self.model)}
        if any(mean is None for mean in means.values()):
            return self
        return replace(self, model=replace(self.model, params={**self.model.params, **means}))


def save_trained(path: Path, trainer: Trainer, config: RunConfig, data: Any, progress: dict[str, Any]) -> None:
    """Write everything about a training run into one file.

    Parameters
    ----------
    path : Path
        The checkpoint; replaced as a whole or not at all.
    trainer : Trainer
        Weights and what else there is.
    config : Config
        The resolved config.
    data
        What it trains on, of which what was learned is saved.
    progress : dict
        Where the run is, ready for JSON.

    Raises
    ------
    CheckpointError
        If it cannot be written; an earlier file of that name is intact.
    """
    stored = task_of(config).store(data)
    metadata = {
        "rnncli_version": __version__,
        "config": config.model_dump(mode="json"),
        **stored.metadata,
        "progress": progress,
    }
    tensors = {**trainer.model.params, **trainer.arrays()}
    save_checkpoint(path, tensors, metadata, vocabulary=stored.tokens)


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
        progress = metadata["progress"]
        if type(progress["step"]) is not int:
            raise ValueError("step")
        task = task_of(config)
        learned = task.restore(config, metadata, checkpoint.vocabulary)
    except ConfigError as error:
        reason = "; ".join(str(error).splitlines())
        raise CheckpointError(reason, remedy="Use the version of rnncli that wrote it") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"holds no usable {error}", where=str(path), remedy="Was it written by rnncli train?"
        ) from error
    # Sizes are compared before anything of that size is made: a file may claim any.
    params = {}
    shapes = task.shapes(config, learned)
    many = next((np.size(checkpoint.tensors.get(name, ())) for name, shape in shapes.items() if ANY in shape), 0)
    for name, with_any in shapes.items():
        array = checkpoint.tensors.get(name)
        shape, dtype = tuple(many if n == ANY else n for n in with_any), "int32" if name in INTEGERS else "float32"
        if array is None or (array.shape, array.dtype.name) != (shape, dtype):
            found = (
                "is missing" if array is None else f"is {array.dtype} {array.shape}, its config says {dtype} {shape}"
            )
            raise CheckpointError(f"tensor {name} {found}", where=str(path), remedy="Was it written by rnncli train?")
        if name in INTEGERS and ((array < 0).any() or (array[1:] <= array[:-1]).any()):  # looked up by halving
            what = f"tensor {name} does not rise from 0 or more, each number once"
            raise CheckpointError(what, where=str(path), remedy="Was it written by rnncli train?")
        params[name] = array
    arrays = {name: array for name, array in checkpoint.tensors.items() if "/" in name}
    for name, array in arrays.items():
        own = params.get(name.removeprefix(PREFIX))
        if name.startswith(PREFIX) and (own is None or (array.shape, array.dtype) != (own.shape, own.dtype)):
            raise CheckpointError(
                f"tensor {name} is not like its weights", where=str(path), remedy="Was it written by rnncli train?"
            )
    return Trained(task.network(config, params), learned, config, progress, arrays)


def _good_checkpoint_beside(path: Path) -> Path | None:
    """Return another checkpoint in the folder that can be read, the newest step first."""
    steps: dict[Path, int] = {}
    for other in path.parent.glob("*.safetensors"):
        with suppress(CheckpointError, KeyError, TypeError, ValueError):
            if other != path:
                steps[other] = int(load_checkpoint(other).metadata["progress"]["step"])
    return max(steps, key=lambda other: steps[other], default=None)
