"""A training step, by one process or by several: what the leader asks for, and what every rank then does.

Rank 0 calls :meth:`Member.step`, :meth:`Member.evaluate` and :meth:`Member.collect`; the others sit in
:meth:`Member.serve`. Both ends compute the same way, each its own part, so a team of one is the plain case and nothing
else.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rnncli.averaging import Averages, averaged
from rnncli.machine import peak_memory_mb
from rnncli.optim import Gradient, Optimizer, SparseRows, clip_by_global_norm, squared_norm
from rnncli.packing import IntArray
from rnncli.profiling import stage
from rnncli.randomness import generator
from rnncli.sharding import Ownership, collect, publish, sum_gradients
from rnncli.work import Part, Work, trained_weights
from rnncli.workers.exchange import Exchange


class Outcome(NamedTuple):
    """What came of a step: mean loss in nats, how many it got right, gradient norm, whether these are finite."""

    loss: float
    hits: int
    norm: float
    finite: bool


@dataclass
class Member:
    """One rank of a team.

    Attributes
    ----------
    exchange : Exchange
        To the other ranks.
    work : Work
        The task, with model and data: the same in each rank.
    optimizer : Optimizer
        The moments. In shared memory, as the weights; or a copy in each rank, which then has only its own part of the
        moments up to date.
    seed : int
        For dropout.
    clip_norm : float or None
        The largest norm of a gradient.
    averages : Averages or None
        The mean weights, where they are kept: shared, or the whole in each rank.
    """

    exchange: Exchange
    work: Work
    optimizer: Optimizer
    seed: int
    clip_norm: float | None
    averages: Averages | None = None

    def step(self, number: int, items: IntArray, lr: float, average: float = 0.0) -> Outcome:
        """Train on a batch.

        Parameters
        ----------
        number : int
            Of the step, from 0; dropout depends on it.
        items : ndarray of int, shape (N,)
            What is in it; see :class:`rnncli.work.Work`.
        lr : float
            Learning rate.
        average : float
            How much the new weights count in their mean; see :meth:`rnncli.averaging.Averages.weight`.

        Returns
        -------
        Outcome
            Of before the update; none is made unless loss and gradient are finite.
        """
        message = {"do": "step", "number": number, "items": items.tolist(), "lr": lr, "average": average}
        self.exchange.broadcast(message)
        return self._step(number, items, lr, average)

    def evaluate(self, *, average: bool = False) -> dict[str, Any]:
        """Return the figures of the validation part, perhaps of the mean weights.

        Parameters
        ----------
        average : bool
            Whether to score with the mean of the weights.

        Returns
        -------
        dict
            The figures.

        Raises
        ------
        GradientError
            If the model's outputs are not finite.
        """
        with stage("evaluation"):
            self.exchange.broadcast({"do": "evaluate", "average": average})
            return self._evaluate(average)

    def collect(self) -> None:
        """Make complete on rank 0 what each rank has a part of."""
        self.exchange.broadcast({"do": "collect"})
        self._collect()

    def peak_memory_mb(self) -> float:
        """Return the most memory that the processes have held, in MB, added up; what they share counts in each."""
        self.exchange.broadcast({"do": "memory"})
        return sum(mb for (mb,) in self.exchange.all_gather([peak_memory_mb()]))

    def serve(self) -> NoReturn:
        """Do what rank 0 asks for; waiting for the next message ends the process when no more come."""
        while True:
            message = self.exchange.broadcast()
            if message["do"] == "step":
                items = np.array(message["items"], np.int64)
                self._step(message["number"], items, message["lr"], message["average"])
            elif message["do"] == "evaluate":
                self._evaluate(message["average"])
            elif message["do"] == "collect":
                self._collect()
            else:
                self.exchange.all_gather([peak_memory_mb()])

    def explain(self, number: int, items: IntArray) -> str:
        """Say where a step that was not finite went wrong."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.work.explain(items, generator(self.seed, "dropout", number))

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is found in the sums
    def _step(self, number: int, items: IntArray, lr: float, average: float = 0.0) -> Outcome:
        rng, resting = generator(self.seed, "dropout", number), self.optimizer.resting
        part = self.work.compute(items, rng, self.exchange.rank, self.exchange.size, resting)
        params, trained = self.work.model.params, trained_weights(self.work.model)
        ownership = Ownership.of(trained, self.work.model.sparse, resting)
        if part is None:
            part = Part(0.0, 0, self._no_gradient(resting))
        with stage("exchange"):
            summed = sum_gradients(part.grads, ownership, self.exchange)
        with stage("optimizer"):
            square = squared_norm(summed)
        with stage("exchange"):
            gathered = self.exchange.all_gather([part.loss, part.hits, square])
        loss, hits, square = (sum(column) for column in zip(*gathered, strict=True))
        finite = math.isfinite(loss) and math.isfinite(square)
        with stage("optimizer"):
            clipped, norm = clip_by_global_norm(summed, self.clip_norm, square)
            if finite:
                self.optimizer.prepare(trained)  # of those that rest too: a checkpoint has the moments of all
                self.optimizer.step(params, clipped, lr)
        if finite:
            with stage("exchange"):
                publish(params, clipped, ownership, self.exchange)
            if self.averages is not None and average:
                with stage("optimizer"):
                    alone = not self.exchange.shares_memory
                    share = (0, 1) if alone else (self.exchange.rank, self.exchange.size)
                    self.averages.move(trained, average, share)
            self.work.moved()
        return Outcome(loss, int(hits), norm, finite)

    def _evaluate(self, average: bool) -> dict[str, Any]:
        if average and self.exchange.shares_memory:
            self.exchange.all_gather([])  # all have averaged their part
        with averaged(self.work.model, self.averages if average else None):
            return self.work.evaluate(self.exchange)

    def _no_gradient(self, resting: Collection[str]) -> dict[str, Gradient]:
        sparse = self.work.model.sparse
        return {
            name: SparseRows(np.empty(0, np.int64), array[:0]) if name in sparse else np.zeros_like(array)
            for name, array in trained_weights(self.work.model).items()
            if name not in resting
        }

    def _collect(self) -> None:
        state, names = self.optimizer.state, trained_weights(self.work.model)
        moments = {kind: {name: state[f"{kind}/{name}"] for name in names} for kind in self.optimizer.rule.moments}
        collect(moments, Ownership.of(names, self.work.model.sparse), self.exchange)
        if self.exchange.shares_memory:
            self.exchange.all_gather([])  # all have written their part of what is carried, and of the means
        self.work.collect(self.exchange)
