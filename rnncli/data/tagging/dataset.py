"""Tagged sentences as arrays, and what it takes to encode more of them the same way."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.encoding import Ids, Integers
from rnncli.data.readers import Source
from rnncli.data.split import split_rows
from rnncli.data.tagging.columns import find_scheme
from rnncli.data.tagging.readers import read_sentences
from rnncli.data.tagging.schemes import OUTSIDE
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tagging.spelling import Spellings, SpellingSettings, spell
from rnncli.data.vocabulary import Vocabulary, build_vocabulary
from rnncli.errors import DataError

_ALL = 10**9


class WordSettings(Protocol):
    """Which words get an id of their own."""

    @property
    def lowercase(self) -> bool: ...  # noqa: D102
    @property
    def max_vocab(self) -> int: ...  # noqa: D102
    @property
    def min_count(self) -> int: ...  # noqa: D102


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
class TaggedTexts:
    """Tagged sentences, end to end. The arrays are read-only.

    Parameters
    ----------
    ids : ndarray of shape (total,), int32
        The id of each word; sentence ``i`` is ``ids[offsets[i]:offsets[i + 1]]``, at least one word.
    labels : ndarray of shape (total,), int64
        The tag of each word, as a place in ``tags``.
    offsets : ndarray of shape (rows + 1,), int64
        Where each sentence begins, and at the end the total.
    forms : ndarray of shape (total,), int32
        Which written form each word is: a row of ``spellings``.
    unseen : ndarray of shape (total,), bool
        Whether the training part does not have the word, as it is written.
    tags : tuple of str
        The name of each label: first those of the training part, in the model's order, then those that only these
        sentences have. A label of the latter can neither be learned from nor be predicted.
    spellings : Spellings or None
        The pieces of each distinct form, where the config asks for them.
    """

    ids: Ids
    labels: Integers
    offsets: Integers
    forms: Ids
    unseen: npt.NDArray[np.bool_]
    tags: tuple[str, ...]
    spellings: Spellings | None

    def __len__(self) -> int:
        """Return the number of sentences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Return the number of words of each sentence, shape (rows,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True, eq=False)
class TaggingCodec:
    """What was learned from the training part and has to travel with a model.

    Parameters
    ----------
    words : Vocabulary
        The words with an id of their own.
    tags : tuple of str
        The name of each class, sorted.
    characters : Vocabulary or None
        The characters with an id of their own, where words are seen through them.
    seen : ndarray of shape (forms,), uint64
        :func:`word_keys` of all words of the training part, sorted.
    lowercase : bool
        Whether words are looked up in lower case.
    spelling : SpellingSettings or None
        As in the config.
    """

    words: Vocabulary
    tags: tuple[str, ...]
    characters: Vocabulary | None
    seen: npt.NDArray[np.uint64]
    lowercase: bool
    spelling: SpellingSettings | None

    def encode(self, sentences: Sequence[Sentence]) -> TaggedTexts:
        """Return sentences as arrays.

        Parameters
        ----------
        sentences : sequence of Sentence
            Of any source.

        Returns
        -------
        TaggedTexts
            In order.
        """
        numbers: dict[str, int] = {}
        forms = _numbered((word for sentence in sentences for word in sentence.words), numbers)
        tags = {tag: number for number, tag in enumerate(self.tags)}
        labels = _numbered((tag for sentence in sentences for tag in sentence.tags), tags).astype(np.int64)
        word_ids = self.words.encode([form.lower() if self.lowercase else form for form in numbers])
        unseen = ~np.isin(word_keys(numbers), self.seen)
        offsets = np.zeros(len(sentences) + 1, dtype=np.int64)
        np.cumsum([len(sentence.words) for sentence in sentences], out=offsets[1:])
        spellings = None if self.spelling is None else spell(numbers, self.spelling, self.characters)
        arrays = (word_ids[forms], labels, offsets, forms, unseen[forms])
        for array in arrays:
            array.setflags(write=False)
        return TaggedTexts(*arrays, tuple(tags), spellings)


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
    codec = learn_tagging_codec(train, data)
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


def learn_tagging_codec(train: Sequence[Sentence], data: TaggingSettings) -> TaggingCodec:
    """Return the vocabularies of the training part.

    Parameters
    ----------
    train : sequence of Sentence
        The training part.
    data : TaggingSettings
        The ``data`` section of a config.

    Returns
    -------
    TaggingCodec
        Words, tags and characters.

    Raises
    ------
    DataError
        If there is one tag only, or no word occurs ``min_count`` times.
    """
    where = str(data.train.model_dump()["path"])
    tags = tuple(sorted({tag for sentence in train for tag in sentence.tags}))
    if len(tags) < 2:
        raise DataError(
            f"the only tag is {tags[0]!r}; a tagger needs two or more" if tags else "there are no tags",
            where=where,
            remedy="Check which column is the tag",
        )
    forms = Counter(word for sentence in train for word in sentence.words)
    counts = forms
    if data.words.lowercase:
        counts = Counter()
        for form, count in forms.items():
            counts[form.lower()] += count
    words = build_vocabulary(counts, data.words.min_count, data.words.max_vocab)
    if len(words) == 1:
        raise DataError(
            f"no word occurs {data.words.min_count} times in the training part",
            where=where,
            remedy="Lower data.words.min_count",
        )
    characters = None
    if data.spelling is not None and data.spelling.kind == "characters":
        character_counts: Counter[str] = Counter()
        for form, count in forms.items():
            for character in form:
                character_counts[character] += count
        characters = build_vocabulary(character_counts, data.spelling.min_count, _ALL)
    return TaggingCodec(words, tags, characters, np.unique(word_keys(forms)), data.words.lowercase, data.spelling)


def word_keys(words: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit key of each word, by which a checkpoint remembers what was seen without listing it.

    Parameters
    ----------
    words : iterable of str
        Any words.

    Returns
    -------
    ndarray of shape (words,), uint64
        The same on every machine.
    """
    digests = b"".join(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in words)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


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


def _numbered(items: Iterable[str], numbers: dict[str, int]) -> Ids:
    """Return the number of each item; one that has none gets the next, which is added to ``numbers``."""
    return np.array([numbers.setdefault(item, len(numbers)) for item in items], dtype=np.int32)
