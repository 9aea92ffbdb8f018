"""Going on with a run: what may have changed since, and what may not."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rnncli.config import RunConfig
from rnncli.errors import CheckpointError, ConfigError, DataError
from rnncli.tasks import task_of
from rnncli.trained import Trained
from rnncli.training import Trainer
from rnncli.work import trained_weights

# Keys that may be changed with --set on resuming: how long to go on, how fast, and when to look and save.
SAFE = (
    "train.epochs",
    "train.max_steps",
    "train.patience",
    "train.log_every",
    "train.tensorboard",
    "train.validate_every",
    "train.checkpoint_every_steps",
    "train.checkpoint_every_minutes",
    "train.on_nonfinite",
    "train.workers",
    "optim.lr",
    "optim.clip_norm",
    "optim.schedule",
)

_Count = Annotated[int, Field(ge=0, le=2**53)]


class _Saved(BaseModel):
    """What a checkpoint's ``progress`` must hold; its digest proves that it is whole, not that it makes sense."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _SavedSums(_Saved):
    model_config = ConfigDict(extra="forbid")
    loss: float
    texts: _Count
    tokens: _Count
    train_seconds: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    metrics_bytes: _Count


class _SavedPlateau(_Saved):
    factor: Annotated[float, Field(gt=0, le=1)]
    lowest: float | None
    waited: _Count


class _SavedProgress(_Saved):
    step: _Count
    updates: _Count
    best: float | None
    waited: _Count
    validated: _Count
    skipped: _Count
    norms: list[float]
    plateau: _SavedPlateau | None
    averaged: _Count | None = None
    sums: _SavedSums
    data: str


def flattened(config: RunConfig) -> dict[str, Any]:
    """Return every key of a config with its value, nested keys joined by dots."""

    def walk(prefix: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return {prefix: value}
        found: dict[str, Any] = {}
        for key, inner in value.items():
            found |= walk(f"{prefix}.{key}" if prefix else key, inner)
        return found

    return walk("", config.model_dump(mode="json"))


def changed_keys(saved: RunConfig, config: RunConfig, given: tuple[str, ...]) -> dict[str, list[Any]]:
    """Compare a run's config with the one to go on with.

    Parameters
    ----------
    saved : RunConfig
        From the run's checkpoint.
    config : RunConfig
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
            problems.append(f"{key}: the run has {_yaml(before)}, the config now says {_yaml(now)}. {remedy}")
        elif not any(key == name or key.startswith(f"{name}.") for name in named):
            remedy = f"To change it on the way, say so: --set {key}={_yaml(now)}"
            problems.append(f"{key}: the run has {_yaml(before)}, the config now says {_yaml(now)}. {remedy}")
    if problems:
        raise ConfigError("\n".join(problems))
    return changes


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # which YAML reads too


def refuse_imported(saved: Trained, where: str) -> None:
    """Raise CheckpointError for a checkpoint of ``rnncli import``, which has weights and nothing else of a run."""
    if "imported" in saved.progress:
        raise CheckpointError(
            f"was imported from {saved.progress['imported']}, which has weights alone: there is no run to go on with",
            where=where,
            remedy=f"Start one from its weights: --set init_from={where}",
        )


def restore_trainer(trainer: Trainer, saved: Trained, data: Any, where: str) -> None:
    """Bring a fresh trainer to where a checkpoint was.

    Parameters
    ----------
    trainer : Trainer
        Built for the same config and data.
    saved : Trained
        The checkpoint.
    data
        What the trainer will train on.
    where : str
        The checkpoint's name, for the message.

    Raises
    ------
    CheckpointError
        If it lacks what it takes to go on, as one of another version may.
    DataError
        If the data is not what the run was started on.
    """
    _refuse_incomplete(trainer, saved, where)
    if saved.progress["data"] != task_of(saved.config).digest(data):
        raise DataError(
            "the data has changed since this run was started",
            where=where,
            remedy="Put the old data back, or start another run with --set name=OTHER",
        )
    trainer.restore(saved.progress, saved.model.params, saved.arrays)


def _refuse_incomplete(trainer: Trainer, saved: Trained, where: str) -> None:
    """Raise for counters or moments that are missing or not of their kind."""
    problem = ""
    try:
        progress = _SavedProgress.model_validate(saved.progress)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"progress.{'.'.join(map(str, first['loc']))}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    else:
        weights, moments = trained_weights(trainer.model), trainer.optimizer.rule.moments
        expected = {f"{moment}/{name}": array for name, array in weights.items() for moment in moments}
        expected |= trainer.arrays()  # means that there are from the start, and carried states
        if trainer.averages is not None and progress.averaged:
            expected |= trainer.averages.state
        found = saved.arrays
        for name in sorted(found.keys() ^ expected.keys() if progress.updates else found.keys() - expected.keys()):
            problem = f"the array {name[:80]!a} is {'missing' if name in expected else 'not one it has'}"
        for name in found.keys() & expected.keys():
            wanted, array = expected[name], found[name]
            if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
                problem = f"the array {name} is {array.dtype} {array.shape}, not what it should be"
    if problem:
        raise CheckpointError(
            f"cannot be resumed from: {problem}",
            where=where,
            remedy="Was it written by this version of rnncli? A new run can start from its weights: init_from",
        )
