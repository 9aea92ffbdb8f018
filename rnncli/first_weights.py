"""The weights that a new run begins with, where they are not all drawn: word vectors, and another run's weights."""

from pathlib import Path
from typing import Any, NamedTuple

from rnncli.config import RunConfig
from rnncli.errors import ConfigError
from rnncli.run_dir import find_checkpoint
from rnncli.tasks import task_of
from rnncli.tasks.vectors import Coverage, take_vectors
from rnncli.tasks.weights import Taken
from rnncli.trained import load_trained
from rnncli.training import Trainer
from rnncli.work import trained_weights


class FirstWeights(NamedTuple):
    """What a new model has not been drawn.

    Attributes
    ----------
    vectors : Coverage or None
        What a file of word vectors had, if there is one.
    taken : Taken or None
        What another run has given, if there is one.
    """

    vectors: Coverage | None
    taken: Taken | None


def take_first_weights(trainer: Trainer, config: RunConfig, data: Any) -> FirstWeights:
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
    FirstWeights
        What there was.

    Raises
    ------
    RnncliError
        If one of the two cannot be read or does not fit.
    """
    coverage, taken, vectors = None, None, config.model.embedding.vectors
    if vectors is not None:
        coverage = take_vectors(trainer.model, vectors, task_of(config).words(data))
    if config.init_from is not None:
        taken = _take_over(config.init_from, trainer, config, data)
    if trainer.averages is not None:  # begin anew with these weights
        trainer.averages.prepare(trained_weights(trainer.model))
    return FirstWeights(coverage, taken)


def _take_over(place: str, trainer: Trainer, config: RunConfig, data: Any) -> Taken:
    """Take over the weights of another run."""
    checkpoint = find_checkpoint(Path(place))
    source = load_trained(checkpoint).use_average()
    if source.config.task not in (config.task, "language_model"):
        others = "" if config.task == "language_model" else " or of a language model"
        raise ConfigError(
            f"{checkpoint} is of task {source.config.task}, this config of {config.task}",
            where="init_from",
            remedy=f"Name a checkpoint of the same task{others}",
        )
    return task_of(config).take_weights(config, trainer.model, data, source, str(checkpoint))
