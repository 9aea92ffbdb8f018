"""Several models as one: their probabilities averaged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.config import AnyConfig
from rnncli.data.rows import Row
from rnncli.data.tagging.sentences import Sentence
from rnncli.errors import CheckpointError, DataError
from rnncli.evaluation import Evaluation, evaluate
from rnncli.metrics import classification_report
from rnncli.packing import Array, IntArray
from rnncli.predicting import Prediction, Tags, likeliest_tags, probabilities, word_probabilities
from rnncli.tagger_evaluation import TaggerEvaluation, evaluate_tagger
from rnncli.tagging import Tagged, report_on, tags_by_sentence
from rnncli.trained import Trained

NAMED = 5  # labels in a message


@dataclass(frozen=True)
class Ensemble:
    """Models of one task with the same labels.

    Attributes
    ----------
    members : tuple of Trained
        The models; each reads texts with its own vocabulary.
    labels : tuple of str
        Those of the first member: what columns of probabilities are.
    orders : tuple of ndarray of int, shape (C,)
        For each member, the columns that these labels have in it.
    """

    members: tuple[Trained, ...]
    labels: tuple[str, ...]
    orders: tuple[IntArray, ...]

    def probabilities(self, texts: Sequence[str]) -> Array:
        """Return how likely the labels are for each text, on average over the members.

        Parameters
        ----------
        texts : sequence of str
            Any strings.

        Returns
        -------
        ndarray of shape (rows, C), float32
            The columns are :attr:`labels`.
        """
        return self._mean(probabilities(member, texts) for member in self.members)

    def tag_words(self, sentences: Sequence[Sequence[str]]) -> list[Tags]:
        """Return the tag of each word that is likeliest on average over the members.

        Parameters
        ----------
        sentences : sequence of sequence of str
            The words of each.

        Returns
        -------
        list of Tags
            One for each sentence, in order.
        """
        found = self._mean(word_probabilities(member, sentences) for member in self.members)
        return likeliest_tags(found, self.labels, sentences)

    def predict(self, inputs: Sequence[Any]) -> Sequence[Prediction]:
        """Return what :func:`rnncli.predicting.predict` returns for one model."""
        say: Callable[[Sequence[Any]], Any] = (
            self.tag_words if self.members[0].config.task == "tagging" else self.probabilities
        )
        found: Sequence[Prediction] = say(inputs)
        return found

    def evaluate(self, rows: list[Row]) -> tuple[list[Evaluation], Evaluation]:
        """Score texts with each member and with all together.

        Parameters
        ----------
        rows : list of Row
            Texts with labels.

        Returns
        -------
        members : list of Evaluation
            Of each.
        together : Evaluation
            Of the average.
        """
        alone = [evaluate(member, rows) for member in self.members]
        found = self._mean(one.probabilities for one in alone)
        first = alone[0]
        report = classification_report(first.labels, _scores(found), self.labels)
        return alone, Evaluation(rows, found, found.argmax(axis=1), first.labels, report, first.lengths)

    def evaluate_tagger(self, sentences: list[Sentence]) -> tuple[list[TaggerEvaluation], TaggerEvaluation]:
        """Tag sentences with each member and with all together.

        Parameters
        ----------
        sentences : list of Sentence
            At least one.

        Returns
        -------
        members : list of TaggerEvaluation
            Of each.
        together : TaggerEvaluation
            Of the average; words are unseen that the first member has not seen.
        """
        alone = [evaluate_tagger(member, sentences) for member in self.members]
        words = [sentence.words for sentence in sentences]
        found = self._mean(word_probabilities(member, words) for member in self.members)
        texts = self.members[0].learned.encode(sentences)
        known = texts.labels < len(self.labels)
        right = _scores(found)[np.arange(len(found)), np.where(known, texts.labels, 0)]
        tagged = Tagged(found.argmax(axis=1), np.where(known, -right, np.nan), found.max(axis=1))
        predicted = tags_by_sentence(texts, tagged.tags)
        return alone, TaggerEvaluation(sentences, predicted, report_on(texts, tagged), tagged.nats, tagged.confidence)

    def _mean(self, found: Any) -> Array:
        """Average the probabilities of the members, their columns brought into the order of the first."""
        ordered = [one[:, order] for one, order in zip(found, self.orders, strict=True)]
        return np.asarray(np.mean(ordered, axis=0, dtype=np.float64).astype(np.float32))


def make_ensemble(members: Sequence[Trained], names: Sequence[str]) -> Ensemble:
    """Put models together.

    Parameters
    ----------
    members : sequence of Trained
        At least two classifiers, or taggers.
    names : sequence of str
        What to call each in an error.

    Returns
    -------
    Ensemble
        Of them.

    Raises
    ------
    CheckpointError
        If they are not of one task, or have not the same labels; or a checkpoint is named twice.
    """
    first = members[0]
    task = first.config.task
    if task == "language_model":
        raise CheckpointError(
            "is a language model; only classifiers and taggers are averaged", where=names[0], remedy="Use one by itself"
        )
    labels = _labels(first)
    orders = []
    for number, (member, name) in enumerate(zip(members, names, strict=True)):
        if name in names[:number]:
            raise CheckpointError("is named twice", where=name, remedy="Name each once: all count the same")
        if member.config.task != task:
            raise CheckpointError(f"is of task {member.config.task}, {names[0]} of task {task}", where=name)
        own = _labels(member)
        if set(own) != set(labels):
            sides = [(name, set(own) - set(labels)), (names[0], set(labels) - set(own))]
            only = "; ".join(f"only {side} has {_listed(some)}" for side, some in sides if some)
            raise CheckpointError(f"has not the same labels: {only}", where=name, remedy="Train on the same labels")
        orders.append(np.array([own.index(label) for label in labels], np.int64))
    return Ensemble(tuple(members), labels, tuple(orders))


def refuse_seen(members: Sequence[Trained], names: Sequence[str]) -> None:
    """Refuse to evaluate on a part that was held back from the first member, if others have trained on it.

    Parameters
    ----------
    members : sequence of Trained
        Of an ensemble that is to be evaluated on what the first member's config says.
    names : sequence of str
        What to call each in an error.

    Raises
    ------
    DataError
        If that is a validation part, and not that of every member.
    """
    config = members[0].config
    if config.data.test is not None or config.data.valid is not None:
        return
    for member, name in zip(members[1:], names[1:], strict=True):
        other = member.config
        if _split(other) != _split(config):
            seeds = (
                f": their splits have seeds {config.split_seed} and {other.split_seed}"
                if config.split_seed != other.split_seed
                else ""
            )
            raise DataError(
                f"may have been trained on what {names[0]} is validated on{seeds}",
                where=name,
                remedy="Give other texts with --data, or train all on one split: rnncli train CONFIG --seeds 5",
            )


def _labels(trained: Trained) -> tuple[str, ...]:
    learned = trained.learned
    return tuple(learned.tags if trained.config.task == "tagging" else learned.labels)


def _split(config: AnyConfig) -> tuple[Any, ...]:
    """Return what decides which texts of which source are held for validation."""
    section = config.data.model_dump(mode="json")
    kept = (section.get(key) for key in ("train", "valid", "valid_fraction", "group_by", "split_by"))
    return (config.split_seed, *kept)


def _scores(found: Array) -> Array:
    """Return scores whose softmax is some probabilities."""
    tiny = np.float32(np.finfo(np.float32).tiny)
    return np.asarray(np.log(np.maximum(found, tiny)))


def _listed(labels: set[str]) -> str:
    shown = sorted(labels)[:NAMED]
    return ", ".join(map(repr, shown)) + (f" and {len(labels) - NAMED} more" if len(labels) > NAMED else "")
