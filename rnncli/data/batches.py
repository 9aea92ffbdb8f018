"""Batches of encoded texts, cut so that the lengths within one are close to each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.data.dataset import EncodedTexts
from rnncli.packing import Array, IntArray, Packing, make_packing, pack_flat

# Batches are cut from pools of this many batches of rows, sorted by length: wide enough that the lengths in a batch
# nearly agree, narrow enough that an epoch's batches differ from the last one's.
POOL = 50


@dataclass(frozen=True)
class Part:
    """Where a part of a batch lies in the whole, so that what is drawn for the whole can be drawn for a part.

    Attributes
    ----------
    texts : EncodedTexts
        The corpus.
    whole : ndarray of int, shape (N,)
        Which of its texts the batch is made of.
    packing : Packing
        Of the whole batch.
    is_mine : ndarray of bool, shape (N,)
        Which of its packed sequences the part has.
    """

    texts: EncodedTexts
    whole: IntArray
    packing: Packing
    is_mine: NDArray[np.bool_]

    @cached_property
    def sequences(self) -> IntArray:
        """The packed sequence of the whole that each of the part is."""
        return np.flatnonzero(self.is_mine)

    @cached_property
    def rows(self) -> IntArray:
        """Likewise of the packed rows."""
        return np.flatnonzero(self.is_mine[self.packing.sequences])

    @cached_property
    def tokens(self) -> IntArray:
        """The distinct tokens of the whole, rising."""
        offsets = self.texts.offsets
        ids = [self.texts.ids[offsets[row] : offsets[row + 1]] for row in self.whole.tolist()]
        return np.unique(np.concatenate(ids))


class Batch(NamedTuple):
    """Some texts, packed.

    Attributes
    ----------
    ids : ndarray of int, shape (R,)
        Token ids, time-major without padding.
    packing : Packing
        The layout; ``packing.order`` tells which of the requested rows each packed sequence is.
    y : ndarray of int, shape (N,)
        Class ids in packed order.
    part : Part or None
        None if this is a whole batch.
    inputs : ndarray of shape (R, E) or None
        What is read beside each id, where it is given.
    """

    ids: IntArray
    packing: Packing
    y: IntArray
    part: Part | None = None
    inputs: Array | None = None


def make_batch(texts: EncodedTexts, rows: IntArray) -> Batch:
    """Pack some of the texts.

    Parameters
    ----------
    texts : EncodedTexts
        The corpus.
    rows : ndarray of int, shape (N,)
        Which of its texts.

    Returns
    -------
    Batch
        Those texts.
    """
    starts = texts.offsets[rows]
    packing = make_packing(texts.offsets[rows + 1] - starts)
    ids, y = pack_flat(texts.ids, starts, packing).astype(np.int64), texts.labels[rows[packing.order]]
    inputs = None if texts.inputs is None else pack_flat(texts.inputs, starts, packing)
    return Batch(ids, packing, y, inputs=inputs)


def make_part(texts: EncodedTexts, rows: IntArray, places: IntArray) -> Batch:
    """Pack some of the texts of a batch.

    Parameters
    ----------
    texts : EncodedTexts
        The corpus.
    rows : ndarray of int, shape (N,)
        The texts of the whole batch.
    places : ndarray of int, shape (n,)
        Which of these, rising.

    Returns
    -------
    Batch
        Those, with their place in the whole.
    """
    if len(places) == len(rows):
        return make_batch(texts, rows)
    packing = make_packing(texts.lengths[rows])
    is_mine = np.isin(packing.order, places)
    mine = rows[packing.order[is_mine]]  # in the order of the whole, which is its own too
    return make_batch(texts, mine)._replace(part=Part(texts, rows, packing, is_mine))


def epoch_batches(lengths: IntArray, batch_size: int, rng: np.random.Generator) -> list[IntArray]:
    """Deal all rows into batches for one epoch.

    Parameters
    ----------
    lengths : ndarray of int, shape (rows,)
        Tokens of each text.
    batch_size : int
        N; the last batch may be smaller.
    rng : numpy.random.Generator
        Decides the order.

    Returns
    -------
    list of ndarray of int
        The rows of each batch, every row once, in the order to train on them.
    """
    shuffled = rng.permutation(len(lengths))
    batches: list[IntArray] = []
    for start in range(0, len(shuffled), POOL * batch_size):
        pool = shuffled[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def scoring_batches(lengths: IntArray, batch_size: int) -> Iterator[IntArray]:
    """Deal all rows into batches for scoring, the shortest texts first.

    Parameters
    ----------
    lengths : ndarray of int, shape (rows,)
        Tokens of each text.
    batch_size : int
        N; the last batch may be smaller.

    Yields
    ------
    ndarray of int
        The rows of a batch.
    """
    by_length = np.argsort(lengths, kind="stable")
    for start in range(0, len(by_length), batch_size):
        yield by_length[start : start + batch_size]
