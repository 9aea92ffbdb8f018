"""A batch in several processes: who computes which texts, who moves which weights, and the sums in between.

Every rank computes the gradient of its texts; then the gradients are added up and the weights moved, each of them by
one rank: dense arrays, laid end to end, are cut into equal pieces, and of an array whose gradient comes by rows
(embeddings), row r belongs to rank r % size, so that the frequent words, which come first, are spread evenly.
"""

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from rnncli.optim import Gradient, PartialGradient, Piece, SparseRows, values_of
from rnncli.packing import Array, IntArray
from rnncli.workers.exchange import Anything, Exchange


def deal(lengths: IntArray, size: int) -> list[IntArray]:
    """Deal the texts of a batch to ranks so that all have nearly the same number of tokens.

    Parameters
    ----------
    lengths : ndarray of int, shape (N,)
        Tokens of each text.
    size : int
        How many ranks there are.

    Returns
    -------
    list of ndarray of int
        For each rank the places of its texts in the batch, rising; none, if there are fewer texts than ranks. Every
        text, the longest first, goes to the rank that has the fewest tokens by then.
    """
    if size == 1:
        return [np.arange(len(lengths))]
    hands: list[list[int]] = [[] for _ in range(size)]
    loads = [(0, rank) for rank in range(size)]
    for place in np.argsort(-lengths, kind="stable").tolist():
        tokens, rank = loads[0]
        hands[rank].append(place)
        heapq.heapreplace(loads, (tokens + int(lengths[place]), rank))
    return [np.array(sorted(hand), np.int64) for hand in hands]


@dataclass(frozen=True)
class Ownership:
    """Which part of which weights a rank moves.

    Attributes
    ----------
    sizes : dict of str to int
        How many numbers each dense array has.
    sparse : tuple of str
        The arrays whose gradients come by rows, but those that sit this step out.
    resting : collection of str
        The arrays that sit this step out. Who has which part does not depend on it: the moments are where they were.
    """

    sizes: dict[str, int]
    sparse: tuple[str, ...]
    resting: Collection[str] = ()

    @classmethod
    def of(cls, params: dict[str, Array], sparse: tuple[str, ...], resting: Collection[str] = ()) -> "Ownership":
        """Return the ownership for some weights."""
        sizes = {name: array.size for name, array in params.items() if name not in sparse}
        return cls(sizes, tuple(name for name in sparse if name not in resting), resting)

    def bounds(self, size: int) -> list[int]:
        """Return where each rank's piece of the dense arrays starts, and the end."""
        total = sum(self.sizes.values())
        return [rank * total // size for rank in range(size + 1)]

    def pieces(self, rank: int, size: int) -> dict[str, slice]:
        """Return what a rank has to move of each dense array, laid out flat; arrays without any are left out."""
        first, last = self.bounds(size)[rank : rank + 2]
        starts = accumulate(self.sizes.values(), initial=0)
        spans = zip(self.sizes, pairwise(starts), strict=True)
        return {
            name: slice(max(first, start) - start, min(last, end) - start)
            for name, (start, end) in spans
            if max(first, start) < min(last, end) and name not in self.resting
        }


def sum_gradients(
    grads: dict[str, Gradient], ownership: Ownership, exchange: Exchange
) -> Mapping[str, PartialGradient]:
    """Add up the gradients of all ranks, each rank those of the weights that it moves.

    Parameters
    ----------
    grads : dict of name to gradient
        Of this rank's texts, one for every parameter that is to move.
    ownership : Ownership
        Who moves what.
    exchange : Exchange
        To the other ranks.

    Returns
    -------
    dict of name to gradient
        The sums, in the order of the ranks; if there is only one, what was given.
    """
    size = exchange.size
    if size == 1:
        return grads
    parcels: list[list[Anything]] = [
        [_flat([values_of(grads[name]).reshape(-1)[piece] for name, piece in ownership.pieces(rank, size).items()])]
        for rank in range(size)
    ]
    for name in ownership.sparse:
        rows, values = _sparse(grads[name])
        owners = rows % size
        for rank, parcel in enumerate(parcels):
            parcel += [rows[owners == rank], values[owners == rank]]
    received = exchange.all_to_all(parcels)
    total = received[0][0].copy()
    for parcel in received[1:]:
        total += parcel[0]
    summed: dict[str, PartialGradient] = {}
    start = 0
    for name, piece in ownership.pieces(exchange.rank, size).items():
        count = piece.stop - piece.start
        summed[name] = Piece(piece.start, total[start : start + count])
        start += count
    for number, name in enumerate(ownership.sparse):
        summed[name] = add_rows([SparseRows(*parcel[1 + 2 * number : 3 + 2 * number]) for parcel in received])
    return summed


def add_rows(parts: list[SparseRows]) -> SparseRows:
    """Add up gradients that come by rows.

    Parameters
    ----------
    parts : list of SparseRows
        Added in this order.

    Returns
    -------
    SparseRows
        Its rows rise.
    """
    rows = np.unique(np.concatenate([part.rows for part in parts]))
    values = np.zeros((len(rows), parts[0].values.shape[1]), parts[0].values.dtype)
    for part in parts:
        values[np.searchsorted(rows, part.rows)] += part.values
    return SparseRows(rows, values)


def publish(
    params: dict[str, Array], moved: Mapping[str, PartialGradient], ownership: Ownership, exchange: Exchange
) -> None:
    """See to it that every rank has the weights that were just moved.

    Parameters
    ----------
    params : dict of name to ndarray
        The weights; where memory is not shared, what the other ranks moved is put in.
    moved : dict of name to gradient
        By which this rank moved its part, from :func:`sum_gradients`.
    ownership : Ownership
        Who moves what.
    exchange : Exchange
        To the other ranks.
    """
    if exchange.shares_memory:
        exchange.all_gather([])  # all have moved theirs
        return
    pieces = ownership.pieces(exchange.rank, exchange.size)
    parcel: list[Anything] = [_flat([params[name].reshape(-1)[piece] for name, piece in pieces.items()])]
    for name in ownership.sparse:
        rows, _ = _sparse(moved[name])
        parcel += [rows, params[name][rows]]
    for rank, (dense, *sparse) in enumerate(exchange.all_to_all([parcel] * exchange.size)):
        if rank == exchange.rank:
            continue
        _put(params, dense, ownership.pieces(rank, exchange.size))
        for name, rows, values in zip(ownership.sparse, sparse[::2], sparse[1::2], strict=True):
            params[name][rows] = values


def collect(arrays: dict[str, dict[str, Array]], ownership: Ownership, exchange: Exchange) -> None:
    """Bring what each rank kept of its own part to rank 0.

    Parameters
    ----------
    arrays : dict of str to dict of str to ndarray
        For each kind of moment the array that belongs to each weight; rank 0's are made complete.
    ownership : Ownership
        Who moves what.
    exchange : Exchange
        To the other ranks.
    """
    if exchange.shares_memory:
        return
    rank, size = exchange.rank, exchange.size
    pieces = ownership.pieces(rank, size)
    parcel: list[Anything] = []
    for moments in arrays.values():
        parcel.append(_flat([moments[name].reshape(-1)[piece] for name, piece in pieces.items()]))
        parcel += [moments[name][rank::size] for name in ownership.sparse]
    received = exchange.all_to_all([parcel, *([] for _ in range(size - 1))])
    for other, theirs in enumerate(received):
        left = iter(theirs)
        if rank == 0 and other != 0:
            for moments in arrays.values():
                _put(moments, next(left), ownership.pieces(other, size))
                for name in ownership.sparse:
                    moments[name][other::size] = next(left)


def _put(arrays: dict[str, Array], flat: Anything, pieces: dict[str, slice]) -> None:
    """Put numbers that lie end to end into the pieces of arrays that they are."""
    start = 0
    for name, piece in pieces.items():
        count = piece.stop - piece.start
        arrays[name].reshape(-1)[piece] = flat[start : start + count]
        start += count


def _flat(arrays: Sequence[Gradient]) -> Array:
    """Return the numbers of dense arrays end to end."""
    return np.concatenate([np.empty(0, np.float32), *(np.asarray(array).reshape(-1) for array in arrays)])


def _sparse(grad: PartialGradient) -> SparseRows:
    assert isinstance(grad, SparseRows)
    return grad
