"""The training loop: a generator that yields what happened and does no input or output."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rnncli.averaging import PREFIX, Averages
from rnncli.errors import GradientError
from rnncli.layer_groups import layer_plan
from rnncli.optim import Optimizer
from rnncli.packing import Array, IntArray
from rnncli.postmortem import not_finite
from rnncli.schedules import Plateau, Schedule
from rnncli.team import Member
from rnncli.work import Network, Work, trained_weights
from rnncli.workers.exchange import ALONE, Exchange

CARRIED = "carried/"  # what the name of an array that goes from step to step begins with in a checkpoint
KEPT_NORMS = 5  # gradient norms remembered for a post-mortem
MOST_SKIPPED = 10  # batches in a row that on_nonfinite: skip lets pass


class StepDone(NamedTuple):
    """One batch was trained on; loss and accuracy are those before the update, which a skipped batch does not make.

    They are means over ``counted`` texts, or tokens where each has a label.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    grad_norm: float
    texts: int
    tokens: int
    skipped: bool
    counted: int


class Validated(NamedTuple):
    """The validation part was scored; ``figures`` are ``loss`` and those of the task (:mod:`rnncli.figures`)."""

    step: int
    epoch: int
    figures: dict[str, Any]
    improved: bool


Event = StepDone | Validated


@dataclass(frozen=True)
class Settings:
    """What decides how a run goes, as plain values; the meanings are in :mod:`rnncli.config`."""

    seed: int
    epochs: int
    max_steps: int | None
    lr: float
    clip_norm: float | None
    schedule: Schedule
    validate_every: int | None
    best_metric: str
    patience: int | None
    on_nonfinite: str


@dataclass
class Trainer:
    """A model in training: everything that changes from step to step.

    Attributes
    ----------
    work : Work
        The task, with its model and data.
    optimizer : Optimizer
        Moved by each step, as the model is.
    settings : Settings
        How to go.
    plateau : Plateau or None
        Watches the validation loss, for that schedule.
    step : int
        Batches trained on.
    best : float or None
        The best validation metric yet.
    waited : int
        Validations since.
    validated : int
        The step of the newest validation.
    skipped : int
        Batches skipped in a row up to now.
    norms : list of float
        The last few gradient norms.
    exchange : Exchange
        To the processes that train together.
    averages : Averages or None
        The mean weights, where validations are of them as soon as there are any.
    """

    work: Work
    optimizer: Optimizer
    settings: Settings
    plateau: Plateau | None = None
    step: int = 0
    best: float | None = None
    waited: int = 0
    validated: int = 0
    skipped: int = 0
    norms: list[float] = field(default_factory=list)
    exchange: Exchange = ALONE
    averages: Averages | None = None

    @property
    def model(self) -> Network:
        """The model that is trained."""
        return self.work.model

    @property
    def means(self) -> Averages | None:
        """The mean weights, if there are any yet: what validations, samples and later use are of."""
        return self.averages if self.averages is not None and self.averages.begun else None

    @property
    def layers(self) -> list[dict[str, Any]]:
        """When and how fast each layer is trained; see :func:`rnncli.layer_groups.layer_plan`."""
        optimizer = self.optimizer
        return layer_plan(trained_weights(self.model), optimizer.factors, optimizer.delays, self.settings.lr)

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.work.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Batches of the whole run, unless it stops early."""
        steps = self.steps_per_epoch * self.settings.epochs
        return steps if self.settings.max_steps is None else min(steps, self.settings.max_steps)

    @property
    def epoch(self) -> int:
        """The epoch of the newest step, from 1."""
        return max(1, math.ceil(self.step / self.steps_per_epoch))

    @property
    def out_of_patience(self) -> bool:
        """Whether validations have failed to improve for as often as the config allows."""
        return self.settings.patience is not None and self.waited >= self.settings.patience

    def run(self) -> Iterator[Event]:
        """Train to the end, or until patience runs out.

        Yields
        ------
        StepDone or Validated
            After every batch and every validation. The trainer may be saved whenever one was yielded, and one that is
            restored goes on with what would have come next.

        Raises
        ------
        GradientError
            If a loss or a gradient is not finite; that step's update is not made.
        """
        order: Sequence[IntArray] = []
        order_epoch = -1
        while not self.out_of_patience:
            if self._validation_is_due():
                yield self._validate()
                continue
            if self.step >= self.total_steps:
                return
            epoch, done = divmod(self.step, self.steps_per_epoch)
            if epoch != order_epoch:
                order, order_epoch = self.work.order(epoch), epoch
            yield self._update(order[done])

    def counters(self) -> dict[str, Any]:
        """Return what, besides weights and moments, is needed to go on from here, ready for JSON."""
        plateau = None
        if self.plateau is not None:
            lowest = self.plateau.lowest if math.isfinite(self.plateau.lowest) else None
            plateau = {"factor": self.plateau.factor, "lowest": lowest, "waited": self.plateau.waited}
        return {
            "step": self.step,
            "updates": self.optimizer.step_count,
            "best": self.best,
            "waited": self.waited,
            "validated": self.validated,
            "skipped": self.skipped,
            "norms": self.norms,
            "plateau": plateau,
            "averaged": None if self.averages is None else self.averages.count,
        }

    def arrays(self) -> dict[str, Array]:
        """Return what, besides weights and :meth:`counters`, is needed to go on: moments, means, carried states."""
        carried = {CARRIED + name: array for name, array in self.work.carried.items()}
        return {**self.optimizer.state, **({} if self.means is None else self.means.state), **carried}

    def restore(self, counters: dict[str, Any], params: dict[str, Array], arrays: dict[str, Array]) -> None:
        """Go back to where a trainer was.

        Parameters
        ----------
        counters : dict
            What :meth:`counters` returned there.
        params : dict of str to ndarray
            The weights there.
        arrays : dict of str to ndarray
            What :meth:`arrays` returned there.
        """
        self.step, self.optimizer.step_count = counters["step"], counters["updates"]
        self.best, self.waited = counters["best"], counters["waited"]
        self.validated, self.skipped = counters["validated"], counters["skipped"]
        self.norms = list(counters["norms"])
        if self.averages is not None:
            count = counters.get("averaged")  # which earlier versions did not write: each update counted
            self.averages.go_on(counters["updates"] if count is None else count, self.step)
        self.model.params = {name: array.copy() for name, array in params.items()}
        self.optimizer.state = {}
        for name, array in arrays.items():
            if name.startswith(CARRIED):
                self.work.carried[name.removeprefix(CARRIED)] = array.copy()
            elif name.startswith(PREFIX) and self.averages is not None:
                self.averages.state[name] = array.copy()
            else:
                self.optimizer.state[name] = array.copy()
        saved = counters["plateau"]
        if self.plateau is not None and saved is not None:
            self.plateau.factor, self.plateau.waited = saved["factor"], saved["waited"]
            self.plateau.lowest = math.inf if saved["lowest"] is None else saved["lowest"]

    def collect(self) -> None:
        """Make weights and moments complete in this process, to be saved."""
        self._member.collect()

    def peak_memory_mb(self) -> float:
        """Return the most memory that the run's processes have held, in MB; what they share counts in each."""
        return self._member.peak_memory_mb()

    @property
    def _member(self) -> Member:
        settings = self.settings
        return Member(self.exchange, self.work, self.optimizer, settings.seed, settings.clip_norm, self.averages)

    def _validation_is_due(self) -> bool:
        if self.step == 0 or self.validated == self.step:
            return False
        every = self.settings.validate_every or self.steps_per_epoch
        return self.step % every == 0 or self.step == self.total_steps

    def _update(self, items: IntArray) -> StepDone:
        settings = self.settings
        factor = settings.schedule(self.step) * (1 if self.plateau is None else self.plateau.factor)
        lr = settings.lr * factor
        average = 0.0 if self.averages is None else self.averages.weight(self.step)
        loss, hits, norm, finite = self._member.step(self.step, items, lr, average)
        if finite:
            if self.averages is not None and average:
                self.averages.count += 1
            self.norms = [*self.norms, norm][-KEPT_NORMS:]
            self.skipped = 0
        else:
            self.skipped += 1
            if settings.on_nonfinite == "stop" or self.skipped > MOST_SKIPPED:
                self.skipped -= 1
                raise GradientError(
                    f"at step {self.step + 1} the loss is {loss:g} and the gradient's norm {norm:g}: "
                    f"{self._member.explain(self.step, items)}; {self._norms()}",
                    remedy=self._remedy(),
                )
        self.step += 1
        texts, tokens, counted = self.work.amount(items)
        accuracy = hits / max(counted, 1)
        return StepDone(self.step, self.epoch, loss, accuracy, lr, norm, texts, tokens, not finite, counted)

    def _norms(self) -> str:
        return f"the gradient norms before were {', '.join(f'{n:.3g}' for n in self.norms) or 'none'}"

    def _remedy(self) -> str:
        """Say which setting to change after a batch that was not finite."""
        if self.settings.clip_norm is None:
            return "Lower optim.lr, or set optim.clip_norm to 1.0"
        if self.settings.on_nonfinite == "skip":
            return f"{MOST_SKIPPED} batches in a row were skipped; lower optim.lr"
        return "Lower optim.lr, or set train.on_nonfinite to skip if it is one bad batch"

    def _validate(self) -> Validated:
        try:
            figures = self._member.evaluate(average=self.means is not None)
        except GradientError:
            broken = not_finite(self.model.params)
            what = f"the weights {broken} are not finite" if broken else "every weight is finite"
            raise GradientError(
                f"after step {self.step} the outputs on the validation part are not finite: {what}; {self._norms()}",
                remedy="Lower optim.lr",
            ) from None
        value = figures[self.settings.best_metric]
        lower_is_better = self.settings.best_metric == "loss"
        improved = self.best is None or (value < self.best if lower_is_better else value > self.best)
        self.best, self.waited = (value, 0) if improved else (self.best, self.waited + 1)
        self.validated = self.step
        if self.plateau is not None:
            self.plateau.observe(figures["loss"])
        return Validated(self.step, self.epoch, figures, improved)
