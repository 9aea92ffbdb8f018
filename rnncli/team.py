"""A training step, by one process or by several: what the leader asks for, and what every rank then does.

Rank 0 calls :meth:`Member.step`, :meth:`Member.score` and :meth:`Member.collect`; the others sit in
:meth:`Member.serve`. Both ends compute the same way, each its own part, so a team of one is the plain case and nothing
else.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

from rnncli.data.batches import Batch, make_part
from rnncli.data.dataset import EncodedTexts
from rnncli.machine import peak_memory_mb
from rnncli.models import Model
from rnncli.optim import Gradient, Optimizer, SparseRows, clip_by_global_norm, squared_norm
from rnncli.packing import Array, IntArray
from rnncli.profiling import stage
from rnncli.randomness import generator
from rnncli.scoring import score
from rnncli.sharding import Ownership, collect, deal, publish, sum_gradients
from rnncli.workers.exchange import Exchange


class Outcome(NamedTuple):
    """What came of a step: mean loss in nats, texts classified right, gradient norm, whether these are finite."""

    loss: float
    hits: int
    norm: float
    finite: bool


class Pass(NamedTuple):
    """Once forward and back."""

    logits: Array
    cache: Any
    loss: float
    grads: dict[str, Gradient]


@dataclass
class Member:
    """One rank of a team.

    Attributes
    ----------
    exchange : Exchange
        To the other ranks.
    model, optimizer : Model, Optimizer
        The weights and their moments. In shared memory, or a copy in each rank; then of the moments each rank has
        only its own part up to date.
    train, valid : EncodedTexts
        The same in each rank.
    seed : int
        For dropout.
    clip_norm : float or None
        The largest norm of a gradient.
    class_weights : ndarray of shape (C,) or None
        What a text of each class counts.
    """

    exchange: Exchange
    model: Model
    optimizer: Optimizer
    train: EncodedTexts
    valid: EncodedTexts
    seed: int
    clip_norm: float | None
    class_weights: Array | None

    def step(self, number: int, rows: IntArray, lr: float) -> Outcome:
        """Train on a batch.

        Parameters
        ----------
        number : int
            Of the step, from 0; dropout depends on it.
        rows : ndarray of int, shape (N,)
            Texts of the training part.
        lr : float
            Learning rate.

        Returns
        -------
        Outcome
            Of before the update; none is made unless loss and gradient are finite.
        """
        self.exchange.broadcast({"do": "step", "number": number, "rows": rows.tolist(), "lr": lr})
        return self._step(number, rows, lr)

    def score(self) -> Array:
        """Return the scores of the validation part, shape (rows, C)."""
        with stage("evaluation"):
            self.exchange.broadcast({"do": "score"})
            return score(self.model, self.valid, self.exchange)

    def collect(self) -> None:
        """Make the optimizer's state complete on rank 0."""
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
                self._step(message["number"], np.array(message["rows"], np.int64), message["lr"])
            elif message["do"] == "score":
                score(self.model, self.valid, self.exchange)
            elif message["do"] == "collect":
                self._collect()
            else:
                self.exchange.all_gather([peak_memory_mb()])

    @np.errstate(over="ignore", invalid="ignore")  # what is not finite is found in the sums
    def pass_through(self, number: int, batch: Batch, share: float = 1.0) -> Pass:
        """Compute loss and gradients of a batch, or of a part that has this share in the batch's loss."""
        logits, cache = self.model.forward(batch, generator(self.seed, "dropout", number))
        with stage("output"):
            loss, dlogits = self.model.loss(logits, batch.y, self.class_weights)
            if share != 1:
                loss, dlogits = loss * share, dlogits * np.asarray(share, dlogits.dtype)
        return Pass(logits, cache, loss, self.model.backward(dlogits, cache, spend=True))

    @np.errstate(over="ignore", invalid="ignore")
    def _step(self, number: int, rows: IntArray, lr: float) -> Outcome:
        places = deal(self.train.lengths[rows], self.exchange.size)[self.exchange.rank]
        if len(places):
            with stage("data"):
                batch = make_part(self.train, rows, places)
            logits, cache, loss, grads = self.pass_through(number, batch, self._share(rows, places))
            del cache  # the most of a step's memory
            hits = int(np.sum(self.model.class_scores(logits).argmax(axis=1) == batch.y))
        else:  # fewer texts than ranks
            loss, hits, grads = 0.0, 0, self._no_gradient()
        with stage("exchange"):
            summed = sum_gradients(grads, self._ownership, self.exchange)
        with stage("optimizer"):
            square = squared_norm(summed)
        with stage("exchange"):
            gathered = self.exchange.all_gather([loss, hits, square])
        loss, hits, square = (sum(column) for column in zip(*gathered, strict=True))
        finite = math.isfinite(loss) and math.isfinite(square)
        with stage("optimizer"):
            clipped, norm = clip_by_global_norm(summed, self.clip_norm, square)
            if finite:
                self.optimizer.step(self.model.params, clipped, lr)
        if finite:
            with stage("exchange"):
                publish(self.model.params, clipped, self._ownership, self.exchange)
        return Outcome(loss, int(hits), norm, finite)

    def _share(self, rows: IntArray, places: IntArray) -> float:
        """Return the share of some texts of a batch in its mean loss."""
        if self.class_weights is None:
            return len(places) / len(rows)
        weights = self.class_weights[self.train.labels[rows]].astype(np.float64)
        return float(weights[places].sum() / weights.sum())

    @property
    def _ownership(self) -> Ownership:
        return Ownership.of(self.model.params, self.model.sparse)

    def _no_gradient(self) -> dict[str, Gradient]:
        return {
            name: SparseRows(np.empty(0, np.int64), array[:0]) if name in self.model.sparse else np.zeros_like(array)
            for name, array in self.model.params.items()
        }

    def _collect(self) -> None:
        state, names = self.optimizer.state, self.model.params
        moments = {kind: {name: state[f"{kind}/{name}"] for name in names} for kind in self.optimizer.rule.moments}
        collect(moments, self._ownership, self.exchange)
