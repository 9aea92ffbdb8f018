"""Sentences with a tag for every word, as work for the training loop; and the tags that a model gives a corpus."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnncli.data.batches import epoch_batches, scoring_batches
from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.codec import TaggedTexts
from rnncli.errors import GradientError
from rnncli.figures import FIGURES
from rnncli.layers.activations import log_softmax
from rnncli.layers.dropping import Places
from rnncli.packing import Array, IntArray, make_packing
from rnncli.postmortem import explain_plainly
from rnncli.profiling import stage
from rnncli.randomness import generator
from rnncli.sharding import deal
from rnncli.taggers import Tagger
from rnncli.tagging_metrics import tagging_report
from rnncli.work import Amount, Part
from rnncli.workers.exchange import ALONE, Exchange

SCORING_BATCH = 128  # sentences


class Tagged(NamedTuple):
    """What a model says of a corpus.

    Attributes
    ----------
    tags : ndarray of int, shape (total,)
        The best tag of each word.
    nats : ndarray of shape (total,)
        What the right tag of each word cost; NaN where the model does not have it.
    confidence : ndarray of shape (total,)
        The probability of the best tag of each word.
    """

    tags: IntArray
    nats: Array
    confidence: Array


@dataclass
class TaggingWork:
    """What it takes to train a tagger; see :class:`rnncli.work.Work`.

    Attributes
    ----------
    model : Tagger
        The network.
    train, valid : TaggedTexts
        The two parts.
    batch_size, seed : int
        Sentences a step, and what decides their order.
    smoothing : float
        Of the tags in the training loss.
    carried : dict
        Empty.
    """

    model: Tagger
    train: TaggedTexts
    valid: TaggedTexts
    batch_size: int
    seed: int
    smoothing: float = 0.0
    carried: dict[str, Array] = field(default_factory=dict)
    figures: ClassVar = FIGURES["tagging"]

    def summary(self) -> str:
        """Say in a line what there is to train on."""
        return (
            f"{len(self.train):,} sentences to train on ({len(self.train.ids):,} words), {len(self.valid):,} to "
            f"validate; {len(self.model.params['output.b'])} tags; "
            f"{len(self.model.params['embedding.W']):,} words in the vocabulary"
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.train) / self.batch_size)

    def order(self, epoch: int) -> Sequence[IntArray]:
        """Return the sentences of each batch of an epoch."""
        return epoch_batches(self.train.lengths, self.batch_size, generator(self.seed, "order", epoch))

    def amount(self, items: IntArray) -> Amount:
        """Return how much there is in a batch; every tag of the training part counts."""
        words = int(self.train.lengths[items].sum())
        return Amount(len(items), words, words)

    def compute(
        self, items: IntArray, rng: np.random.Generator, rank: int, size: int, resting: Collection[str] = ()
    ) -> Part | None:
        """Compute a rank's part of a batch."""
        lengths = self.train.lengths[items]
        mine = deal(lengths, size)[rank]
        if not len(mine):  # fewer sentences than ranks
            return None
        with stage("data"):
            batch = make_tagged_batch(self.train, items[mine])
            places = None if len(mine) == len(items) else part_of_words(lengths, mine)
        logits, cache = self.model.forward(batch, rng, places=places, total=len(items))
        with stage("output"):
            loss, hits, dlogits = self.model.loss(logits, batch.y, int(lengths.sum()), self.smoothing)
        return Part(loss, hits, self.model.backward(dlogits, cache, spend=True, resting=resting))

    def moved(self) -> None:
        """Do nothing: nothing is carried on."""

    def collect(self, exchange: Exchange) -> None:
        """Do nothing, likewise."""

    def evaluate(self, exchange: Exchange) -> dict[str, Any]:
        """Tag the validation part."""
        tagged = tag_texts(self.model, self.valid, exchange)
        if exchange.rank:
            return {}
        report = report_on(self.valid, tagged)
        figures = {key: report[key] for key in ("loss", "accuracy", "unseen_accuracy", "macro_f1")}
        return {**figures, "entity_f1": report["entities"] and report["entities"]["f1"]}

    def explain(self, items: IntArray, rng: np.random.Generator) -> str:
        """Say where a batch went wrong."""
        batch = make_tagged_batch(self.train, items)
        logits, cache = self.model.forward(batch, rng)
        _, _, dlogits = self.model.loss(logits, batch.y, smoothing=self.smoothing)
        return explain_plainly(self.model.params, logits, self.model.backward(dlogits, cache))


def part_of_words(lengths: IntArray, mine: IntArray) -> Places:
    """Return which packed words of a batch those of some of its sentences are.

    Parameters
    ----------
    lengths : ndarray of int, shape (N,)
        Of all sentences of the batch.
    mine : ndarray of int, shape (n,)
        Some of them, rising.

    Returns
    -------
    Places
        For each packed row of these sentences the packed row of the batch.
    """
    whole, part = make_packing(lengths), make_packing(lengths[mine])
    place = np.empty(len(lengths), np.int64)
    place[whole.order] = np.arange(len(lengths))
    sequences = place[mine[part.order]][part.sequences]
    return Places(whole.offsets[part.times] + sequences, whole.rows)


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused below
def tag_texts(model: Tagger, texts: TaggedTexts, exchange: Exchange = ALONE) -> Tagged:
    """Tag every word, with as many processes as there are.

    Parameters
    ----------
    model : Tagger
        Not changed.
    texts : TaggedTexts
        The corpus.
    exchange : Exchange
        To the processes that do this together; without it this one does it alone.

    Returns
    -------
    Tagged
        In the order of the corpus; what rank 0 gets. The same bits for any number of processes.

    Raises
    ------
    GradientError
        On rank 0, if a score is not finite.
    """
    classes = len(model.params["output.b"])
    found: list[list[Any]] = [[np.empty(0, np.int64)], [np.empty(0)], [np.empty(0)], [np.empty(0, np.int64)]]
    for rows in islice(scoring_batches(texts.lengths, SCORING_BATCH), exchange.rank, None, exchange.size):
        batch = make_tagged_batch(texts, rows)
        logits, _ = model.forward(batch, keep=False)
        log_p = log_softmax(logits.astype(np.float64))
        known = batch.y < classes
        right = log_p[np.arange(len(batch.y)), np.where(known, batch.y, 0)]
        packing = batch.packing
        words = texts.offsets[rows[packing.order]][packing.sequences] + packing.times
        bad = ~np.isfinite(logits).all(axis=1)
        found[0].append(np.where(bad, -1, log_p.argmax(axis=1)))
        found[1].append(np.where(known, -right, np.nan))
        found[2].append(np.exp(log_p.max(axis=1)))
        found[3].append(words)
    mine = [np.concatenate(parts) for parts in found]
    everybodys = exchange.all_to_all([mine, *([] for _ in range(exchange.size - 1))])
    tags, nats, confidence = np.zeros(len(texts.ids), np.int64), np.zeros(len(texts.ids)), np.zeros(len(texts.ids))
    if exchange.rank == 0:
        for best, cost, sure, words in everybodys:
            tags[words], nats[words], confidence[words] = best, cost, sure
        if (tags < 0).any():
            raise GradientError(
                "the model's outputs are not finite numbers", remedy="Train again with a lower optim.lr"
            )
    return Tagged(tags, nats, confidence)


def report_on(texts: TaggedTexts, tagged: Tagged) -> dict[str, Any]:
    """Return every figure about the tags of a corpus.

    Parameters
    ----------
    texts : TaggedTexts
        The corpus.
    tagged : Tagged
        What a model says of it.

    Returns
    -------
    dict
        ``loss`` (nats per word whose tag the model has; None without any), and what
        :func:`rnncli.tagging_metrics.tagging_report` says.
    """
    known = np.isfinite(tagged.nats)
    loss = float(tagged.nats[known].mean()) if known.any() else None
    true, predicted = (tags_by_sentence(texts, ids) for ids in (texts.labels, tagged.tags))
    return {"loss": loss, **tagging_report(true, predicted, texts.unseen)}


def tags_by_sentence(texts: TaggedTexts, ids: IntArray) -> list[list[str]]:
    """Return the names of the tags of each sentence."""
    names = [texts.tags[number] for number in ids.tolist()]
    offsets = texts.offsets.tolist()
    return [names[start:end] for start, end in pairwise(offsets)]
