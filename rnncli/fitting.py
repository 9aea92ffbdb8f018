"""Training on texts that are in memory, without a folder of a run."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.assembly import build_trainer
from rnncli.config import Config
from rnncli.data.dataset import Dataset
from rnncli.errors import ConfigError, GradientError
from rnncli.first_weights import take_first_weights
from rnncli.joining import share_data, share_weights
from rnncli.packing import Array
from rnncli.postmortem import not_finite
from rnncli.run import Progress, worker_count
from rnncli.tasks import task_of
from rnncli.tasks.classification import Labelled
from rnncli.trained import Trained
from rnncli.training import StepDone, Trainer
from rnncli.workers.launch import processes


class Fitted(NamedTuple):
    """What training on texts in memory gives.

    Attributes
    ----------
    trained : Trained
        The model of the best validation; without any, that of the last step.
    history : list of dict
        Step, epoch and figures of each validation.
    epochs : int
        Passes over the training part that were begun.
    """

    trained: Trained
    history: list[dict[str, Any]]
    epochs: int


def fit(config: Config, data: Dataset, progress: Progress | None = None) -> Fitted:
    """Train a classifier.

    Parameters
    ----------
    config : Config
        What to train; where its data is does not matter.
    data : Dataset
        On what. With an empty validation part nothing is validated, and all epochs are made.
    progress : Progress, optional
        Is told what happens.

    Returns
    -------
    Fitted
        The model.

    Raises
    ------
    RnncliError
        If the config does not fit the data, or a loss is not finite.
    """
    validates = len(data.valid) > 0
    if not validates:
        _refuse_what_needs_validations(config)
    start = time.perf_counter()
    tokens = 0
    history: list[dict[str, Any]] = []
    best: dict[str, Array] = {}
    with processes(worker_count(config)) as exchange:
        shared = share_data(exchange, config, data)
        trainer = build_trainer(config, shared)
        take_first_weights(trainer, config, shared)
        share_weights(exchange, trainer)
        if not validates:
            trainer.settings = replace(trainer.settings, validate_every=trainer.total_steps)
        if progress is not None:
            progress.started(trainer)
        for event in trainer.run():
            seconds = time.perf_counter() - start
            if isinstance(event, StepDone):
                tokens += event.tokens
                if progress is not None:
                    progress.step(event, tokens / seconds)
                if event.step == trainer.total_steps and not validates:
                    break  # before the validation that would come next
                continue
            history.append({"step": event.step, "epoch": event.epoch, **event.figures, "improved": event.improved})
            if event.improved:
                best = _weights(trainer)
            if progress is not None:
                progress.validated(event, seconds)
        best = best or _weights(trainer)
        if progress is not None:
            progress.finished()
        model = task_of(config).network(config, best)
        learned = Labelled(data.vocabulary, data.labels)
        figures = next((row for row in reversed(history) if row["improved"]), None)
        trained = Trained(model, learned, config, {"step": trainer.step, "metrics": figures}, {})
        return Fitted(trained, history, trainer.epoch)


def _weights(trainer: Trainer) -> dict[str, Array]:
    """Return a copy of the weights that validations see."""
    trainer.collect()
    params = trainer.model.params if trainer.means is None else trainer.means.of(trainer.model.params)
    broken = not_finite(params)
    if broken is not None:
        raise GradientError(
            f"the weights {broken} are not finite after step {trainer.step}", remedy="Lower optim.lr (lr)"
        )
    return {name: array.copy() for name, array in params.items()}


def _refuse_what_needs_validations(config: Config) -> None:
    needs = {
        "train.patience": config.train.patience is not None,
        "train.validate_every": config.train.validate_every is not None,
        "train.best_metric": "best_metric" in config.train.model_fields_set,
        "data.split_seed": config.data.split_seed is not None,
        "optim.schedule: plateau": config.optim.schedule.name == "plateau",
    }
    for key, given in needs.items():
        if given:
            raise ConfigError(
                "has no effect without a validation part", where=key, remedy="Leave it out, or hold some texts back"
            )
