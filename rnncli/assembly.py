"""From a config and its data to a trainer: the one place that knows both."""

import sys

import numpy as np

from rnncli import schedules
from rnncli.config import Config, OptimConfig
from rnncli.data.dataset import Dataset, EncodedTexts
from rnncli.errors import ConfigError
from rnncli.models import build_model
from rnncli.optim import SGD, Adam, Optimizer, UpdateRule
from rnncli.packing import Array
from rnncli.randomness import generator
from rnncli.training import Settings, Trainer


def build_trainer(config: Config, data: Dataset) -> Trainer:
    """Turn a config and its data into a trainer at step 0.

    Parameters
    ----------
    config : Config
        What to train.
    data : Dataset
        On what.

    Returns
    -------
    Trainer
        Ready to run.

    Raises
    ------
    ConfigError
        If the config does not fit the data: a binary loss for other than two classes, weights for other labels.
    """
    if config.model.loss == "binary" and len(data.labels) != 2:
        raise ConfigError(
            f"'binary' is for two labels and the data has {len(data.labels)} ({', '.join(data.labels)})",
            where="model.loss",
            remedy="Use softmax",
        )
    optim, train = config.optim, config.train
    model = build_model(config.model, len(data.vocabulary), len(data.labels), generator(config.seed, "weights"))
    steps_per_epoch = -(-len(data.train) // train.batch_size)
    total_steps = min(steps_per_epoch * train.epochs, train.max_steps or sys.maxsize)
    plateau = None
    if optim.schedule.name == "plateau":
        plateau = schedules.Plateau(optim.schedule.patience, optim.schedule.factor)
    settings = Settings(
        seed=config.seed,
        epochs=train.epochs,
        max_steps=train.max_steps,
        batch_size=train.batch_size,
        lr=optim.lr,
        clip_norm=optim.clip_norm,
        schedule=_schedule(optim, steps_per_epoch, total_steps),
        validate_every=train.validate_every,
        best_metric=train.best_metric,
        patience=train.patience,
        on_nonfinite=train.on_nonfinite,
    )
    weights = class_weights(train.class_weights, data.train, data.labels)
    return Trainer(
        model, Optimizer(update_rule(optim)), data.train, data.valid, data.labels, settings, weights, plateau
    )


def class_weights(given: str | dict[str, float] | None, texts: EncodedTexts, labels: tuple[str, ...]) -> Array | None:
    """Work out what a text of each class counts in the training loss.

    Parameters
    ----------
    given : "balanced", dict of label to weight, or None
        As in the config; "balanced" is rows / (classes * rows of the class).
    texts : EncodedTexts
        The training part.
    labels : tuple of str
        Name of each class id.

    Returns
    -------
    ndarray of shape (C,), float32, or None
        The weights; None where all count the same.

    Raises
    ------
    ConfigError
        If the labels given are not those of the data.
    """
    if given is None:
        return None
    if isinstance(given, dict):
        if set(given) != set(labels):
            raise ConfigError(
                f"is for {', '.join(sorted(given))} and the data has {', '.join(labels)}",
                where="train.class_weights",
                remedy="Give one weight for each label of the data",
            )
        return np.array([given[label] for label in labels], np.float32)
    counts = np.bincount(texts.labels, minlength=len(labels))
    return (len(texts) / (len(labels) * np.maximum(counts, 1))).astype(np.float32)


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
