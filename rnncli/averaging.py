"""A running mean of the weights, which is often better than the weights themselves (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rnncli.packing import Array

PREFIX = "average/"


class HasParams(Protocol):
    """What has weights."""

    params: dict[str, Array]


@dataclass
class Averages:
    """An exponential moving average of every weight.

    Attributes
    ----------
    decay : float
        How much of the old mean is kept a step, from some steps on: of the first it keeps less, so that the weights
        of before training are soon forgotten.
    state : dict of str to ndarray
        The means, as ``"average/embedding.W"``.
    """

    decay: float
    state: dict[str, Array] = field(default_factory=dict)

    def prepare(self, params: dict[str, Array]) -> None:
        """Begin with the weights as they are, where there is no mean yet."""
        for name, w in params.items():
            self.state.setdefault(PREFIX + name, w.copy())

    def step(self, params: dict[str, Array], step: int, share: tuple[int, int] = (0, 1)) -> None:
        """Let an update of the weights count.

        Parameters
        ----------
        params : dict of str to ndarray
            The weights after the update.
        step : int
            Number of the update, from 1.
        share : (int, int)
            Which part of each array to average, of how many: where several processes have the means in common.
        """
        decay = min(self.decay, (1 + step) / (10 + step))
        number, parts = share
        for name, w in params.items():
            mean, now = self.state[PREFIX + name].reshape(-1), w.reshape(-1)
            piece = slice(w.size * number // parts, w.size * (number + 1) // parts)
            difference = now[piece] - mean[piece]
            difference *= np.asarray(1 - decay, w.dtype)
            mean[piece] += difference

    def of(self, params: dict[str, Array]) -> dict[str, Array]:
        """Return the mean of each weight."""
        return {name: self.state[PREFIX + name] for name in params}


@contextmanager
def averaged(model: HasParams, averages: Averages | None) -> Iterator[None]:
    """Let a model have the mean weights for a while.

    Parameters
    ----------
    model : HasParams
        Gets its own weights back at the end.
    averages : Averages or None
        None changes nothing.
    """
    if averages is None:
        yield
        return
    own = model.params
    model.params = averages.of(own)
    try:
        yield
    finally:
        model.params = own
