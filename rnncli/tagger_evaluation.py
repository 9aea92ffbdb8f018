"""How good a trained tagger is, and files of sentences with the tags it gives them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli.config import TaggingConfig, parse_config
from rnncli.data.tagging.columns import write_columns
from rnncli.data.tagging.conllu import write_conllu
from rnncli.data.tagging.dataset import read_tagged_parts
from rnncli.data.tagging.readers import read_sentences
from rnncli.data.tagging.schemes import convert_tags, is_entity_tag
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.text_files import read_lines
from rnncli.errors import ConfigError, DataError
from rnncli.packing import Array
from rnncli.tagging import report_on, tag_texts, tags_by_sentence
from rnncli.trained import Trained


@dataclass(frozen=True)
class TaggerEvaluation:
    """The tags of some sentences and what they are worth.

    Attributes
    ----------
    sentences : list of Sentence
        As they were read.
    predicted : list of list of str
        A tag for each word.
    report : dict
        ``loss`` and the figures of :func:`rnncli.tagging_metrics.tagging_report`.
    nats : ndarray of shape (total,)
        What the right tag of each word cost, the sentences end to end; NaN where the model does not have it.
    confidence : ndarray of shape (total,)
        The probability of the predicted tag of each word, likewise.
    """

    sentences: list[Sentence]
    predicted: list[list[str]]
    report: dict[str, Any]
    nats: Array
    confidence: Array


def sentences_of_config(config: TaggingConfig) -> tuple[list[Sentence], str]:
    """Read the sentences that a config has to evaluate on: its test data, else its validation part."""
    data = config.data
    if data.test is not None:
        return list(read_sentences(data.test)), f"test data {data.test.path}"
    valid = read_tagged_parts(data, config.split_seed)[1]
    if data.valid is not None:
        return valid, f"validation data {data.valid.path}; the config has no test data"
    return valid, f"validation part ({data.valid_fraction:g}) of {data.train.path}; the config has no test data"


def with_test_data(config: TaggingConfig, path: Path, given_format: str | None) -> TaggingConfig:
    """Return a config whose test data is a file given on the command line, read as the training data is.

    Parameters
    ----------
    config : TaggingConfig
        From a checkpoint.
    path : Path
        A file.
    given_format : str or None
        ``conllu`` or ``columns``; that of the training data when not given.

    Returns
    -------
    TaggingConfig
        Of its training data's settings what the format has.

    Raises
    ------
    ConfigError
        If the format is not one of a tagger.
    """
    train = config.data.train.model_dump()
    name = given_format or train["format"]
    if name not in ("conllu", "columns"):
        raise ConfigError(f"{name} is no format of sentences", where="--format", remedy="Give conllu or columns")
    values = config.model_dump(mode="json")
    values["data"]["test"] = {**(train if train["format"] == name else {"format": name}), "path": str(path)}
    parsed = parse_config(values, "command line")
    assert isinstance(parsed, TaggingConfig)
    return parsed


def evaluate_tagger(trained: Trained, sentences: list[Sentence]) -> TaggerEvaluation:
    """Tag sentences and compare with the tags they have.

    Parameters
    ----------
    trained : Trained
        A tagger.
    sentences : list of Sentence
        At least one.

    Returns
    -------
    TaggerEvaluation
        Predictions and figures.
    """
    if not sentences:
        raise DataError("there are no sentences to evaluate")
    texts = trained.learned.encode(sentences)
    tagged = tag_texts(trained.model, texts)
    predicted = tags_by_sentence(texts, tagged.tags)
    return TaggerEvaluation(sentences, predicted, report_on(texts, tagged), tagged.nats, tagged.confidence)


def tagged_lines(config: TaggingConfig, evaluation: TaggerEvaluation) -> Iterator[str]:
    """Yield the lines of the test file with the predicted tags.

    Parameters
    ----------
    config : TaggingConfig
        Whose ``data.test`` was evaluated.
    evaluation : TaggerEvaluation
        The tags.

    Yields
    ------
    str
        Of CoNLL-U the lines with the tags in their column; of columns with one column more, in the scheme of the file
        where there is one.
    """
    source = config.data.test
    assert source is not None
    keys = source.model_dump()
    predicted = evaluation.predicted
    back = keys["format"] == "columns" and keys["convert_to"] is not None and keys["scheme"] != "auto"
    if back and all(is_entity_tag(tag) for tags in predicted for tag in tags):
        predicted = [list(convert_tags(tags, keys["scheme"])) for tags in predicted]
    tags = (tag for sentence in predicted for tag in sentence)
    lines = (line.text for line in read_lines(source.path))
    if keys["format"] == "conllu":
        yield from write_conllu(lines, tags, keys["column"])
    else:
        yield from write_columns(lines, tags, keys["word"], keys["separator"], keys["comment"])
