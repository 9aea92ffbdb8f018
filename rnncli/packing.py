"""Ragged batches stored time-major and without padding.

The sequences of a batch are sorted by length, longest first, and their steps are stored one after the other. With
lengths 4, 3 and 1 (``sizes`` is 3, 2, 2, 1 and ``offsets`` is 0, 3, 5, 7, 8)::

               t = 0        t = 1     t = 2     t = 3
             +----+----+----+----+----+----+----+----+
    row      |  0 |  1 |  2 |  3 |  4 |  5 |  6 |  7 |
             +----+----+----+----+----+----+----+----+
    sequence |  a    b    c |  a    b |  a    b |  a |
             +--------------+---------+---------+----+

Every step is a contiguous slice of rows, ``offsets[t] : offsets[t] + sizes[t]``, and a sequence that has ended has
no rows: nothing is computed for padding. A dense (N, T, D) array is the special case ``sizes[t] == N``.

Letters: N sequences, T steps of the longest, R rows (real tokens) in all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Array = NDArray[np.floating]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Packing:
    """Which row holds which step of which sequence.

    Attributes
    ----------
    order : ndarray of shape (N,)
        Packed sequence j is sequence ``order[j]`` of the batch.
    lengths : ndarray of shape (N,)
        Steps of each packed sequence, longest first, each at least 1.
    sizes : ndarray of shape (T,)
        ``sizes[t]`` sequences have a step t.
    offsets : ndarray of shape (T + 1,)
        The first row of each step; the last entry is R.
    """

    order: IntArray
    lengths: IntArray
    sizes: IntArray
    offsets: IntArray

    @property
    def rows(self) -> int:
        """R, the number of real tokens."""
        return int(self.offsets[-1])

    @property
    def last_rows(self) -> IntArray:
        """The row of the last step of each packed sequence, shape (N,)."""
        last: IntArray = self.offsets[self.lengths - 1] + np.arange(len(self.lengths))
        return last

    @property
    def times(self) -> IntArray:
        """The step that each row holds, shape (R,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def sequences(self) -> IntArray:
        """The packed sequence that each row belongs to, shape (R,)."""
        return np.arange(self.rows) - np.repeat(self.offsets[:-1], self.sizes)

    def steps(self, *, reverse: bool = False) -> Iterator[tuple[int, int]]:
        """Yield (first row, row after the last) of each step, in time order or against it."""
        pairs = list(pairwise(self.offsets.tolist()))
        return reversed(pairs) if reverse else iter(pairs)


def make_packing(lengths: IntArray) -> Packing:
    """Lay out a batch of sequences of the given lengths.

    Parameters
    ----------
    lengths : ndarray of int, shape (N,)
        Steps of each sequence, each at least 1.

    Returns
    -------
    Packing
        The layout; ties keep the order of the batch.

    Raises
    ------
    ValueError
        If there is no sequence or one has no step.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if lengths.ndim != 1 or lengths.size == 0 or lengths.min() < 1:
        raise ValueError(f"lengths must be a non-empty vector of integers of at least 1, not {lengths!r}")
    order = np.argsort(-lengths, kind="stable")
    ordered = lengths[order]
    # sizes[t] = how many lengths exceed t, counted from the back of the sorted lengths.
    sizes = len(lengths) - np.searchsorted(ordered[::-1], np.arange(ordered[0]), side="right")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return Packing(order, ordered, sizes.astype(np.int64), offsets.astype(np.int64))


def pack(x: NDArray[Scalar], packing: Packing) -> NDArray[Scalar]:
    """Take the real steps out of a padded array.

    Parameters
    ----------
    x : ndarray of shape (N, T, ...)
        A batch in its own order; what lies beyond a sequence's length is not read.
    packing : Packing
        The layout.

    Returns
    -------
    ndarray of shape (R, ...)
        The rows, time-major.
    """
    rows: NDArray[Scalar] = x[packing.order[packing.sequences], packing.times]
    return rows


def unpack(rows: NDArray[Scalar], packing: Packing, T: int) -> NDArray[Scalar]:
    """Put packed rows back into a padded array, zero beyond each length; the inverse of :func:`pack`.

    Parameters
    ----------
    rows : ndarray of shape (R, ...)
        The rows, time-major.
    packing : Packing
        The layout.
    T : int
        Steps of the padded array, at least the longest length.

    Returns
    -------
    ndarray of shape (N, T, ...)
        The batch in its own order.
    """
    x: NDArray[Scalar] = np.zeros((len(packing.order), T, *rows.shape[1:]), dtype=rows.dtype)
    x[packing.order[packing.sequences], packing.times] = rows
    return x


def pack_flat(values: NDArray[Scalar], starts: IntArray, packing: Packing) -> NDArray[Scalar]:
    """Take a batch of sequences, stored back to back in one long array, into packed rows.

    Parameters
    ----------
    values : ndarray of shape (total, ...)
        All sequences of a corpus, one after the other.
    starts : ndarray of int, shape (N,)
        Where each sequence of the batch starts in ``values``, in the order of the batch.
    packing : Packing
        The layout.

    Returns
    -------
    ndarray of shape (R, ...)
        The rows, time-major.
    """
    rows: NDArray[Scalar] = values[starts[packing.order][packing.sequences] + packing.times]
    return rows


@dataclass(frozen=True)
class Grouping:
    """The rows that share a value, arranged so that sums by group are few vectorised additions.

    Attributes
    ----------
    values : ndarray of shape (U,)
        The distinct values, the most frequent first.
    index : ndarray of shape (R,)
        The position in ``values`` of each row's value.
    rows : ndarray of shape (R,)
        The rows, group by group.
    starts : ndarray of shape (U,)
        Where each group starts in ``rows``.
    counts : ndarray of shape (U,)
        Rows of each group, never increasing.
    """

    values: IntArray
    index: IntArray
    rows: IntArray
    starts: IntArray
    counts: IntArray


def group_rows(ids: IntArray) -> Grouping:
    """Group rows by their value.

    Parameters
    ----------
    ids : ndarray of int, shape (R,)
        One value a row, such as the token of each packed row.

    Returns
    -------
    Grouping
        The groups, the most frequent value first.
    """
    values, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    by_count = np.argsort(-counts, kind="stable")
    rank = np.empty_like(by_count)
    rank[by_count] = np.arange(len(by_count))
    index, counts = rank[inverse], counts[by_count]
    starts = np.cumsum(counts) - counts
    return Grouping(values[by_count], index, np.argsort(index, kind="stable"), starts, counts)


# A group of more rows than this is summed by itself; the smaller ones all together, one occurrence at a time.
LARGE_GROUP = 16


def sum_by_group(x: Array, groups: Grouping) -> Array:
    """Add up the rows of each group.

    The k-th rows of all groups are added at once. This takes a tenth of the time of ``np.add.reduceat`` or
    ``np.add.at`` on the token counts of real text, where most groups are small.

    Parameters
    ----------
    x : ndarray of shape (R, D)
        The rows.
    groups : Grouping
        From :func:`group_rows`.

    Returns
    -------
    ndarray of shape (U, D)
        The sums, in the order of ``groups.values``.
    """
    out = np.take(x, groups.rows[groups.starts], axis=0)
    large = int(np.searchsorted(-groups.counts, -LARGE_GROUP, side="left"))
    for u in range(large):
        start = groups.starts[u]
        out[u] = x[groups.rows[start : start + groups.counts[u]]].sum(axis=0)
    for k in range(1, LARGE_GROUP):
        end = int(np.searchsorted(-groups.counts, -k, side="left"))  # groups [0, end) have more than k rows
        if end <= large:
            break
        out[large:end] += np.take(x, groups.rows[groups.starts[large:end] + k], axis=0)
    return out
