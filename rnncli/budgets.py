"""Choosing what to train by the time there is for it: settings in order of preference, and how fast this machine is."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

FEWEST_STEPS = 20  # that a run is cut down to
SEEDS = (5, 3)  # runs that are worth averaging, the most first


@dataclass(frozen=True)
class Start:
    """Settings that could be recommended, and how much work they are.

    Attributes
    ----------
    recipe : str
        Name of the recipe they come from.
    length, kept : str
        What sets them apart, for people: ``3 epochs``, `` of whole texts``.
    values : dict
        The sections ``data``, ``model``, ``optim`` and ``train`` of a config, without its sources.
    why : dict
        What the comment says beside a key, such as ``model.pooling``.
    steps, steps_per_epoch : int
        In all, and of an epoch.
    train_tokens, valid_tokens : float
        Of an epoch, and of a validation.
    averages : bool
        Whether runs with several seeds can be averaged.
    """

    recipe: str
    length: str
    values: dict[str, dict[str, Any]]
    why: dict[str, str] = field(default_factory=dict)
    steps: int = 1
    steps_per_epoch: int = 1
    train_tokens: float = 0.0
    valid_tokens: float = 0.0
    kept: str = ""
    averages: bool = True

    @property
    def brief(self) -> str:
        """What they are, for people."""
        return f"{self.recipe}, {self.length}{self.kept}"

    def with_values(self, section: str, why: dict[str, str], **values: Any) -> "Start":
        """Return the same with other values in a section, and the comments of these."""
        changed = {**self.values, section: {**self.values[section], **values}}
        return replace(self, values=changed, why={**self.why, **why})


class Pace(NamedTuple):
    """How fast a machine is with some settings.

    Attributes
    ----------
    start : float
        Seconds until the first step.
    training, scoring : float
        Tokens a second, in steps and in validations.
    save : float
        Seconds of a checkpoint.
    processes : int
        That it was measured with.
    step : float
        Seconds of a core that a step of one process takes, the median.
    cpu_share : float or None
        Of a core, that the measurement had; None where several processes shared the work.
    """

    start: float
    training: float
    scoring: float
    save: float
    processes: int
    step: float
    cpu_share: float | None

    def seconds_of(self, start: Start) -> float:
        """Return how long a run takes."""
        every: int = start.values["train"].get("validate_every", start.steps_per_epoch)
        validations = -(-start.steps // every)
        trained = start.train_tokens * start.steps / start.steps_per_epoch
        return (
            self.start
            + trained / self.training
            + validations * (start.valid_tokens / self.scoring + 2 * self.save)  # of best and last
        )


class Choice(NamedTuple):
    """What was chosen.

    Attributes
    ----------
    start : Start
        The settings.
    pace : Pace
        What was measured of them.
    seconds : float
        About how long a run takes.
    seeds : int
        So many runs of it fit the budget; 1 if too few do to be averaged.
    preferred : tuple of (str, float), or None
        What would have been preferred, and how long that takes.
    """

    start: Start
    pace: Pace
    seconds: float
    seeds: int
    preferred: tuple[str, float] | None


def choose(recipes: Iterable[Sequence[Start]], budget: float, measure: Callable[[Start], Pace]) -> Choice:
    """Choose settings.

    Parameters
    ----------
    recipes : iterable of sequences of Start
        The preferred recipe first; of each its variants, likewise. All variants of one have the same pace.
    budget : float
        Seconds that a run may take.
    measure : callable
        Gives the pace of settings.

    Returns
    -------
    Choice
        The first that the budget allows; if none does, the last one with fewer steps.
    """
    preferred: tuple[str, float] | None = None
    for variants in recipes:
        pace = measure(variants[0])
        for start in variants:
            seconds = pace.seconds_of(start)
            if seconds <= budget:
                runs = int(budget / seconds) if start.averages else 1
                return Choice(start, pace, seconds, next((n for n in SEEDS if runs >= n), 1), preferred)
            preferred = preferred or (start.brief, seconds)
    start = _cut_short(start, pace, budget)
    return Choice(start, pace, pace.seconds_of(start), 1, preferred)


def _cut_short(start: Start, pace: Pace, budget: float) -> Start:
    """Return settings with as many steps as the budget allows."""
    kept = {k: v for k, v in start.values["train"].items() if k not in ("epochs", "max_steps", "validate_every")}
    bare = replace(start, values={**start.values, "train": kept})
    steps = bisect_right(range(start.steps), budget, key=lambda count: pace.seconds_of(replace(bare, steps=count))) - 1
    steps = max(FEWEST_STEPS, steps)
    if steps >= start.steps:
        return start
    per_epoch = start.steps_per_epoch
    why = {"train.epochs": f"of some {per_epoch:,} steps", "train.max_steps": "as many as there is time for"}
    train = {"epochs": -(-steps // per_epoch), "max_steps": steps, **kept}
    values = {**start.values, "train": train}
    return replace(start, steps=steps, length=f"{steps:,} steps", values=values, why={**start.why, **why})
