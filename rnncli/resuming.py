"""Going on with a run: what may have changed since, and what may not."""

import hashlib
from typing import Any

import numpy as np

from rnncli.config import Config
from rnncli.data.dataset import Dataset
from rnncli.errors import ConfigError, DataError
from rnncli.trained import Trained
from rnncli.training import Trainer

# Keys that may be changed with --set on resuming: how long to go on, how fast, and when to look and save.
SAFE = (
    "train.epochs",
    "train.max_steps",
    "train.patience",
    "train.log_every",
    "train.validate_every",
    "train.checkpoint_every_steps",
    "train.checkpoint_every_minutes",
    "train.on_nonfinite",
    "optim.lr",
    "optim.clip_norm",
    "optim.schedule",
)


def flattened(config: Config) -> dict[str, Any]:
    """Return every key of a config with its value, nested keys joined by dots."""

    def walk(prefix: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= walk(f"{prefix}.{key}" if prefix else key, inner)
        return found

    return walk("", config.model_dump(mode="json"))


def changed_keys(saved: Config, config: Config, given: tuple[str, ...]) -> dict[str, list[Any]]:
    """Compare a run's config with the one to go on with.

    Parameters
    ----------
    saved : Config
        From the run's checkpoint.
    config : Config
        As it is now.
    given : tuple of str
        The ``--set`` arguments, ``key=value``.

    Returns
    -------
    dict of key to [old value, new value]
        What changes.

    Raises
    ------
    ConfigError
        One line for each key that differs and was not given with ``--set``, or may not be changed on the way.
    """
    old, new = flattened(saved), flattened(config)
    changes = {
        key: [old.get(key), new.get(key)] for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)
    }
    named = [argument.partition("=")[0].strip() for argument in given]
    problems = []
    for key, (before, now) in changes.items():
        safe = any(key == name or key.startswith(f"{name}.") for name in SAFE)
        if not safe:
            remedy = (
                "It cannot change within a run; start another with --set name=OTHER, or from these weights: init_from"
            )
            problems.append(f"{key}: the run has {before!r}, the config now says {now!r}. {remedy}")
        elif not any(key == name or key.startswith(f"{name}.") for name in named):
            remedy = f"To change it on the way, say so: --set {key}={now}"
            problems.append(f"{key}: the run has {before!r}, the config now says {now!r}. {remedy}")
    if problems:
        raise ConfigError("\n".join(problems))
    return changes


def digest_of_data(data: Dataset) -> str:
    """Return a digest of the encoded texts, the vocabulary and the labels that a run trains on."""
    hashed = hashlib.sha256(repr((data.vocabulary.tokens, data.labels)).encode("utf-8", "surrogatepass"))
    for part in (data.train, data.valid):
        for array in (part.ids, part.offsets, part.labels):
            hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def restore_trainer(trainer: Trainer, saved: Trained, data: Dataset, where: str) -> None:
    """Bring a fresh trainer to where a checkpoint was.

    Parameters
    ----------
    trainer : Trainer
        Built for the same config and data.
    saved : Trained
        The checkpoint.
    data : Dataset
        What the trainer will train on.
    where : str
        The checkpoint's name, for the message.

    Raises
    ------
    DataError
        If the data is not what the run was started on.
    """
    if saved.progress["data"] != digest_of_data(data):
        raise DataError(
            "the data has changed since this run was started",
            where=where,
            remedy="Put the old data back, or start another run with --set name=OTHER",
        )
    trainer.restore(saved.progress, saved.model.params, saved.moments)
