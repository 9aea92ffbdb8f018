"""What is known of a trial."""

from dataclasses import dataclass
from typing import IO, Any


@dataclass(frozen=True)
class TrialRecord:
    """A trial.

    Attributes
    ----------
    number : int
        Which one, from 0.
    state : {"finished", "pruned", "failed", "stopped", "running", "waiting"}
        Stopped ones are tried again under another number, and do not count.
    value : float or None
        Its best value of the metric, or the best until it was pruned.
    epoch : int or None
        When it had that.
    values : dict of str to Any
        Of the keys of the space.
    seconds : float or None
        How long it took.
    why : str or None
        Why it failed.
    """

    number: int
    state: str
    value: float | None
    epoch: int | None
    values: dict[str, Any]
    seconds: float | None
    why: str | None


@dataclass(frozen=True)
class Drawn:
    """A trial that this process is to make.

    Attributes
    ----------
    number : int
        Which one.
    values : dict of str to Any
        For the keys of the space.
    trial : optuna.trial.Trial
        To report to.
    claim : file
        Says that it is being made.
    """

    number: int
    values: dict[str, Any]
    trial: Any
    claim: IO[str]
