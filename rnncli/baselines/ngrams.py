"""Which words and pairs of neighbouring words are in each text, as a sparse matrix of ones."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.extras import require
from rnncli.packing import IntArray

Texts = NDArray[np.int32]


class Features(NamedTuple):
    """The words and pairs that have a column.

    Parameters
    ----------
    tokens : int
        Ids there are, V; id 0 is that of unknown words and has no column, id i has column i - 1.
    pairs : ndarray of shape (P,), int64
        The pairs a, b of neighbours in the training texts as a V + b, sorted; they have the columns after the words.
    """

    tokens: int
    pairs: IntArray

    @property
    def columns(self) -> int:
        """Words and pairs."""
        return self.tokens - 1 + len(self.pairs)


def find_features(ids: NDArray[np.integer], offsets: IntArray, tokens: int) -> Features:
    """Return the words and pairs of the training texts.

    Parameters
    ----------
    ids, offsets : ndarrays
        As in :class:`rnncli.data.encoding.EncodedTexts`.
    tokens : int
        Ids there are, V.

    Returns
    -------
    Features
        All of them, however rare.
    """
    return Features(tokens, np.unique(_pairs(ids, offsets, tokens)[0]))


def feature_matrix(features: Features, ids: NDArray[np.integer], offsets: IntArray) -> Any:
    """Return which features each text has.

    Parameters
    ----------
    features : Features
        Of the training texts.
    ids, offsets : ndarrays
        Texts, as in :class:`rnncli.data.encoding.EncodedTexts`.

    Returns
    -------
    scipy.sparse.csr_matrix of shape (texts, columns)
        1 where a text has a word or pair, however often; float64.

    Raises
    ------
    RnncliError
        If scikit-learn, which brings SciPy, is not installed.
    """
    sparse = require("scipy.sparse", extra="sklearn", purpose="the baseline of words and pairs")
    keys, text_of_pair, text_of_word = _pairs(ids, offsets, features.tokens)
    place = np.searchsorted(features.pairs, keys)
    found = np.zeros(len(keys), bool)
    inside = place < len(features.pairs)
    found[inside] = features.pairs[place[inside]] == keys[inside]
    known = ids > 0
    rows = np.concatenate([text_of_word[known], text_of_pair[found]])
    columns = np.concatenate([ids[known] - 1, place[found] + features.tokens - 1])
    shape = (len(offsets) - 1, features.columns)
    ones = np.ones(len(rows), np.int8)  # sums of these may overflow and are not used
    matrix = sparse.coo_matrix((ones, (rows, columns.astype(np.int32))), shape=shape).tocsr()
    del rows, columns, ones
    matrix.sum_duplicates()
    matrix.data = np.ones(matrix.nnz)
    return matrix


def _pairs(ids: NDArray[np.integer], offsets: IntArray, tokens: int) -> tuple[IntArray, Texts, Texts]:
    """Return the key of each pair of known neighbours, the text it is in, and the text that each word is in."""
    texts: Texts = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
    first, second = ids[:-1].astype(np.int64), ids[1:]
    inside = (texts[:-1] == texts[1:]) & (first > 0) & (second > 0)
    return first[inside] * tokens + second[inside], texts[:-1][inside], texts
