"""A trained model with all it needs to read new texts, as one checkpoint file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli import __version__
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.config import Config, parse_config
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import CheckpointError, ConfigError
from rnncli.models import Model, build_model
from rnncli.randomness import generator
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
        Step, epoch, metrics and counters at the time of saving.
    """

    model: Model
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    config: Config
    progress: dict[str, Any]


def save_trained(
    path: Path,
    trainer: Trainer,
    config: Config,
    vocabulary: Vocabulary,
    labels: tuple[str, ...],
    metrics: dict[str, Any],
) -> None:
    """Write everything about a training run into one file.

    Parameters
    ----------
    path : Path
        The checkpoint; replaced as a whole or not at all.
    trainer : Trainer
        Weights, moments and counters.
    config : Config
        The resolved config.
    vocabulary : Vocabulary
        Token to id.
    labels : tuple of str
        Name of each class id.
    metrics : dict
        The last validation's figures.

    Raises
    ------
    CheckpointError
        If it cannot be written; an earlier file of that name is intact.
    """
    tensors = {**trainer.model.params, **trainer.optimizer.state}
    metadata = {
        "rnncli_version": __version__,
        "config": config.model_dump(mode="json"),
        "labels": list(labels),
        "progress": {"metrics": metrics, "updates": trainer.optimizer.step_count, **trainer.counters()},
    }
    save_checkpoint(path, tensors, metadata, vocabulary=vocabulary.tokens)


def load_trained(path: Path) -> Trained:
    """Read a checkpoint and build its model.

    Parameters
    ----------
    path : Path
        A file that :func:`save_trained` wrote.

    Returns
    -------
    Trained
        The model and all it needs.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another format.
    """
    checkpoint = load_checkpoint(path)
    try:
        metadata = checkpoint.metadata
        config = parse_config(metadata["config"], f"{path} (config)")
        labels, progress = tuple(metadata["labels"]), metadata["progress"]
        int(progress["step"])
        if len(set(labels)) < max(2, len(labels)) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels")
        vocabulary = Vocabulary(checkpoint.vocabulary)
    except ConfigError as error:
        reason = "; ".join(str(error).splitlines())
        raise CheckpointError(reason, remedy="Use the version of rnncli that wrote it") from error
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"holds no usable {error}", where=str(path), remedy="Was it written by rnncli train?"
        ) from error
    model = build_model(config.model, len(vocabulary), len(labels), generator(config.seed, "weights"))
    for name, array in model.params.items():
        saved = checkpoint.tensors.get(name)
        if saved is None or (saved.shape, saved.dtype) != (array.shape, array.dtype):
            found = "is missing"
            if saved is not None:
                found = f"is {saved.dtype} {saved.shape}, its config says {array.dtype} {array.shape}"
            raise CheckpointError(f"tensor {name} {found}", where=str(path), remedy="Was it written by rnncli train?")
        model.params[name] = saved
    return Trained(model, vocabulary, labels, config, progress)
