"""Word n-grams as features of a text: which it has, which are worth a weight, and how much each says by itself.

An n-gram is known by a number of 31 bits, made of its tokens' ids. Two n-grams that share one, a thousand in a million,
share a weight. There is a row for each n-gram that the training texts have often enough and for no other, so that
nothing is kept of the rest and nothing of what a limit on the number of rows left out.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.packing import Array, IntArray, Packing

Keys = NDArray[np.int32]

KEY_BITS = 31
OWNER_BITS = 32  # of the number of a text in a batch or a block
TEXTS_AT_ONCE = 2000  # counted; some 50 MB of long ones

# Odd numbers of 64 bits, whose product spreads what differs over the upper bits (Fibonacci hashing, Knuth 1998, 6.4).
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


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


class Bag(NamedTuple):
    """The n-grams of some texts, each once a text, of those that have a row.

    Attributes
    ----------
    rows : ndarray of int, shape (F,)
        The row of an n-gram, rising.
    sequences : ndarray of int, shape (F,)
        Which packed sequence has it.
    """

    rows: IntArray
    sequences: IntArray


def bag_of(ids: NDArray[np.integer], packing: Packing, orders: int, keys: Keys) -> Bag:
    """Find the n-grams of packed texts.

    Parameters
    ----------
    ids : ndarray of int, shape (R,)
        Tokens.
    packing : Packing
        The layout.
    orders : int
        The longest n-gram, in tokens; the shorter ones count too.
    keys : ndarray of int32, shape (U,)
        Those that have a row; see :class:`NgramCounts`.

    Returns
    -------
    Bag
        By row, then by sequence.
    """
    sequences = packing.sequences
    left = packing.lengths[sequences] - packing.times
    following = np.arange(packing.rows) + np.repeat(packing.sizes, packing.sizes)  # the row of the next step
    found, where = _concatenated(_spell(ids, following, left, orders))
    distinct, of = _distinct(found, sequences[where])
    rows, there = rows_of(distinct, keys)
    return Bag(rows, of[there])


def occurrences(ids: NDArray[np.integer], orders: int, keys: Keys) -> Iterator[tuple[int, NDArray[np.intp], IntArray]]:
    """Find every place of a text where an n-gram with a row stands.

    Parameters
    ----------
    ids : ndarray of int, shape (T,)
        One text.
    orders : int
        The longest n-gram.
    keys : ndarray of int32, shape (U,)
        Those that have a row.

    Yields
    ------
    order : int
        Tokens of the n-grams that follow.
    places : ndarray of int
        Where each begins.
    rows : ndarray of int
        The row of each.
    """
    T = len(ids)
    for order, found, places in _spell(ids, np.arange(1, T + 1), np.arange(T, 0, -1), orders):
        rows, there = rows_of(found, keys)
        yield order, places[there], rows


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
        pieces = _spell(ids[first:last], place - first + 1, offsets[texts + 1] - place, orders)
        found, where = _concatenated(pieces)
        distinct, of = _distinct(found, texts[where] - start)
        waiting.append(distinct.astype(np.int64) * classes + labels[of + start])
        if end == len(labels) or sum(map(len, waiting)) > max(len(merged), 4 * 10**6):  # each is moved a few times only
            merged, counts = _add_counts(merged, counts, np.concatenate(waiting))
            waiting = []
    numbers, row = np.unique(merged // classes, return_inverse=True)
    texts_of = np.zeros((len(numbers), classes), np.int64)
    texts_of[row, merged % classes] = counts
    totals = texts_of.sum(axis=1)
    kept = np.flatnonzero(totals >= min_count)
    kept = np.sort(kept[np.argsort(-totals[kept], kind="stable")[:most]])
    return NgramCounts(numbers[kept].astype(np.int32), texts_of[kept])


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


def kept_by_dropout(bag: Bag, rate: float, key: int) -> NDArray[np.bool_]:
    """Say which n-grams of each text a dropout keeps.

    Parameters
    ----------
    bag : Bag
        With the sequences' numbers in the whole batch.
    rate : float
        The probability of being left out.
    key : int
        Below 2**63; decides which. A text's n-grams are kept or not whatever else is in the bag, so that the parts of
        a batch agree.

    Returns
    -------
    ndarray of bool, shape (F,)
        True for those that stay.
    """
    with np.errstate(over="ignore"):
        mixed = (bag.rows.astype(np.uint64) * _FACTORS[0]) ^ (bag.sequences.astype(np.uint64) * _FACTORS[1])
        mixed ^= np.uint64(key)
        mixed ^= mixed >> np.uint64(31)
        mixed *= _FACTORS[2]
        mixed ^= mixed >> np.uint64(29)
        mixed *= _FACTORS[1]
    return (mixed >> np.uint64(40)).astype(np.float64) >= rate * 2**24


def rows_of(found: Keys, keys: Keys) -> tuple[IntArray, NDArray[np.bool_]]:
    """Return the rows of the n-grams that have one, and which of those given they are."""
    places = np.searchsorted(keys, found)
    there = np.zeros(len(found), bool)
    inside = places < len(keys)
    there[inside] = keys[places[inside]] == found[inside]
    return places[there].astype(np.int64), there


def _spell(
    ids: NDArray[np.integer], following: IntArray, left: IntArray, orders: int
) -> Iterator[tuple[int, Keys, NDArray[np.intp]]]:
    """Yield the length of n-grams, their numbers, and the rows of ids that they begin at.

    ``following`` is the row of the next token of the text, ``left`` how many tokens the text has from a row on.
    """
    tokens, begin, last = ids.astype(np.uint64), np.arange(len(ids)), np.arange(len(ids))
    hashed = np.zeros(len(ids), np.uint64)
    for order in range(1, orders + 1):
        with np.errstate(over="ignore"):
            hashed = hashed * _FACTORS[0] ^ (tokens[last] + np.uint64(order)) * _FACTORS[1]
            hashed ^= hashed >> np.uint64(29)
            yield order, ((hashed * _FACTORS[2]) >> np.uint64(64 - KEY_BITS)).astype(np.int32), begin
        goes_on = left[begin] > order
        hashed, begin, last = hashed[goes_on], begin[goes_on], following[last[goes_on]]


def _concatenated(pieces: Iterator[tuple[int, Keys, NDArray[np.intp]]]) -> tuple[Keys, NDArray[np.intp]]:
    _, found, where = zip(*pieces, strict=True)
    return np.concatenate(found), np.concatenate(where)


def _distinct(found: Keys, owners: IntArray) -> tuple[Keys, IntArray]:
    """Return each pair of a number and an owner once, by number, then by owner."""
    both = _sorted_once((found.astype(np.int64) << OWNER_BITS) | owners)
    return (both >> OWNER_BITS).astype(np.int32), both & ((1 << OWNER_BITS) - 1)


def _add_counts(merged: IntArray, counts: IntArray, more: IntArray) -> tuple[IntArray, IntArray]:
    """Count more numbers, which may be there already."""
    numbers, times = np.unique(more, return_counts=True)
    together = _sorted_once(np.concatenate([merged, numbers]))
    out = np.zeros(len(together), np.int64)
    out[np.searchsorted(together, merged)] = counts
    out[np.searchsorted(together, numbers)] += times
    return together, out


def _sorted_once(numbers: IntArray) -> IntArray:
    """Return each number once, rising; changes what it is given.

    np.unique, which hashes since NumPy 2.3, took 13 times the processor time to count the n-grams of IMDB.
    """
    numbers.sort()
    return numbers[np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))]
