"""From a config and its data to a trainer: the one place that knows both."""

import sys
from typing import Any

from rnncli import schedules
from rnncli.averaging import Averages
from rnncli.config import OptimConfig, RunConfig
from rnncli.layer_groups import layer_delays, layer_groups, layer_rates
from rnncli.optim import SGD, Adam, Optimizer, UpdateRule
from rnncli.tasks import task_of
from rnncli.training import Settings, Trainer
from rnncli.wide_models import BIAS, TABLE
from rnncli.work import Work, trained_weights


def build_trainer(config: RunConfig, data: Any) -> Trainer:
    """Turn a config and its data into a trainer at step 0.

    Parameters
    ----------
    config : RunConfig
        What to train.
    data
        On what, from :func:`load_data`.

    Returns
    -------
    Trainer
        Ready to run.

    Raises
    ------
    ConfigError
        If the config does not fit the data, such as weights for labels that it does not have.
    """
    optim, train = config.optim, config.train
    work = task_of(config).build(config, data)
    steps_per_epoch = work.steps_per_epoch
    total_steps = min(steps_per_epoch * train.epochs, train.max_steps or sys.maxsize)
    plateau = None
    if optim.schedule.name == "plateau":
        plateau = schedules.Plateau(optim.schedule.patience, optim.schedule.factor)
    settings = Settings(
        seed=config.seed,
        epochs=train.epochs,
        max_steps=train.max_steps,
        lr=optim.lr,
        clip_norm=optim.clip_norm,
        schedule=_schedule(optim, steps_per_epoch, total_steps),
        validate_every=train.validate_every,
        best_metric=getattr(train, "best_metric", "loss"),
        patience=train.patience,
        on_nonfinite=train.on_nonfinite,
    )
    averages = averages_of(config)
    if averages is not None:
        averages.first = max(0, total_steps - steps_per_epoch * (train.average_last or 0))
        averages.prepare(trained_weights(work.model))
    return Trainer(work, optimizer_of(config, work), settings, plateau, averages=averages)


def averages_of(config: RunConfig) -> Averages | None:
    """Return the mean weights that a config asks for, still without any."""
    train = config.train
    return None if train.average is None and train.average_last is None else Averages(train.average)


def optimizer_of(config: RunConfig, work: Work) -> Optimizer:
    """Return the optimizer that a config asks for, still without moments."""
    groups = layer_groups(trained_weights(work.model))
    factors = layer_rates(groups, config.optim.layer_decay)
    ngrams = getattr(config.model, "ngrams", None)
    if ngrams is not None:
        factors |= dict.fromkeys((TABLE, BIAS), ngrams.lr / config.optim.lr)
    epochs = config.train.unfreeze_epochs
    every = 0 if epochs is None else max(1, round(epochs * work.steps_per_epoch))
    return Optimizer(update_rule(config.optim), factors=factors, delays=layer_delays(groups, every))


def update_rule(optim: OptimConfig) -> UpdateRule:
    """Return the update rule of the ``optim`` section of a config."""
    if optim.name == "sgd":
        return SGD(optim.momentum)
    return Adam(optim.beta1, optim.beta2, optim.eps, optim.weight_decay if optim.name == "adamw" else 0.0)


def _schedule(optim: OptimConfig, steps_per_epoch: int, total_steps: int) -> schedules.Schedule:
    chosen = optim.schedule
    if chosen.name == "linear":
        schedule = schedules.linear(total_steps, chosen.warmup_steps, chosen.final)
    elif chosen.name == "cosine":
        schedule = schedules.cosine(total_steps, chosen.warmup_steps, chosen.final)
    elif chosen.name == "step":
        schedule = schedules.drops(chosen.every_epochs * steps_per_epoch, chosen.factor)
    else:  # constant, or plateau, whose factor the trainer multiplies in
        schedule = schedules.constant()
    return schedules.with_warmup(schedule, chosen.warmup_steps)
