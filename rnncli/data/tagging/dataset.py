"""The training and the validation part of a tagger's data."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rnncli.data.readers import Source
from rnncli.data.split import split_rows
from rnncli.data.tagging.codec import TaggedTexts, TaggingCodec, WordSettings, learn_tagging_codec
from rnncli.data.tagging.columns import find_scheme
from rnncli.data.tagging.readers import read_sentences
from rnncli.data.tagging.schemes import OUTSIDE
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tagging.spelling import SpellingSettings
from rnncli.errors import DataError


class TaggingSettings(Protocol):
    """Where the sentences are and how they become arrays; ``rnncli.config.tagging`` says what each key means."""

    @property
    def train(self) -> Source: ...  # noqa: D102
    @property
    def valid(self) -> Source | None: ...  # noqa: D102
    @property
    def valid_fraction(self) -> float: ...  # noqa: D102
    @property
    def split_by(self) -> Literal["sentence", "document"]: ...  # noqa: D102
    @property
    def words(self) -> WordSettings: ...  # noqa: D102
    @property
    def spelling(self) -> SpellingSettings | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class TaggingDataset:
    """What training a tagger needs.

    Parameters
    ----------
    train, valid : TaggedTexts
        The two parts.
    codec : TaggingCodec
        What the training part taught.
    """

    train: TaggedTexts
    valid: TaggedTexts
    codec: TaggingCodec


def load_tagging_dataset(data: TaggingSettings, seed: int) -> TaggingDataset:
    """Return the encoded training and validation parts; a treebank takes about a second, so nothing is cached.

    Parameters
    ----------
    data : TaggingSettings
        The ``data`` section of a config.
    seed : int
        Seed of the split; without effect beside ``data.valid``.

    Returns
    -------
    TaggingDataset
        Both parts, and what the first taught.

    Raises
    ------
    DataError
        If the data cannot be read or is not fit to train on: one tag only, no word often enough, an empty part.
    """
    train, valid = read_tagged_parts(data, seed)
    codec = learn_tagging_codec(train, data.words, data.spelling, str(data.train.model_dump()["path"]))
    return TaggingDataset(codec.encode(train), codec.encode(valid), codec)


def read_tagged_parts(data: TaggingSettings, seed: int) -> tuple[list[Sentence], list[Sentence]]:
    """Return the sentences of the training and of the validation part.

    Parameters
    ----------
    data : TaggingSettings
        The ``data`` section of a config.
    seed : int
        Seed of the split; without effect beside ``data.valid``.

    Returns
    -------
    train, valid : list of Sentence
        In the order of their sources, which is the order of :func:`load_tagging_dataset`'s texts.

    Raises
    ------
    DataError
        If a source cannot be read, holds a bad sentence, or leaves a part empty; if the two mark entities differently.
    """
    sentences = list(read_sentences(data.train, data.split_by == "document"))
    if data.valid is not None:
        others = list(read_sentences(data.valid))
        _check_schemes(sentences, others)
        return sentences, others
    split = split_rows(sentences, data.valid_fraction, seed, str(data.train.model_dump()["path"]))
    return split.train, split.valid


def _check_schemes(train: Sequence[Sentence], valid: Sequence[Sentence]) -> None:
    """Raise where two sources mark entities in two schemes: their tags would not mean the same."""
    ours, theirs = (find_scheme(part) if _has_entities(part) else None for part in (train, valid))
    if ours is not None and theirs is not None and ours != theirs:
        raise DataError(
            f"marks entities in {theirs}, the training part in {ours}",
            where=valid[0].where.rpartition(":")[0],
            remedy=f"Give both sources convert_to: {ours}",
        )


def _has_entities(sentences: Iterable[Sentence]) -> bool:
    """Whether a word is part of an entity."""
    return any(tag != OUTSIDE for sentence in sentences for tag in sentence.tags)
