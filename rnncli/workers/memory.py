"""Memory that several processes see: nameless, so that nothing of it is left behind however they end."""

import mmap
import os
import tempfile
from collections.abc import Sequence

import numpy as np

from rnncli.errors import RnncliError
from rnncli.workers.exchange import Anything, Parcel
from rnncli.workers.parcels import UNIT, Bytes, lay_out, pack, unpack

ZEROS = bytes(1 << 20)


def new_memory() -> int:
    """Return the file descriptor of fresh memory, empty as yet."""
    try:
        return os.memfd_create("rnncli")
    except (AttributeError, OSError):  # not on this system, or not allowed: a file without a name instead
        with tempfile.TemporaryFile() as file:
            return os.dup(file.fileno())


def reach(descriptor: int, size: int) -> Bytes:
    """Return the bytes of some memory, of which there are to be so many at least.

    Parameters
    ----------
    descriptor : int
        From :func:`new_memory`; may be closed afterwards.
    size : int
        In bytes.

    Returns
    -------
    ndarray of uint8
        All of it.

    Raises
    ------
    RnncliError
        If there is no more.
    """
    try:
        there = os.fstat(descriptor).st_size
        if there < size:
            # Taken at once: a page that turns out not to be there when it is written to would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, there, size - there)
            else:
                for start in range(there, size, len(ZEROS)):
                    os.pwrite(descriptor, ZEROS[: size - start], start)
        return np.frombuffer(mmap.mmap(descriptor, max(there, size)), np.uint8)
    except OSError as error:
        raise RnncliError(
            f"{size:,} bytes of memory for several processes cannot be had: {error.strerror or error}",
            remedy="Free some, or use one process",
        ) from error


def place_arrays(arrays: Parcel) -> int:
    """Copy arrays into fresh memory and return its descriptor."""
    layout = lay_out([arrays])
    descriptor = new_memory()
    try:
        pack(reach(descriptor, layout.end), [arrays], layout)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def placed_arrays(descriptor: int) -> list[Anything]:
    """Return the arrays that were placed in some memory, to be changed; they keep it, the descriptor may be closed."""
    return unpack(reach(descriptor, 1), writeable=True)


class Outbox:
    """What one process has for the others to read: where each one's parcel begins, then the parcels.

    Parameters
    ----------
    descriptor : int
        Its memory; every process has one of these on the same memory, and one of them writes.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory: Bytes = np.empty(0, np.uint8)

    def write(self, parcels: Sequence[Parcel]) -> None:
        """Put in a parcel for each rank, in place of what there was."""
        layout = lay_out(parcels)
        base = -(-layout.starts.nbytes // UNIT) * UNIT
        if len(self._memory) < base + layout.end:
            self._memory = reach(self.descriptor, (base + layout.end) * 5 // 4)  # with some to spare
        self._memory[: layout.starts.nbytes] = (base + layout.starts).view(np.uint8)
        pack(self._memory[base:], parcels, layout)

    def read(self, rank: int) -> list[Anything]:
        """Return the parcel for a rank, as it is in the shared memory."""
        size = os.fstat(self.descriptor).st_size
        if len(self._memory) < size:
            self._memory = reach(self.descriptor, size)  # arrays that still look at the old view keep it
        start = int(self._memory[8 * rank : 8 * rank + 8].view(np.int64)[0])
        return unpack(self._memory[start:])
