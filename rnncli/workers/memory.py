"""Memory that several processes see: nameless, so that nothing of it is left behind however they end."""

import json
import mmap
import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.workers.exchange import Anything, Parcel

ALIGNMENT = 64  # bytes: a cache line
Layout = list[tuple[str, list[int], int]]  # type, shape and first byte of each array


def new_memory(size: int = 0) -> int:
    """Return the file descriptor of fresh memory, zero bytes at first reading; takes up only what is written to."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("rnncli")
    else:  # a file without a name, where the system keeps its temporary ones
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def lay_out(arrays: Sequence[Anything]) -> tuple[Layout, int]:
    """Return where each array goes, one after the other, and the byte after the last."""
    layout: Layout = []
    start = 0
    for array in arrays:
        start = _aligned(start)
        layout.append((array.dtype.str, list(array.shape), start))
        start += array.nbytes
    return layout, start


def view(memory: mmap.mmap, entry: Sequence[Any], base: int = 0) -> Anything:
    """Return one array of a layout that begins at byte ``base``, without copying it."""
    dtype, shape, start = entry
    count = int(np.prod(shape, dtype=np.int64))
    if not count:
        return np.empty(shape, dtype)
    return np.frombuffer(memory, dtype, count, base + start).reshape(shape)


def place_arrays(arrays: Mapping[str, Anything]) -> tuple[int, dict[str, Any]]:
    """Copy arrays into fresh memory; return its descriptor and, by name, where each of them is."""
    layout, end = lay_out(list(arrays.values()))
    descriptor = new_memory(end)
    placed = dict(zip(arrays, layout, strict=True))
    for name, copy in map_arrays(descriptor, placed).items():
        copy[...] = arrays[name]
    return descriptor, placed


def map_arrays(descriptor: int, placed: Mapping[str, Any]) -> dict[str, Anything]:
    """Return the arrays that are in some memory; they keep it alive, the descriptor may be closed."""
    size = os.fstat(descriptor).st_size
    memory = mmap.mmap(descriptor, size) if size else mmap.mmap(-1, 1)
    return {name: view(memory, entry) for name, entry in placed.items()}


def _aligned(position: int) -> int:
    return -(-position // ALIGNMENT) * ALIGNMENT


def _first_byte(contents: int) -> int:
    """Return where the arrays of an outbox begin, after so many bytes of contents and their number."""
    return _aligned(8 + contents)


class Outbox:
    """What one process has for the others to read.

    Parameters
    ----------
    descriptor : int
        Its memory; every process has one of these on the same memory, and one of them writes.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(-1, 1)

    def write(self, parcels: Sequence[Parcel]) -> None:
        """Put in a parcel for each rank, in place of what there was."""
        arrays = [array for parcel in parcels for array in parcel]
        layout, end = lay_out(arrays)
        entries = iter(layout)
        contents = json.dumps([[next(entries) for _ in parcel] for parcel in parcels]).encode()
        start = _first_byte(len(contents))
        self._reach(start + end)
        self._memory[:8] = len(contents).to_bytes(8, "little")
        self._memory[8 : 8 + len(contents)] = contents
        for array, entry in zip(arrays, layout, strict=True):
            view(self._memory, entry, start)[...] = array

    def read(self, rank: int) -> list[Anything]:
        """Return the parcel for a rank, as it is in the shared memory."""
        self._reach(os.fstat(self.descriptor).st_size)
        length = int.from_bytes(self._memory[:8], "little")
        contents = json.loads(self._memory[8 : 8 + length])
        return [view(self._memory, entry, _first_byte(length)) for entry in contents[rank]]

    def _reach(self, size: int) -> None:
        """See to it that so many bytes can be got at."""
        if size <= len(self._memory):
            return
        if os.fstat(self.descriptor).st_size < size:
            os.ftruncate(self.descriptor, size + size // 4)
        # Arrays that still look at the old one keep it alive.
        self._memory = mmap.mmap(self.descriptor, os.fstat(self.descriptor).st_size)
