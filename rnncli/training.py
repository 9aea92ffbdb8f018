"""The training loop: a generator that yields what happened and does no input or output."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rnncli.data.batches import epoch_batches, make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.errors import GradientError
from rnncli.metrics import classification_report
from rnncli.models import Model
from rnncli.optim import Optimizer, clip_by_global_norm
from rnncli.packing import Array, IntArray
from rnncli.randomness import generator
from rnncli.schedules import Plateau, Schedule
from rnncli.scoring import score


class StepDone(NamedTuple):
    """One update was made; loss and accuracy are those of its batch before the update."""

    step: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    grad_norm: float
    texts: int
    tokens: int


class Validated(NamedTuple):
    """The validation part was scored."""

    step: int
    epoch: int
    loss: float
    accuracy: float
    macro_f1: float
    improved: bool


Event = StepDone | Validated


@dataclass(frozen=True)
class Settings:
    """What decides how a run goes, as plain values; the meanings are in :mod:`rnncli.config`."""

    seed: int
    epochs: int
    batch_size: int
    lr: float
    clip_norm: float | None
    schedule: Schedule
    validate_every: int | None
    best_metric: str
    patience: int | None


@dataclass
class Trainer:
    """A model in training: everything that changes from step to step.

    Attributes
    ----------
    model, optimizer : Model, Optimizer
        Moved by each step.
    train, valid : EncodedTexts
        The two parts.
    labels : tuple of str
        Name of each class id.
    settings : Settings
        How to go.
    class_weights : ndarray of shape (C,) or None
        What a text of each class counts in the training loss.
    plateau : Plateau or None
        Watches the validation loss, for that schedule.
    step : int
        Updates made.
    best : float or None
        The best validation metric yet.
    waited : int
        Validations since.
    """

    model: Model
    optimizer: Optimizer
    train: EncodedTexts
    valid: EncodedTexts
    labels: tuple[str, ...]
    settings: Settings
    class_weights: Array | None = None
    plateau: Plateau | None = None
    step: int = 0
    best: float | None = None
    waited: int = 0

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.train) / self.settings.batch_size)

    @property
    def total_steps(self) -> int:
        """Updates of the whole run, unless it stops early."""
        return self.steps_per_epoch * self.settings.epochs

    def run(self) -> Iterator[Event]:
        """Train to the end, or until patience runs out.

        Yields
        ------
        StepDone or Validated
            After every update and every validation; the trainer may be saved whenever one was yielded.

        Raises
        ------
        GradientError
            If a loss or a gradient is not finite; that step's update is not made.
        """
        validate_every = self.settings.validate_every or self.steps_per_epoch
        while self.step < self.total_steps:
            epoch, done = divmod(self.step, self.steps_per_epoch)
            rng = generator(self.settings.seed, "order", epoch)
            for rows in epoch_batches(self.train.lengths, self.settings.batch_size, rng)[done:]:
                yield self._update(rows, epoch + 1)
                if self.step % validate_every == 0 or self.step == self.total_steps:
                    yield self._validate(epoch + 1)
                    if self.settings.patience is not None and self.waited >= self.settings.patience:
                        return

    def counters(self) -> dict[str, Any]:
        """Return what, besides weights and moments, is needed to go on from here."""
        plateau = None
        if self.plateau is not None:
            lowest = self.plateau.lowest if math.isfinite(self.plateau.lowest) else None
            plateau = {"factor": self.plateau.factor, "lowest": lowest, "waited": self.plateau.waited}
        return {"step": self.step, "best": self.best, "waited": self.waited, "plateau": plateau}

    @np.errstate(over="ignore", invalid="ignore")  # a run that diverges ends in one GradientError, not in warnings
    def _update(self, rows: IntArray, epoch: int) -> StepDone:
        settings = self.settings
        batch = make_batch(self.train, rows)
        logits, cache = self.model.forward(batch, generator(settings.seed, "dropout", self.step))
        loss, dlogits = self.model.loss(logits, batch.y, self.class_weights)
        grads, norm = clip_by_global_norm(self.model.backward(dlogits, cache), settings.clip_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise GradientError(
                f"at step {self.step + 1} the loss is {loss:g} and the gradient's norm {norm:g}, not finite",
                remedy="Lower optim.lr or set optim.clip_norm to 1.0; what was saved before is intact",
            )
        factor = settings.schedule(self.step) * (1 if self.plateau is None else self.plateau.factor)
        lr = settings.lr * factor
        self.optimizer.step(self.model.params, grads, lr)
        self.step += 1
        hits = np.mean(self.model.class_scores(logits).argmax(axis=1) == batch.y)
        return StepDone(self.step, epoch, loss, float(hits), lr, norm, len(rows), len(batch.ids))

    def _validate(self, epoch: int) -> Validated:
        report = classification_report(self.valid.labels, score(self.model, self.valid), self.labels)
        value = report[self.settings.best_metric]
        lower_is_better = self.settings.best_metric == "loss"
        improved = self.best is None or (value < self.best if lower_is_better else value > self.best)
        self.best, self.waited = (value, 0) if improved else (self.best, self.waited + 1)
        if self.plateau is not None:
            self.plateau.observe(report["loss"])
        return Validated(self.step, epoch, report["loss"], report["accuracy"], report["macro_f1"], improved)
