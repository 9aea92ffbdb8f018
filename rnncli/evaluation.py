"""How good a trained model is on texts with labels."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.config import Config, DataConfig, parse_config
from rnncli.config.data import GROUPED_FORMATS
from rnncli.data.dataset import EncodedTexts, encode_rows, read_parts
from rnncli.data.readers import read_rows
from rnncli.data.rows import Row
from rnncli.data.tokenizers import make_tokenizer
from rnncli.errors import ConfigError, DataError
from rnncli.joining import score_together
from rnncli.layers.activations import softmax
from rnncli.machine import physical_cores
from rnncli.metrics import classification_report
from rnncli.models import Model
from rnncli.packing import Array, IntArray
from rnncli.scoring import score
from rnncli.thresholds import Threshold, predicted_classes
from rnncli.trained import Trained
from rnncli.workers.launch import processes
from rnncli.workers.processes import WorkerError

# Products of a token and a weight that are worth a process of their own, which takes some 0.4 s to start: a second or
# so of one core.
WORTH_A_PROCESS = 7.5e10

FORMATS_BY_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".npz": "keras_imdb"}


@dataclass(frozen=True)
class Evaluation:
    """The predictions for some texts and what they are worth.

    Attributes
    ----------
    rows : list of Row
        The texts.
    probabilities : ndarray of shape (rows, C)
        Of each class.
    predicted : ndarray of int, shape (rows,)
        The class of each text.
    labels : ndarray of int, shape (rows,)
        The true one.
    report : dict
        The figures of :func:`rnncli.metrics.classification_report`.
    lengths : ndarray of shape (rows,)
        Tokens read of each.
    """

    rows: list[Row]
    probabilities: Array
    predicted: IntArray
    labels: IntArray
    report: dict[str, Any]
    lengths: IntArray

    @property
    def tokens(self) -> int:
        """Tokens read of all."""
        return int(self.lengths.sum())


def evaluate(trained: Trained, rows: list[Row], threshold: Threshold | None = None) -> Evaluation:
    """Score texts and compare with their labels.

    Parameters
    ----------
    trained : Trained
        A loaded checkpoint.
    rows : list of Row
        Texts with labels.
    threshold : Threshold, optional
        From which probability on a text is positive, of a classifier of two; else the likeliest class is predicted.

    Returns
    -------
    Evaluation
        Predictions and figures.

    Raises
    ------
    DataError
        If there are no texts, or a label is not one the model knows.
    """
    if not rows:
        raise DataError("there are no texts to evaluate")
    config, learned = trained.config, trained.learned
    assert isinstance(config, Config)
    data = config.data
    tokenizer = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    texts = encode_rows(rows, tokenizer, learned.vocabulary, learned.labels, data.max_length, data.truncate)
    scores = _score(trained, texts)
    with np.errstate(invalid="ignore"):  # scores that are not finite are for the report to refuse
        probabilities = softmax(scores)
    predicted = scores.argmax(axis=1) if threshold is None else predicted_classes(probabilities, threshold)
    report = classification_report(texts.labels, scores, learned.labels, predicted)
    return Evaluation(rows, probabilities, predicted, texts.labels, report, texts.lengths)


def _score(trained: Trained, texts: EncodedTexts) -> Array:
    count = _process_count(trained.model, texts)
    if count > 1:
        with suppress(WorkerError), processes(count) as exchange:
            return score_together(exchange, trained.config, trained.model, texts)
    return score(trained.model, texts)  # one process can do what several could not


def _process_count(model: Model, texts: EncodedTexts) -> int:
    """Return how many processes to score with: up to one per core, as far as there is work for each."""
    weights = sum(array.size for name, array in model.params.items() if name not in model.sparse)
    return max(1, min(physical_cores(), int(len(texts.ids) * weights / WORTH_A_PROCESS)))


def rows_of_config(config: Config) -> tuple[list[Row], str]:
    """Read the texts that a config has to evaluate on: its test data, else its validation part.

    Parameters
    ----------
    config : Config
        From a checkpoint.

    Returns
    -------
    rows : list of Row
        The texts.
    name : str
        What they are, for people.
    """
    data = config.data
    if data.test is not None:
        return list(read_rows(data.test)), f"test data {data.test.path}"
    rows, name = validation_rows(config)
    return rows, f"{name}; the config has no test data"


def validation_rows(config: Config) -> tuple[list[Row], str]:
    """Read the texts that a config validates on.

    Parameters
    ----------
    config : Config
        From a checkpoint.

    Returns
    -------
    rows : list of Row
        The texts.
    name : str
        What they are, for people.
    """
    data = config.data
    if data.valid is not None:
        return list(read_rows(data.valid)), f"validation data {data.valid.path}"
    name = f"validation part ({data.valid_fraction:g}) of {data.train.path}"
    return read_parts(data, config.split_seed)[1], name


def source_for_file(config: Config, path: Path, given_format: str | None, given: dict[str, str]) -> DataConfig:
    """Describe a data file given on the command line, in a copy of the config's data section.

    The columns and left-out labels of the training data are taken over where the format is the same. Of a keras_imdb
    file the test half is meant.

    Parameters
    ----------
    config : Config
        From a checkpoint.
    path : Path
        A file or folder.
    given_format : str or None
        One of the config's formats; by the file's ending when not given.
    given : dict
        ``text`` and ``label``, where the columns are named otherwise, and ``word_index`` for keras_imdb.

    Returns
    -------
    DataConfig
        With the file as ``test``.

    Raises
    ------
    ConfigError
        If the format is neither given nor known by the ending, or something else given does not fit it or is missing.
    """
    data_format = given_format or _guess_format(config, path)
    train = config.data.train.model_dump()
    source = train if train["format"] == data_format else {"format": data_format}
    if data_format == "keras_imdb":
        source["part"] = "test"  # the file holds both halves, and the other one is for training
    _refuse_what_does_not_fit(data_format, given)
    if data_format == "keras_imdb" and "word_index" not in {**source, **given}:
        raise ConfigError(
            "is needed for format keras_imdb: the file that gives each number its word",
            where="--word-index",
            remedy="Add --word-index imdb_word_index.json",
        )
    values = config.model_dump(mode="json")
    values["data"]["test"] = {**source, "path": str(path), **given}
    parsed = parse_config(values, "command line")
    assert isinstance(parsed, Config)
    return parsed.data


def _refuse_what_does_not_fit(data_format: str, given: dict[str, str]) -> None:
    """Raise ConfigError, in terms of the command line, for an option that the format has no use for."""
    for key, value in given.items():
        option = f"--{key.replace('_', '-')}"
        formats = ("keras_imdb",) if key == "word_index" else GROUPED_FORMATS
        if data_format not in formats:
            raise ConfigError(
                f"belongs to format {', '.join(formats)}; --data is {data_format}",
                where=option,
                remedy=f"Leave {option} out, or give another --format",
            )
        if not value:
            raise ConfigError("is empty", where=option, remedy="Give a name, or leave the option out")


def _guess_format(config: Config, path: Path) -> str:
    if path.is_dir():
        return "aclimdb"
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".bz2", ".xz")]
    if suffixes and suffixes[-1] in FORMATS_BY_SUFFIX:
        return FORMATS_BY_SUFFIX[suffixes[-1]]
    raise ConfigError(
        "its ending does not tell the format",
        where=f"--data {path}",
        remedy=f"Add --format; the training data was {config.data.train.format}",
    )
