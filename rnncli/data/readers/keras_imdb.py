"""Keras's ``imdb.npz``: reviews as numbers, made words again with ``imdb_word_index.json``.

Two kinds of numbers go by that name. The published file holds those of the word index itself, from 1. Keras's
``imdb.load_data`` adds 3 to them when it loads the file, and then 0 is padding, 1 the start of a review and 2 a word
outside the vocabulary; people save its result under the same name. The two are told apart by what they hold, see
`_has_offset`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncli.data.npz_lists import read_integer_lists, read_integers
from rnncli.data.rows import OnBad, Row, report_bad
from rnncli.data.text_files import read_text
from rnncli.errors import DataError

# What Keras calls 0 and 1, under the names of the same classes in the original data set.
LABELS = ("neg", "pos")
UNKNOWN = "<unk>"
INDEX_FROM = 3

MAX_INDEX_BYTES = 64 * 2**20
MAX_WORDS = 5_000_000

_PADDING, _START, _OUTSIDE, _UNUSED = 0, 1, 2, 3


def read_keras_imdb(
    path: str | Path, word_index: str | Path, part: str = "train", on_bad: OnBad | None = None
) -> Iterator[Row]:
    """Yield the reviews of one half of Keras's imdb.npz.

    Parameters
    ----------
    path : str or Path
        ``imdb.npz``. Nothing in it is unpickled.
    word_index : str or Path
        ``imdb_word_index.json``: each word with its number, from 1.
    part : {"train", "test"}
        Which half.
    on_bad : callable, optional
        Takes the error of each bad review, and reading goes on; None raises it.

    Returns
    -------
    iterator of Row
        In the order of the file, words joined by spaces, labels ``neg`` (0) and ``pos`` (1). Padding and the start
        mark are left out; a word outside the vocabulary is ``<unk>``. `where` is ``file:x_train[i]``.

    Raises
    ------
    DataError
        A damaged file, or one that holds anything but lists of integers and labels; without `on_bad` also a review
        with a number that the word index does not have, or a label other than 0 and 1.
    """
    reviews = read_integer_lists(path, f"x_{part}")
    labels = read_integers(path, f"y_{part}")
    if len(reviews) != len(labels):
        raise DataError(f"x_{part} has {len(reviews):,} reviews but y_{part} {len(labels):,} labels", where=str(path))
    offset = _has_offset(reviews)
    words = _words(word_index, offset)
    for number, (review, label) in enumerate(zip(reviews, labels.tolist(), strict=True)):
        where = f"{path}:x_{part}[{number}]"
        try:
            if label not in (0, 1):
                raise DataError(f"label {label}, expected 0 or 1", where=where)
            text = _text(review, words, offset, where, word_index)
        except DataError as error:
            report_bad(error, on_bad)
            continue
        yield Row(text, LABELS[label], where)


def _has_offset(reviews: Sequence[NDArray[np.int32]]) -> bool:
    """Whether the numbers are those of `load_data` rather than the word index's.

    `load_data` never gives the number 3 (words begin at 4), which in the word index is one of the commonest words;
    every review of its begins with the start mark, or with padding, which the word index has no number for.
    """
    filled = [review for review in reviews if len(review)]
    if any((review == _UNUSED).any() for review in filled):
        return False
    return any((review == _PADDING).any() for review in filled) or all(review[0] == _START for review in filled)


def _words(path: str | Path, offset: bool) -> NDArray[Any]:
    """Return the word of each number; an empty string where there is none or it is left out."""
    try:
        index = json.loads(read_text(path, MAX_INDEX_BYTES))
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON ({error})", where=str(path), remedy="Fetch the file again") from error
    if not isinstance(index, dict) or not all(type(n) is int and 1 <= n <= MAX_WORDS for n in index.values()):
        raise DataError(
            f"expected an object that gives each word a number from 1 to {MAX_WORDS:,}",
            where=str(path),
            remedy="Use Keras's imdb_word_index.json",
        )
    if not index:
        raise DataError("the word index is empty", where=str(path))
    shift = INDEX_FROM if offset else 0
    words = np.full(max(index.values()) + shift + 1, "", object)
    for word, number in index.items():
        if words[number + shift]:
            raise DataError(f"the number {number} is given to two words", where=str(path))
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DataError(f"the word {word!a} holds half of a surrogate pair", where=str(path)) from error
        words[number + shift] = word.replace("\0", " ")
    if offset:
        words[_OUTSIDE] = UNKNOWN
    return words


def _text(review: NDArray[np.int32], words: NDArray[Any], offset: bool, where: str, word_index: str | Path) -> str:
    """Return the words of a review."""
    if offset:
        review = review[review > _START]
    highest = int(review.max(initial=0))
    chosen = words[review].tolist() if highest < len(words) else []
    if highest >= len(words) or "" in chosen:
        number = highest if highest >= len(words) else int(review[chosen.index("")])
        raise DataError(
            f"the number {number} has no word in {word_index}",
            where=where,
            remedy="Use the word index that belongs to the file",
        )
    return " ".join(chosen)
