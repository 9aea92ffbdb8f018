"""Which n-grams of the training texts are worth a weight, and how much each says by itself.

There is a row for each n-gram that enough training texts have and for no other: nothing is kept of those that a limit
leaves out, and no size of a table need be guessed.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.ngrams import Keys, distinct_ngrams, sorted_once
from rnncli.packing import Array, IntArray

TEXTS_AT_ONCE = 2000  # counted; some 50 MB of long ones


class NgramCounts(NamedTuple):
    """The n-grams that get a weight.

    Attributes
    ----------
    keys : ndarray of int32, shape (U,)
        Their numbers, rising; the place of one is its row.
    texts : ndarray of int, shape (U, C)
        How many training texts of each class have it.
    """

    keys: Keys
    texts: IntArray


def count_ngrams(
    ids: NDArray[np.integer],
    offsets: IntArray,
    labels: NDArray[np.integer],
    classes: int,
    *,
    orders: int,
    min_count: int,
    most: int,
) -> NgramCounts:
    """Find the n-grams that training texts have often enough.

    Parameters
    ----------
    ids : ndarray of int
        The tokens of all texts, one after the other.
    offsets : ndarray of int, shape (texts + 1,)
        Where each text begins, and the end.
    labels : ndarray of int, shape (texts,)
        Class ids.
    classes : int
        C.
    orders : int
        The longest n-gram.
    min_count : int
        Texts that must have an n-gram.
    most : int
        How many to keep: those that the most texts have, of equal ones those of the smaller number.

    Returns
    -------
    NgramCounts
        Perhaps none.
    """
    merged, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    waiting: list[IntArray] = []
    for start in range(0, len(labels), TEXTS_AT_ONCE):
        end = min(start + TEXTS_AT_ONCE, len(labels))
        first, last = int(offsets[start]), int(offsets[end])
        texts = np.repeat(np.arange(start, end), np.diff(offsets[start : end + 1]))
        place = np.arange(first, last)
        found, of = distinct_ngrams(
            ids[first:last], place - first + 1, offsets[texts + 1] - place, texts - start, orders
        )
        waiting.append(found.astype(np.int64) * classes + labels[of + start])
        if end == len(labels) or sum(map(len, waiting)) > max(len(merged), 4 * 10**6):  # each is moved a few times only
            merged, counts = _add_counts(merged, counts, np.concatenate(waiting))
            waiting = []
    numbers, row = np.unique(merged // classes, return_inverse=True)
    totals = np.zeros(len(numbers), np.int64)
    np.add.at(totals, row, counts)
    kept = np.flatnonzero(totals >= min_count)
    kept = np.sort(kept[np.argsort(-totals[kept], kind="stable")[:most]])
    # By label of those alone that are kept: most n-grams are there once, and labels may be many.
    place = np.full(len(numbers), -1)
    place[kept] = np.arange(len(kept))
    stays = place[row] >= 0
    texts_of = np.zeros((len(kept), classes), np.int64)
    texts_of[place[row[stays]], merged[stays] % classes] = counts[stays]
    return NgramCounts(numbers[kept].astype(np.int32), texts_of)


def log_count_ratios(texts: IntArray) -> Array:
    """Work out what each n-gram says by itself: log-count ratios (Wang and Manning 2012, section 2.1).

    Parameters
    ----------
    texts : ndarray of int, shape (U, C)
        How many texts of each class have each n-gram; the paper's binarized counts.

    Returns
    -------
    ndarray of shape (U, K), float64
        ``log(p / q)``: p is the share of an n-gram in all that the texts of a class have, each count one higher, and q
        that in the texts of the other classes. K is C; of two classes it is 1, the ratio of the second, as that of the
        first is the same with the sign turned.
    """
    p = texts + 1.0
    q = texts.sum(axis=1, keepdims=True) - texts + 1.0
    ratios: Array = np.log(p / p.sum(axis=0)) - np.log(q / q.sum(axis=0))
    return ratios[:, 1:] if texts.shape[1] == 2 else ratios


def _add_counts(merged: IntArray, counts: IntArray, more: IntArray) -> tuple[IntArray, IntArray]:
    """Count more numbers, which may be there already."""
    numbers, times = np.unique(more, return_counts=True)
    together = sorted_once(np.concatenate([merged, numbers]))
    out = np.zeros(len(together), np.int64)
    out[np.searchsorted(together, merged)] = counts
    out[np.searchsorted(together, numbers)] += times
    return together, out
