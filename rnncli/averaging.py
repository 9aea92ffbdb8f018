"""A mean of the weights on their way, which is often better than where they end (Polyak and Juditsky 1992).

Either a running mean that forgets (an exponential moving average), or the plain mean over the last part of training
(stochastic weight averaging, Izmailov et al. 2018, there over the ends of epochs, here over every step). Both are of
whole arrays: of an embedding whose row a step leaves alone, the mean goes on towards that row all the same.
"""

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
    """The mean of every weight that is trained.

    Attributes
    ----------
    decay : float or None
        How much of the old mean is kept a step, from some steps on: of the first it keeps less, so that the weights
        of before training are soon forgotten. None takes the plain mean.
    first : int
        The step, from 0, that a plain mean begins with.
    count : int
        Steps that the means are of; known to rank 0 alone.
    state : dict of str to ndarray
        The means, as ``"average/embedding.W"``.
    """

    decay: float | None = None
    first: int = 0
    count: int = 0
    state: dict[str, Array] = field(default_factory=dict)

    @property
    def begun(self) -> bool:
        """Whether there is a mean yet; before, the weights themselves stand for it."""
        return self.decay is not None or self.count > 0

    def prepare(self, params: dict[str, Array]) -> None:
        """Begin with the weights as they are."""
        self.state = {PREFIX + name: w.copy() for name, w in params.items()}

    def weight(self, step: int) -> float:
        """Return how much the weights after a step, counted from 0, shall count in their mean: 0 for not at all."""
        if self.decay is not None:
            number = self.count + 1
            return 1 - min(self.decay, (1 + number) / (10 + number))
        return 1 / (self.count + 1) if step >= self.first else 0.0

    def move(self, params: dict[str, Array], weight: float, share: tuple[int, int] = (0, 1)) -> None:
        """Let an update of the weights count.

        Parameters
        ----------
        params : dict of str to ndarray
            The weights after the update.
        weight : float
            From :meth:`weight`, and not 0.
        share : (int, int)
            Which part of each array to average, of how many: where several processes have the means in common.
        """
        number, parts = share
        for name, w in params.items():
            mean, now = self.state[PREFIX + name].reshape(-1), w.reshape(-1)
            piece = slice(w.size * number // parts, w.size * (number + 1) // parts)
            if weight == 1:
                mean[piece] = now[piece]  # to the bit
                continue
            difference = now[piece] - mean[piece]
            difference *= np.asarray(weight, w.dtype)
            mean[piece] += difference

    def go_on(self, count: int, step: int) -> None:
        """Take up the count of a run that goes on after so many steps; one that now ends later begins its mean anew."""
        self.count = count if self.decay is not None or step > self.first else 0

    def of(self, params: dict[str, Array]) -> dict[str, Array]:
        """Return the mean of each weight; a weight that is not trained is its own."""
        return {name: self.state.get(PREFIX + name, w) for name, w in params.items()}


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
