"""Arrays on their way to another process: one after the other in one piece of memory, behind a head that names them.

Nothing of it is pickled: the head is JSON text of types and shapes.
"""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

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


class Outgoing:
    """Memory in which parcels are laid out to be sent, the same from call to call."""

    def __init__(self) -> None:
        self._memory: Bytes = np.empty(0, np.uint8)

    def pack(self, parcels: Sequence[Parcel]) -> tuple[Bytes, NDArray[Any], NDArray[Any]]:
        """Lay out parcels.

        Parameters
        ----------
        parcels : sequence of parcels
            One that occurs more than once is laid out once.

        Returns
        -------
        memory : ndarray of uint8
            Overwritten by the next call.
        starts, sizes : ndarrays of int
            Where each parcel lies, in units of ``UNIT`` bytes.
        """
        laid: dict[int, tuple[int, int]] = {}
        heads: dict[int, bytes] = {}
        end = 0
        for parcel in parcels:
            if id(parcel) not in laid:
                head = heads[id(parcel)] = _head(parcel)
                size = _whole(len(head)) + sum(_whole(array.nbytes) for array in parcel)
                laid[id(parcel)] = end, size
                end += size
        self._memory = at_least(self._memory, end)
        for parcel in {id(parcel): parcel for parcel in parcels}.values():
            start, size = laid[id(parcel)]
            _write(self._memory[start : start + size], heads[id(parcel)], parcel)
        places = np.array([laid[id(parcel)] for parcel in parcels]) // UNIT
        return self._memory, places[:, 0].copy(), places[:, 1].copy()


def unpack(memory: Bytes) -> list[Anything]:
    """Return the arrays of a parcel.

    Parameters
    ----------
    memory : ndarray of uint8
        Just that of the parcel.

    Returns
    -------
    list of ndarray
        Views of the memory that cannot be written to.
    """
    memory = memory[:]
    memory.flags.writeable = False
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
    """Write a parcel into memory of just the size it takes."""
    memory[: len(head)] = np.frombuffer(head, np.uint8)
    at = _whole(len(head))
    for array in parcel:
        memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        at += _whole(array.nbytes)
