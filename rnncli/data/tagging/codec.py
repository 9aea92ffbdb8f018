"""Tagged sentences as arrays, and what it takes to encode more of them the same way."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.encoding import Ids, Integers
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


def learn_tagging_codec(
    train: Sequence[Sentence], words: WordSettings, spelling: SpellingSettings | None, where: str
) -> TaggingCodec:
    """Return the vocabularies of the training part.

    Parameters
    ----------
    train : sequence of Sentence
        The training part.
    words : WordSettings
        Which words get an id.
    spelling : SpellingSettings or None
        What of their spelling is seen.
    where : str
        Name of the source, for messages.

    Returns
    -------
    TaggingCodec
        Words, tags and characters.

    Raises
    ------
    DataError
        If there is one tag only, or no word occurs ``min_count`` times.
    """
    tags = tuple(sorted({tag for sentence in train for tag in sentence.tags}))
    if len(tags) < 2:
        raise DataError(
            f"the only tag is {tags[0]!r}; a tagger needs two or more" if tags else "there are no tags",
            where=where,
            remedy="Check which column is the tag",
        )
    forms = Counter(word for sentence in train for word in sentence.words)
    counts = forms
    if words.lowercase:
        counts = Counter()
        for form, count in forms.items():
            counts[form.lower()] += count
    vocabulary = build_vocabulary(counts, words.min_count, words.max_vocab)
    if len(vocabulary) == 1:
        raise DataError(
            f"no word occurs {words.min_count} times in the training part",
            where=where,
            remedy="Lower data.words.min_count",
        )
    characters = None
    if spelling is not None and spelling.kind == "characters":
        character_counts: Counter[str] = Counter()
        for form, count in forms.items():
            for character in form:
                character_counts[character] += count
        characters = build_vocabulary(character_counts, spelling.min_count, _ALL)
    return TaggingCodec(vocabulary, tags, characters, np.unique(word_keys(forms)), words.lowercase, spelling)


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


def _numbered(items: Iterable[str], numbers: dict[str, int]) -> Ids:
    """Return the number of each item; one that has none gets the next, which is added to ``numbers``."""
    return np.array([numbers.setdefault(item, len(numbers)) for item in items], dtype=np.int32)
