"""What a trained model makes of its data, unit by unit, so that models can be compared on the same units.

A unit is a text, a sentence or a block of lines: what is drawn independently of the others, as far as that holds.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.config import Config, LanguageConfig, TaggingConfig
from rnncli.data.tagging.schemes import read_entities
from rnncli.data.tagging.sentences import Sentence
from rnncli.errors import ConfigError
from rnncli.evaluation import evaluate, rows_of_config, source_for_file
from rnncli.language_evaluation import evaluate_text, line_costs, text_of_config
from rnncli.packing import Array
from rnncli.tagger_evaluation import TaggerEvaluation, evaluate_tagger, sentences_of_config, with_test_data
from rnncli.trained import Trained

# Neighbouring lines are alike, so that single ones are not independent; this many blocks are enough to draw from.
MOST_BLOCKS = 1000

# What of a data section has no say in which texts are read.
_OF_THE_MODEL = ("tokenizer", "max_length", "truncate", "words", "spelling")


Booleans = npt.NDArray[np.bool_]


class Headline(NamedTuple):
    """The figure that models of a task are compared by.

    Parameters
    ----------
    key : str
        Its name in a report.
    heading : str
        What people call it.
    form : str
        How it is written, as for :func:`format`.
    more_is_better : bool
        Whether a larger one is better.
    """

    key: str
    heading: str
    form: str
    more_is_better: bool

    def signed(self, difference: float) -> str:
        """Return a difference of two as people read it, of shares in points."""
        return f"{100 * difference:+.2f}" if self.form.endswith("%") else f"{difference:+.4f}"


HEADLINES = {
    "classification": Headline("accuracy", "accuracy", ".2%", True),
    "tagging": Headline("accuracy", "accuracy", ".2%", True),
    "language_model": Headline("bits_per_character", "bits/char", ".4f", False),
}


# That of taggers which all know entities: of their words most are outside of any.
ENTITY_F1 = Headline("entity_f1", "entity F1", ".2%", True)


class GivenData(NamedTuple):
    """Data to evaluate on instead of that of a config.

    Parameters
    ----------
    path : Path
        A file or folder.
    format : str or None
        By its ending when not given.
    columns : dict
        As for :func:`rnncli.evaluation.source_for_file`.
    """

    path: Path
    format: str | None
    columns: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """What a model makes of some data.

    Attributes
    ----------
    data : str
        What the data is, for people.
    unit : str
        What is drawn, in the plural.
    key : str
        Equal for the same texts with the same labels, in the same order.
    report : dict
        The figures of the task.
    counted, sizes : ndarray of shape (U,)
        Of each unit; their sums divided are the headline of the task.
    right : ndarray of bool, shape (U,), or None
        Whether the whole unit is right; None for a language model, to which nothing is right or wrong.
    details : Evaluation, TaggerEvaluation or list of LineCost
        All that is predicted.
    entities : tuple of two ndarrays of shape (U,), or None
        Of each sentence twice the entities that are found, and those that are there and those predicted together: their
        sums divided are :data:`ENTITY_F1`. None unless all tags are those of entities.
    """

    data: str
    unit: str
    key: str
    report: dict[str, Any]
    counted: Array
    sizes: Array
    right: Booleans | None
    details: Any
    entities: tuple[Array, Array] | None = None

    def sums(self, headline: Headline) -> tuple[Array, Array]:
        """Return what adds up to a headline above and below the line, of each unit."""
        if headline.key != ENTITY_F1.key:
            return self.counted, self.sizes
        assert self.entities is not None
        return self.entities


@dataclass
class Reader:
    """Reads data for models, and data that several share only once.

    Attributes
    ----------
    given : GivenData or None
        To evaluate on instead of each config's own.
    """

    given: GivenData | None = None
    _found: dict[str, Any] = field(default_factory=dict)

    def outcome(self, trained: Trained) -> Outcome:
        """Evaluate a model.

        Parameters
        ----------
        trained : Trained
            Of any task.

        Returns
        -------
        Outcome
            On the given data, else the config's test data, else its validation part.

        Raises
        ------
        RnncliError
            If the data cannot be read, or does not fit the model.
        """
        if isinstance(trained.config, Config):
            return self._of_classifier(trained, trained.config)
        if isinstance(trained.config, TaggingConfig):
            return self._of_tagger(trained, trained.config)
        return self._of_language_model(trained)

    def _of_classifier(self, trained: Trained, config: Config) -> Outcome:
        if self.given is not None:
            data = source_for_file(config, *self.given)
            config = config.model_copy(update={"data": data})
        rows, name = self._once(config, rows_of_config)
        found = evaluate(trained, rows)
        right = found.predicted == found.labels
        key = _digest((row.text, row.label) for row in rows)
        return Outcome(name, "texts", key, found.report, right.astype(float), np.ones(len(rows)), right, found)

    def _of_tagger(self, trained: Trained, config: TaggingConfig) -> Outcome:
        if self.given is not None:
            _refuse(self.given.columns, config.task)
            config = with_test_data(config, self.given.path, self.given.format)
        sentences: list[Sentence]
        sentences, name = self._once(config, sentences_of_config)
        found = evaluate_tagger(trained, sentences)
        sizes = np.array([len(sentence.tags) for sentence in sentences], float)
        counted = np.array(
            [
                sum(one == other for one, other in zip(sentence.tags, tags, strict=True))
                for sentence, tags in zip(sentences, found.predicted, strict=True)
            ],
            float,
        )
        key = _digest((*sentence.words, "\n", *sentence.tags) for sentence in sentences)
        entities = None if found.report["entities"] is None else _entities(found)
        return Outcome(name, "sentences", key, found.report, counted, sizes, counted == sizes, found, entities)

    def _of_language_model(self, trained: Trained) -> Outcome:
        assert isinstance(trained.config, LanguageConfig)
        if self.given is not None:
            _refuse([*self.given.columns, *(["format"] if self.given.format else [])], trained.config.task)
        text, name = text_of_config(trained, None if self.given is None else self.given.path)
        found = evaluate_text(trained, text, by_token=True)
        lines = list(line_costs(found, trained.learned))
        bits = np.array([line.nats for line in lines]) / np.log(2)
        characters = np.array([len(line.text) + 1 for line in lines], float)
        # The first token is not predicted and the last line may have no end: what is left is what the report counts.
        characters *= found.report["characters"] / characters.sum()
        starts = np.unique(np.arange(MOST_BLOCKS) * len(lines) // MOST_BLOCKS)
        counted, sizes = np.add.reduceat(bits, starts), np.add.reduceat(characters, starts)
        unit = "lines" if len(starts) == len(lines) else "blocks of lines"
        return Outcome(name, unit, _digest([line.text] for line in lines), found.report, counted, sizes, None, lines)

    def _once(self, config: Any, read: Any) -> Any:
        """Return what ``read(config)`` does, for configs that read the same things the same."""
        section = config.data.model_dump(mode="json")
        kept = {key: value for key, value in section.items() if key not in (*_OF_THE_MODEL, "split_seed")}
        key = json.dumps([config.task, config.split_seed, kept], sort_keys=True)
        if key not in self._found:
            self._found[key] = read(config)
        return self._found[key]


def _entities(found: TaggerEvaluation) -> tuple[Array, Array]:
    above, below = [], []
    for sentence, tags in zip(found.sentences, found.predicted, strict=True):
        there, made = set(read_entities(sentence.tags)), set(read_entities(tags))
        above.append(2 * len(there & made))
        below.append(len(there) + len(made))
    return np.array(above, float), np.array(below, float)


def _refuse(given: Iterable[str], task: str) -> None:
    """Raise for what only the data of other tasks is described by."""
    for key in given:
        option = f"--{key.replace('_', '-')}"
        raise ConfigError(f"has no effect on task {task}", where=option, remedy="Leave it out")


def _digest(units: Iterable[Iterable[str]]) -> str:
    hashed = hashlib.sha256()
    for unit in units:
        for text in unit:
            raw = text.encode("utf-8", "surrogatepass")
            hashed.update(len(raw).to_bytes(8, "little") + raw)
        hashed.update(b"\xff" * 8)
    return hashed.hexdigest()
