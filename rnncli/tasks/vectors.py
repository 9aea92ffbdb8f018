"""A new model whose words start from vectors that others have made (``model.embedding.vectors``)."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.language.windows import release_pages
from rnncli.data.word_vectors import read_word_vectors
from rnncli.errors import DataError
from rnncli.packing import Array, IntArray
from rnncli.work import Network

_CHUNK = 2**22  # ids counted at once


class Words(NamedTuple):
    """The words that a model has a row of its embedding for.

    Attributes
    ----------
    tokens : tuple of str
        By id, the unknown one first; rows past them are of no word.
    counts : ndarray of int, shape (len(tokens),)
        How often each occurs in the training part.
    """

    tokens: tuple[str, ...]
    counts: IntArray


@dataclass(frozen=True)
class Coverage:
    """How much of a training part a file of vectors has.

    Attributes
    ----------
    path : str
        The file.
    vectors, unreadable : int
        Vectors in it; those whose word is not UTF-8, which were passed over.
    words, words_found, words_lowered : int
        Words of the vocabulary, those with a vector, and of these the ones found in lower case only.
    tokens, tokens_found : int
        Tokens of the training part, and those whose word has a vector.
    spread, spread_drawn : float
        Standard deviation of the numbers of the vectors, and of the rows that stay as they are drawn; 0 of none.
    """

    path: str
    vectors: int
    unreadable: int
    words: int
    words_found: int
    words_lowered: int
    tokens: int
    tokens_found: int
    spread: float
    spread_drawn: float

    def __str__(self) -> str:
        """Return it in two lines, the second about their size."""
        lowered = f", {self.words_lowered:,} of them in lower case" if self.words_lowered else ""
        unreadable = f"; {self.unreadable:,} whose word is not UTF-8 were passed over" if self.unreadable else ""
        return (
            f"{self.path}: vectors for {self.words_found:,} of {self.words:,} words "
            f"({self.words_found / self.words:.1%}{lowered}), {self.tokens_found / self.tokens:.1%} of the tokens\n"
            f"their numbers have a standard deviation of {self.spread:.2g}, those drawn for the other words "
            f"{self.spread_drawn:.2g}{unreadable}"
        )


def take_vectors(network: Network, path: str, words: Words) -> Coverage:
    """Put the vectors of a file into the rows of the words that it has; the other rows stay as they are.

    Parameters
    ----------
    network : Network
        Its ``embedding.W`` is changed in place.
    path : str
        The file.
    words : Words
        What the rows stand for.

    Returns
    -------
    Coverage
        How much was found.

    Raises
    ------
    DataError
        If the file cannot be read, is damaged, or has none of the words.
    ConfigError
        If its vectors are of another length than the rows.
    """
    W = network.params["embedding.W"]
    found = read_word_vectors(path, words.tokens, W.shape[1])
    if not len(found.ids):
        raise DataError(
            f"has no vector for any of the {len(words.tokens) - 1:,} words of the training part",
            where=path,
            remedy="Check that it is of the same language and script",
        )
    W[found.ids] = found.values
    drawn = np.ones(len(W), bool)
    drawn[found.ids] = False
    known = found.ids[found.ids > 0]  # the unknown word is no word
    return Coverage(
        path,
        found.read,
        found.unreadable,
        len(words.tokens) - 1,
        len(known),
        found.lowered,
        int(words.counts.sum()),
        int(words.counts[known].sum()),
        _spread(found.values),
        _spread(W[drawn]),
    )


def count_ids(ids: npt.NDArray[np.integer], size: int) -> IntArray:
    """Count how often each id below a size occurs in an array that may be mapped from a file."""
    counts = np.zeros(size, np.int64)
    for start in range(0, len(ids), _CHUNK):
        counts += np.bincount(ids[start : start + _CHUNK], minlength=size)[:size]
        release_pages(ids)
    return counts


def _spread(values: Array) -> float:
    return float(values.std(dtype=np.float64)) if values.size else 0.0
