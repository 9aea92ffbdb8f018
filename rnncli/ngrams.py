"""N-grams as features of a text: which it has, and which of them have a row in a table of weights.

An n-gram is known by a number of 31 bits, made of its tokens' ids; of a million some hundreds share it with another.
Which have a row is for :mod:`rnncli.ngram_counts` to say: all others are passed over.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.packing import IntArray, Packing

Keys = NDArray[np.int32]

KEY_BITS = 31
OWNER_BITS = 32  # of the number of a text in a batch or a block

# Odd numbers of 64 bits, whose product spreads what differs over the upper bits (Fibonacci hashing, Knuth 1998, 6.4).
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))


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
        Those that have a row; see :class:`rnncli.ngram_counts.NgramCounts`.

    Returns
    -------
    Bag
        By row, then by sequence.
    """
    found, of = distinct_ngrams(ids, *_ways(packing), packing.sequences, orders)
    rows, there = rows_of(found, keys)
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
    for order, found, places, _ in _spell(ids, np.arange(1, T + 1), np.arange(T, 0, -1), orders):
        rows, there = rows_of(found, keys)
        yield order, places[there], rows


def packed_endings(ids: NDArray[np.integer], packing: Packing, orders: int, keys: Keys) -> NDArray[np.int32]:
    """Find the n-grams that end at each token of packed texts; see :func:`endings`."""
    return endings(ids, *_ways(packing), orders, keys)


def endings(
    ids: NDArray[np.integer], following: IntArray, left: IntArray, orders: int, keys: Keys
) -> NDArray[np.int32]:
    """Find the n-grams that end at each token.

    Parameters
    ----------
    ids, following, left, orders
        As for :func:`distinct_ngrams`.
    keys : ndarray of int32, shape (U,)
        Those that have a row.

    Returns
    -------
    ndarray of int32, shape (R, orders)
        The row of the n-gram of 1, 2, ... tokens; -1 where it has none or would begin before the text.
    """
    out = np.full((len(ids), orders), -1, np.int32)
    for order, found, _, last in _spell(ids, following, left, orders):
        rising = np.argsort(found)  # in which they are looked up in a quarter of the time
        rows, there = rows_of(found[rising], keys)
        out[last[rising[there]], order - 1] = rows
    return out


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


def distinct_ngrams(
    ids: NDArray[np.integer], following: IntArray, left: IntArray, owners: IntArray, orders: int
) -> tuple[Keys, IntArray]:
    """Find the n-grams of some texts, each once a text.

    Parameters
    ----------
    ids : ndarray of int, shape (R,)
        Tokens of texts, however these lie.
    following : ndarray of int, shape (R,)
        The row of the next token of the text.
    left : ndarray of int, shape (R,)
        How many tokens the text has from here on, this one included; 1 at the last, which has none following.
    owners : ndarray of int, shape (R,)
        The text of each row.
    orders : int
        The longest n-gram.

    Returns
    -------
    numbers, owners : ndarrays of int, shape (F,)
        By number, then by owner.
    """
    _, found, where, _ = zip(*_spell(ids, following, left, orders), strict=True)
    return _distinct(np.concatenate(found), owners[np.concatenate(where)])


def _ways(packing: Packing) -> tuple[IntArray, IntArray]:
    """Return the row of the next token of each packed row's text, and how many tokens the text has from it on."""
    following = np.arange(packing.rows) + np.repeat(packing.sizes, packing.sizes)
    return following, packing.lengths[packing.sequences] - packing.times


def _spell(
    ids: NDArray[np.integer], following: IntArray, left: IntArray, orders: int
) -> Iterator[tuple[int, Keys, IntArray, IntArray]]:
    """Yield the length of n-grams, their numbers, and the rows of ids that they begin and end at."""
    tokens, begin, last = ids.astype(np.uint64), np.arange(len(ids)), np.arange(len(ids))
    hashed = np.zeros(len(ids), np.uint64)
    for order in range(1, orders + 1):
        with np.errstate(over="ignore"):
            hashed = hashed * _FACTORS[0] ^ (tokens[last] + np.uint64(order)) * _FACTORS[1]
            hashed ^= hashed >> np.uint64(29)
            yield order, ((hashed * _FACTORS[2]) >> np.uint64(64 - KEY_BITS)).astype(np.int32), begin, last
        goes_on = left[begin] > order
        hashed, begin, last = hashed[goes_on], begin[goes_on], following[last[goes_on]]


def _distinct(found: Keys, owners: IntArray) -> tuple[Keys, IntArray]:
    """Return each pair of a number and an owner once, by number, then by owner."""
    both = sorted_once((found.astype(np.int64) << OWNER_BITS) | owners)
    return (both >> OWNER_BITS).astype(np.int32), both & ((1 << OWNER_BITS) - 1)


def sorted_once(numbers: IntArray) -> IntArray:
    """Return each number once, rising; changes what it is given.

    np.unique, which hashes since NumPy 2.3, took 13 times the processor time to count the n-grams of IMDB.
    """
    numbers.sort()
    return numbers[np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))]
