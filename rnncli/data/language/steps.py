"""A window of streams as packed sequences, cut where documents begin."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.layers.dropping import Places
from rnncli.packing import IntArray, Packing, make_packing, pack_flat

Bools = npt.NDArray[np.bool_]


class Steps(NamedTuple):
    """Some steps of some streams, packed; a document that begins within them begins a sequence of its own.

    Attributes
    ----------
    ids, y : ndarrays of int, shape (R,)
        Each token and the one that comes after it, time-major.
    packing : Packing
        The layout of the sequences, of which a stream may have several.
    streams : ndarray of int, shape (sequences,)
        The stream of each packed sequence.
    fresh : ndarray of bool, shape (sequences,)
        Whether it begins with a state of zero, not with that which its stream has.
    last : ndarray of int, shape (N,)
        The packed sequence with which each stream ends.
    cells : ndarray of int, shape (R,)
        Where each row stands in the dense (N, T) array, row by row.
    """

    ids: IntArray
    y: IntArray
    packing: Packing
    streams: IntArray
    fresh: Bools
    last: IntArray
    cells: IntArray


class Masks(NamedTuple):
    """Where the steps lie in the window of all streams, for which what is dropped is drawn.

    Attributes
    ----------
    cells : Places
        Each row among the (N, T) cells of the window.
    streams : Places
        The stream of each row among all N.
    tokens : ndarray of int
        The distinct tokens of the window, rising.
    """

    cells: Places
    streams: Places
    tokens: IntArray


def make_steps(
    inputs: IntArray, targets: IntArray, starts: Bools, *, fresh: Bools | None = None, lengths: IntArray | None = None
) -> Steps:
    """Pack some steps of some streams.

    Where a document begins, a new sequence does, so that nothing of the one before reaches it. Two streams of five
    steps, with a document that begins before step 2 of the second::

        stream 0   a0 a1 a2 a3 a4          three sequences:  a0 a1 a2 a3 a4
        stream 1   b0 b1|c0 c1 c2                            c0 c1 c2         fresh
                                                             b0 b1

    Parameters
    ----------
    inputs, targets : ndarrays of int, shape (N, T)
        Each token and the one that comes after it.
    starts : ndarray of bool, shape (N, T)
        Where a document begins.
    fresh : ndarray of bool, shape (N,), optional
        Which streams begin with a state of zero although no document does.
    lengths : ndarray of int, shape (N,), optional
        Steps that each stream has, at least 1; T when not given.

    Returns
    -------
    Steps
        Without starts the sequences are the streams, and the packing is dense.
    """
    N, T = inputs.shape
    ends = np.full(N, T) if lengths is None else lengths
    begins = starts.copy()
    begins[:, 0] = True
    if lengths is not None:
        begins &= np.arange(T) < ends[:, None]
    flat = np.flatnonzero(begins)
    streams = flat // T
    own_end = streams * T + ends[streams]
    until = np.minimum(np.append(flat[1:], N * T), own_end)
    packing = make_packing(until - flat)
    order = packing.order
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    last = place[np.cumsum(np.bincount(streams, minlength=N)) - 1]
    ids, y = (pack_flat(array.reshape(-1), flat, packing) for array in (inputs, targets))
    zero = starts.reshape(-1)[flat]
    if fresh is not None:
        zero |= fresh[streams] & (flat % T == 0)
    return Steps(ids, y, packing, streams[order], zero[order], last, flat[order][packing.sequences] + packing.times)


def masks_for(steps: Steps, first: int, window: tuple[int, int], tokens: IntArray) -> Masks:
    """Return where the steps of some streams lie in the window of all.

    Parameters
    ----------
    steps : Steps
        Of streams ``first`` and those after it.
    first : int
        The first of them.
    window : (int, int)
        N and T of all.
    tokens : ndarray of int
        The distinct tokens of all, rising.

    Returns
    -------
    Masks
        For :meth:`rnncli.language_models.LanguageModel.forward`.
    """
    N, T = window
    cells = steps.cells + first * T
    return Masks(Places(cells, N * T), Places(cells // T, N), tokens)
