"""Arrays on their way to another process: one after the other in one piece of memory, behind a head that names them.

Nothing of it is pickled: the head is JSON text of types and shapes.
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.workers.exchange import Anything, Parcel

# Bytes that count as one, and that the head and every array begin at a multiple of: any type may stand there, and MPI,
# which counts with 32 bits, reaches 128 GiB.
UNIT = 64

Bytes = NDArray[np.uint8]


def kind_of(array: Anything) -> str:
    """Return the type of an array's numbers as text from which NumPy makes it again.

    Parameters
    ----------
    array : ndarray
        Of any type but Python objects and records.

    Returns
    -------
    str
        Such as ``<f4``.

    Raises
    ------
    TypeError
        If that is what it has.
    """
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"an array of {array.dtype} cannot be sent")
    return array.dtype.str


class Layout(NamedTuple):
    """Where parcels lie in one piece of memory.

    Attributes
    ----------
    starts, sizes : ndarrays of int, shape (parcels,)
        In bytes, both multiples of ``UNIT``.
    heads : list of bytes
        What each parcel begins with.
    end : int
        Bytes of all together.
    """

    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]
    heads: list[bytes]
    end: int


def lay_out(parcels: Sequence[Parcel]) -> Layout:
    """Find a place for each parcel.

    Parameters
    ----------
    parcels : sequence of parcels
        One that occurs more than once gets one place.

    Returns
    -------
    Layout
        One after the other.
    """
    places: dict[int, tuple[int, int, bytes]] = {}
    end = 0
    for parcel in parcels:
        if id(parcel) not in places:
            head = _head(parcel)
            size = _whole(len(head)) + sum(_whole(array.nbytes) for array in parcel)
            places[id(parcel)] = end, size, head
            end += size
    found = [places[id(parcel)] for parcel in parcels]
    starts, sizes = (np.array([place[i] for place in found], np.int64) for i in (0, 1))
    return Layout(starts, sizes, [head for *_, head in found], end)


def pack(memory: Bytes, parcels: Sequence[Parcel], layout: Layout) -> None:
    """Write parcels where they belong.

    Parameters
    ----------
    memory : ndarray of uint8
        Of ``layout.end`` bytes at least.
    parcels : sequence of parcels
        Those that were laid out.
    layout : Layout
        From :func:`lay_out`.
    """
    written = set()
    for parcel, start, head in zip(parcels, layout.starts.tolist(), layout.heads, strict=True):
        if start not in written:
            _write(memory[start:], head, parcel)
            written.add(start)


class Outgoing:
    """Memory in which parcels are laid out to be sent, the same from call to call."""

    def __init__(self) -> None:
        self._memory: Bytes = np.empty(0, np.uint8)

    def pack(self, parcels: Sequence[Parcel]) -> tuple[Bytes, NDArray[np.int64], NDArray[np.int64]]:
        """Lay out parcels.

        Parameters
        ----------
        parcels : sequence of parcels
            As for :func:`lay_out`.

        Returns
        -------
        memory : ndarray of uint8
            Overwritten by the next call.
        starts, sizes : ndarrays of int
            Where each parcel lies, in units of ``UNIT`` bytes.
        """
        layout = lay_out(parcels)
        self._memory = at_least(self._memory, layout.end)
        pack(self._memory, parcels, layout)
        return self._memory, layout.starts // UNIT, layout.sizes // UNIT


def unpack(memory: Bytes, *, writeable: bool = False) -> list[Anything]:
    """Return the arrays of a parcel.

    Parameters
    ----------
    memory : ndarray of uint8
        Where it begins.
    writeable : bool
        Whether they may be changed.

    Returns
    -------
    list of ndarray
        Views of the memory.
    """
    memory = memory[:]
    memory.flags.writeable = writeable
    end = 8 + int.from_bytes(memory[:8].tobytes(), sys.byteorder)
    at = _whole(end)
    arrays = []
    for kind, shape in json.loads(memory[8:end].tobytes()):
        dtype = np.dtype(kind)
        size = dtype.itemsize * math.prod(shape)
        arrays.append(memory[at : at + size].view(dtype).reshape(shape))
        at += _whole(size)
    return arrays


def at_least(memory: Bytes, size: int) -> Bytes:
    """Return the memory if it has so many bytes, or fresh memory with a quarter to spare.

    Parameters
    ----------
    memory : ndarray of uint8
        Of before.
    size : int
        What is needed.

    Returns
    -------
    ndarray of uint8
        Its contents are of no use.
    """
    return memory if len(memory) >= size else np.empty(size + size // 4, np.uint8)


def _head(parcel: Parcel) -> bytes:
    """Return the head of a parcel: its length, then the types and shapes of the arrays."""
    text = json.dumps([[kind_of(array), array.shape] for array in parcel]).encode()
    return len(text).to_bytes(8, sys.byteorder) + text


def _whole(size: int) -> int:
    """Round bytes up to whole units."""
    return -(-size // UNIT) * UNIT


def _write(memory: Bytes, head: bytes, parcel: Parcel) -> None:
    """Write a parcel at the beginning of some memory."""
    memory[: len(head)] = np.frombuffer(head, np.uint8)
    at = _whole(len(head))
    for array in parcel:
        memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        at += _whole(array.nbytes)
