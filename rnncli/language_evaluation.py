"""What texts cost a trained language model: in all, and line by line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.config import LanguageConfig, parse_config
from rnncli.data.language.corpus import load_corpus
from rnncli.data.language.encoding import EncodedText, encode_text
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.readers import WITH_COLUMNS
from rnncli.data.sight import bare_suffix
from rnncli.language_metrics import TokenLosses, language_report
from rnncli.language_scoring import score_text
from rnncli.packing import Array
from rnncli.run_dir import CACHE
from rnncli.trained import Trained


class LineCost(NamedTuple):
    """What a line costs.

    Attributes
    ----------
    line : int
        Its number among those that were read, from 1.
    text : str
        As the model sees it.
    tokens : int
        Those that were predicted; the first of a text is not, unless an end-of-text token is before it.
    nats : float
        These together.
    """

    line: int
    text: str
    tokens: int
    nats: float


@dataclass(frozen=True)
class TextEvaluation:
    """What a text costs.

    Attributes
    ----------
    report : dict
        The figures of :func:`rnncli.language_metrics.language_report`, and ``accuracy``.
    text : EncodedText
        What was read.
    nats : ndarray of shape (tokens - 1,) or None
        What each token but the first costs, where asked for.
    """

    report: dict[str, Any]
    text: EncodedText
    nats: Array | None


def text_of_config(trained: Trained, data: Path | None) -> tuple[EncodedText, str]:
    """Read the text to evaluate on: a given one, else the config's test text, else its validation part.

    Parameters
    ----------
    trained : Trained
        A language model.
    data : Path or None
        A text file or a folder of them; or, where the training data was a table or a folder of reviews, another such.

    Returns
    -------
    text : EncodedText
        Encoded with the model's codec.
    name : str
        What it is, for people.
    """
    config = trained.config
    assert isinstance(config, LanguageConfig)
    section, codec = config.data, trained.learned
    if data is not None:
        values = config.model_dump(mode="json")
        values["data"]["test"] = {**_like_training(values["data"]["train"], data), "path": str(data)}
        given = parse_config(values, "command line")
        assert isinstance(given, LanguageConfig)
        return encode_text(given.data.test, section.document_boundary, codec), f"text {data}"  # type: ignore[arg-type]
    if section.test is not None:
        return encode_text(section.test, section.document_boundary, codec), "test text of the config"
    if section.valid is not None:
        name = "validation text of the config, which has no test text"
        return encode_text(section.valid, section.document_boundary, codec), name
    name = f"validation part ({section.valid_fraction:g}) of the training text; the config has no test text"
    corpus = load_corpus(section, CACHE)
    return corpus.valid, name


def _like_training(train: dict[str, Any], data: Path) -> dict[str, Any]:
    """Return how given data is read: as the training data was if it is like it, tables by their ending; or as text."""
    trained_on, ending = train["format"], bare_suffix(data)[1:]
    if data.is_dir():
        return train if trained_on == "aclimdb" else {"format": "text"}
    if trained_on in WITH_COLUMNS and ending in WITH_COLUMNS:
        return {**train, "format": ending}
    return train if trained_on == "fasttext" else {"format": "text"}


def evaluate_text(trained: Trained, text: EncodedText, *, by_token: bool = False) -> TextEvaluation:
    """Score a text, read from beginning to end.

    Parameters
    ----------
    trained : Trained
        A language model.
    text : EncodedText
        Encoded with its codec.
    by_token : bool
        Keep what each token costs.

    Returns
    -------
    TextEvaluation
        The figures.
    """
    each = np.zeros(len(text) - 1, np.float32) if by_token else None
    scored = score_text(trained.model, text.tokens, trained.learned.end_of_text, each=each)
    losses = TokenLosses()
    losses.nats, losses.tokens = scored.nats, scored.tokens
    report = language_report(losses, text.characters, text.unknown)
    return TextEvaluation({**report, "accuracy": scored.hits / scored.tokens}, text, each)


def line_costs(evaluation: TextEvaluation, codec: TextCodec) -> Iterator[LineCost]:
    """Yield what each line costs; an end-of-text token ends a line too, and counts to it.

    Parameters
    ----------
    evaluation : TextEvaluation
        With what each token costs.
    codec : TextCodec
        The model's.

    Yields
    ------
    LineCost
        Of every line that has a token.
    """
    assert evaluation.nats is not None
    line, ids, nats, counted = 1, [], 0.0, 0
    for place, token in enumerate(evaluation.text.tokens.tolist()):
        ids.append(token)
        if place:
            nats, counted = nats + float(evaluation.nats[place - 1]), counted + 1
        if token == codec.end_of_text and not place:
            ids = []
        elif token == codec.end_of_text or "\n" in codec.decode([token]):
            if counted:
                yield LineCost(line, codec.decode(ids).rstrip("\n"), counted, nats)
            line, ids, nats, counted = line + 1, [], 0.0, 0
    if counted:
        yield LineCost(line, codec.decode(ids), counted, nats)
