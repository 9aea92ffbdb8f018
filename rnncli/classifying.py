"""Texts with a label each, as work for the training loop."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnncli.data.batches import Batch, epoch_batches, make_batch, make_part
from rnncli.data.dataset import EncodedTexts
from rnncli.figures import FIGURES
from rnncli.metrics import classification_report
from rnncli.models import Model
from rnncli.optim import Gradient
from rnncli.packing import Array, IntArray
from rnncli.postmortem import explain
from rnncli.profiling import stage
from rnncli.randomness import generator
from rnncli.scoring import score
from rnncli.sharding import deal
from rnncli.work import Amount, Part
from rnncli.workers.exchange import Exchange

MOST_LABELS = 10  # of more, the first line gives the number alone


class Pass(NamedTuple):
    """Once forward and back."""

    logits: Array
    cache: Any
    loss: float
    grads: dict[str, Gradient]


@dataclass
class Classifying:
    """What it takes to train a classifier; see :class:`rnncli.work.Work`.

    Attributes
    ----------
    model : Model
        The network.
    train, valid : EncodedTexts
        The two parts.
    labels : tuple of str
        Name of each class id; needed on rank 0 alone.
    batch_size, seed : int
        Texts a step, and what decides their order.
    class_weights : ndarray of shape (C,) or None
        What a text of each class counts in the training loss.
    smoothing : float
        Of the labels in the training loss.
    carried : dict
        Empty.
    """

    model: Model
    train: EncodedTexts
    valid: EncodedTexts
    labels: tuple[str, ...]
    batch_size: int
    seed: int
    class_weights: Array | None = None
    smoothing: float = 0.0
    carried: dict[str, Array] = field(default_factory=dict)

    figures: ClassVar = FIGURES["classification"]

    def summary(self) -> str:
        """Say in a line what there is to train on."""
        names = str(len(self.labels))
        if len(self.labels) <= MOST_LABELS:
            counts = [""] * len(self.labels)
            if self.class_weights is not None:
                counts = [f" (counts {weight:.3g})" for weight in self.class_weights.tolist()]
            names = ", ".join(label + count for label, count in zip(self.labels, counts, strict=True))
        return (
            f"{len(self.train):,} texts to train on ({len(self.train.ids):,} tokens), {len(self.valid):,} to validate; "
            f"labels {names}; {len(self.model.params['embedding.W']):,} tokens in the vocabulary"
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.train) / self.batch_size)

    def order(self, epoch: int) -> Sequence[IntArray]:
        """Return the texts of each batch of an epoch."""
        return epoch_batches(self.train.lengths, self.batch_size, generator(self.seed, "order", epoch))

    def amount(self, items: IntArray) -> Amount:
        """Return how much there is in a batch."""
        return Amount(len(items), int(self.train.lengths[items].sum()), len(items))

    def compute(
        self, items: IntArray, rng: np.random.Generator, rank: int, size: int, resting: Collection[str] = ()
    ) -> Part | None:
        """Compute a rank's part of a batch."""
        places = deal(self.train.lengths[items], size)[rank]
        if not len(places):  # fewer texts than ranks
            return None
        with stage("data"):
            batch = make_part(self.train, items, places)
        logits, cache, loss, grads = self.pass_through(batch, rng, self.share(items, places), resting)
        del cache  # the most of a step's memory
        hits = int(np.sum(self.model.class_scores(logits).argmax(axis=1) == batch.y))
        return Part(loss, hits, grads)

    def pass_through(
        self, batch: Batch, rng: np.random.Generator, share: float = 1.0, resting: Collection[str] = ()
    ) -> Pass:
        """Compute loss and gradients of a batch, or of a part that has this share in the batch's loss."""
        logits, cache = self.model.forward(batch, rng)
        with stage("output"):
            loss, dlogits = self.model.loss(logits, batch.y, self.class_weights, self.smoothing)
            if share != 1:
                loss, dlogits = loss * share, dlogits * np.asarray(share, dlogits.dtype)
            loss += self.model.penalty(cache)
        return Pass(logits, cache, loss, self.model.backward(dlogits, cache, spend=True, resting=resting))

    def share(self, rows: IntArray, places: IntArray) -> float:
        """Return the share of some texts of a batch in its mean loss."""
        if self.class_weights is None:
            return len(places) / len(rows)
        weights = self.class_weights[self.train.labels[rows]].astype(np.float64)
        return float(weights[places].sum() / weights.sum())

    def moved(self) -> None:
        """Do nothing: nothing is carried on."""

    def collect(self, exchange: Exchange) -> None:
        """Do nothing, likewise."""

    def evaluate(self, exchange: Exchange) -> dict[str, Any]:
        """Score the validation part."""
        scores = score(self.model, self.valid, exchange)
        if exchange.rank:
            return {}
        report = classification_report(self.valid.labels, scores, self.labels)
        return {key: report[key] for key in ("loss", "accuracy", "macro_f1")}

    def explain(self, items: IntArray, rng: np.random.Generator) -> str:
        """Say where a batch went wrong."""
        batch = make_batch(self.train, items)
        logits, cache, _, grads = self.pass_through(batch, rng)
        return explain(self.model, batch, items, cache, logits, grads)
