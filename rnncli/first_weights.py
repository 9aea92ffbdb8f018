"""The weights that a new run begins with, where they are not all drawn: word vectors, and another run's weights."""

from pathlib import Path
from typing import Any

from rnncli.config import RunConfig
from rnncli.errors import ConfigError
from rnncli.tasks import task_of
from rnncli.tasks.vectors import Coverage, take_vectors
from rnncli.trained import load_trained
from rnncli.training import Trainer
from rnncli.work import trained_weights


def take_first_weights(trainer: Trainer, config: RunConfig, data: Any) -> Coverage | None:
    """Put what a config says to start from into a new trainer.

    Parameters
    ----------
    trainer : Trainer
        At step 0; its model is changed in place. What another run has learned goes before word vectors.
    config : RunConfig
        With ``model.embedding.vectors`` and ``init_from``, or neither.
    data
        What it will be trained on.

    Returns
    -------
    Coverage or None
        What a file of word vectors had, if there is one.

    Raises
    ------
    RnncliError
        If one of the two cannot be read or does not fit.
    """
    coverage, vectors = None, config.model.embedding.vectors
    if vectors is not None:
        coverage = take_vectors(trainer.model, vectors, task_of(config).words(data))
    if config.init_from is not None:
        _take_over(config.init_from, trainer, config, data)
    if trainer.averages is not None:  # begin anew with these weights
        trainer.averages.prepare(trained_weights(trainer.model))
    return coverage


def _take_over(checkpoint: str, trainer: Trainer, config: RunConfig, data: Any) -> None:
    """Take over the weights of another run."""
    source = load_trained(Path(checkpoint)).use_average()
    if source.config.task != config.task:
        raise ConfigError(
            f"{checkpoint} is of task {source.config.task}, this config of {config.task}",
            where="init_from",
            remedy="Name a checkpoint of the same task",
        )
    task_of(config).take_weights(trainer.model, data, source, checkpoint)
