"""Learning-rate schedules: functions from the step, counted from 0, to a factor of the learning rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


def constant() -> Schedule:
    """Make the schedule that is 1 at every step."""
    return lambda step: 1.0


def linear(total_steps: int, warmup_steps: int, final: float) -> Schedule:
    """Make the schedule that falls in a straight line from 1, after the warm-up, to ``final`` at the last step.

    Parameters
    ----------
    total_steps, warmup_steps : int
        Steps in all, and those of the warm-up among them.
    final : float
        The factor at the last step.

    Returns
    -------
    callable
        Step to factor.
    """
    return lambda step: 1 + (final - 1) * _progress(step, total_steps, warmup_steps)


def cosine(total_steps: int, warmup_steps: int, final: float) -> Schedule:
    """Make the schedule that falls along half a cosine (Loshchilov and Hutter 2017) from 1 to ``final``.

    Parameters
    ----------
    total_steps, warmup_steps : int
        Steps in all, and those of the warm-up among them.
    final : float
        The factor at the last step.

    Returns
    -------
    callable
        Step to factor.
    """
    return lambda step: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * _progress(step, total_steps, warmup_steps)))


def drops(every_steps: int, factor: float) -> Schedule:
    """Make the schedule that is multiplied by ``factor`` every so many steps.

    Parameters
    ----------
    every_steps : int
        Steps from drop to drop.
    factor : float
        The factor of each drop.

    Returns
    -------
    callable
        Step to factor.
    """
    return lambda step: factor ** (step // every_steps)


def with_warmup(schedule: Schedule, warmup_steps: int) -> Schedule:
    """Let a schedule begin with a straight rise from near 0.

    Parameters
    ----------
    schedule : callable
        Step to factor.
    warmup_steps : int
        The rise ends after so many steps.

    Returns
    -------
    callable
        Step to factor.
    """
    return lambda step: schedule(step) * min(1.0, (step + 1) / (warmup_steps + 1))


def _progress(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return how much of the way from the end of the warm-up to the last step is done, 0 to 1."""
    return min(1.0, max(0, step - warmup_steps) / max(1, total_steps - 1 - warmup_steps))


@dataclass
class Plateau:
    """A factor that drops when the validation loss stops falling.

    Attributes
    ----------
    patience : int
        Validations without a new lowest loss before the factor drops.
    drop : float
        What the factor is multiplied by.
    factor, lowest, waited : float, float, int
        Its state: the factor now, the lowest loss yet, validations since.
    """

    patience: int
    drop: float
    factor: float = 1.0
    lowest: float = math.inf
    waited: int = 0

    def observe(self, loss: float) -> None:
        """Take note of a validation loss."""
        if loss < self.lowest:
            self.lowest, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.factor, self.waited = self.factor * self.drop, 0
