"""Words seen through their spelling: the characters of each written form, or hashed n-grams of them.

Forms are kept once each, however often they occur, so that a model reads the spelling of a word once per batch.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from rnncli.data.encoding import Ids, Integers
from rnncli.data.vocabulary import Vocabulary


class CharacterSettings(Protocol):
    """Each character of a word is a piece."""

    @property
    def kind(self) -> Literal["characters"]: ...  # noqa: D102
    @property
    def min_count(self) -> int: ...  # noqa: D102
    @property
    def max_length(self) -> int: ...  # noqa: D102


class NgramSettings(Protocol):
    """Each run of ``shortest`` to ``longest`` characters is a piece, with ``<`` and ``>`` at the ends of the word."""

    @property
    def kind(self) -> Literal["ngrams"]: ...  # noqa: D102
    @property
    def shortest(self) -> int: ...  # noqa: D102
    @property
    def longest(self) -> int: ...  # noqa: D102
    @property
    def buckets(self) -> int: ...  # noqa: D102


SpellingSettings = CharacterSettings | NgramSettings


@dataclass(frozen=True, eq=False)
class Spellings:
    """The pieces of written forms, end to end. The arrays are read-only.

    Parameters
    ----------
    pieces : ndarray of shape (total,), int32
        Ids of characters, or buckets of n-grams; form ``i`` is ``pieces[offsets[i]:offsets[i + 1]]``, at least one.
    offsets : ndarray of shape (forms + 1,), int64
        Where each form begins, and at the end the total.
    """

    pieces: Ids
    offsets: Integers

    def __len__(self) -> int:
        """Return the number of forms."""
        return len(self.offsets) - 1


def spell(forms: Iterable[str], settings: SpellingSettings, characters: Vocabulary | None = None) -> Spellings:
    """Return the pieces of written forms.

    Parameters
    ----------
    forms : iterable of str
        Words, none of them empty.
    settings : CharacterSettings or NgramSettings
        What a piece is.
    characters : Vocabulary, optional
        The characters with an id of their own; without effect for n-grams, which need none.

    Returns
    -------
    Spellings
        In the order of the forms.
    """
    if settings.kind == "characters":
        assert characters is not None
        each = [characters.encode(kept_characters(form, settings.max_length)) for form in forms]
    else:
        each = [ngram_buckets(form, settings.shortest, settings.longest, settings.buckets) for form in forms]
    offsets = np.zeros(len(each) + 1, dtype=np.int64)
    np.cumsum([len(pieces) for pieces in each], out=offsets[1:])
    pieces = np.concatenate(each) if each else np.zeros(0, np.int32)
    for array in (pieces, offsets):
        array.setflags(write=False)
    return Spellings(pieces, offsets)


def kept_characters(form: str, max_length: int) -> Sequence[str]:
    """Return the characters of a word; of a longer one than ``max_length``, as many from both ends.

    Parameters
    ----------
    form : str
        A word.
    max_length : int
        Most characters to return; the one in the middle, where it is odd, is from the beginning.

    Returns
    -------
    sequence of str
        Single characters.
    """
    if len(form) <= max_length:
        return form
    return form[: (max_length + 1) // 2] + form[len(form) - max_length // 2 :]


def ngram_buckets(form: str, shortest: int, longest: int, buckets: int) -> Ids:
    """Return the buckets of a word's n-grams of characters.

    Parameters
    ----------
    form : str
        A word; ``<`` is put before and ``>`` after it.
    shortest, longest : int
        The lengths of the n-grams.
    buckets : int
        Different n-grams share a bucket by chance, the more often the fewer there are.

    Returns
    -------
    ndarray of shape (n,), int32
        From 0 to ``buckets`` - 1, in the order of the lengths. A word too short for any n-gram is one as a whole.
    """
    marked = f"<{form}>"
    grams = [marked[i : i + n] for n in range(shortest, longest + 1) for i in range(len(marked) - n + 1)] or [marked]
    return np.array([zlib.crc32(gram.encode("utf-8", "surrogatepass")) % buckets for gram in grams], dtype=np.int32)
