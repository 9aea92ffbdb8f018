"""Processes on several machines: the exchange over MPI, with mpi4py's methods for buffers; nothing is pickled."""

import json
import math
import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from rnncli.errors import RnncliError, shown_on_one_line
from rnncli.interruption import STOPPING
from rnncli.workers.exchange import Anything, Message, Parcel

if TYPE_CHECKING:
    from mpi4py import MPI

# Where launchers say how many processes they started: Open MPI; MPICH, Intel MPI, Microsoft MPI and Slurm's PMI-1 and
# PMI-2; MVAPICH2.
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
SHORT = 4096  # bytes with which every broadcast begins; a step's message fits in
CHUNK = 1 << 30  # bytes that place sends at once: MPI counts with 32 bits
UNIT = 64  # bytes that all_to_all counts as one, for the same reason; where an array begins, any type may
CLOSED = -1  # the length of the message that says that no more come

Bytes = NDArray[np.uint8]


def launched_by_mpi() -> bool:
    """Tell from the environment whether this process is one of several that an MPI launcher started.

    Returns
    -------
    bool
        False also for a single one, as by ``mpiexec -n 1``. Imports nothing of MPI.
    """
    said = _ranks_said()
    return "PMIX_RANK" in os.environ if said is None else said > 1


def connect() -> "MpiExchange":
    """Join the other processes that the launcher started.

    On all ranks but the first, signals that stop a run are ignored from here on: launchers send them to all, and
    rank 0, which notes them, still needs the others for the step at which it stops.

    Returns
    -------
    MpiExchange
        The group of all of them.

    Raises
    ------
    RnncliError
        If mpi4py or the MPI library is missing, or belongs to another MPI than the launcher.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise RnncliError(
            f"several processes were started by MPI, and mpi4py cannot be imported ({error})",
            remedy="Type: pip install 'rnncli[mpi]'",
        ) from None
    except RuntimeError as error:  # how its wheels say that they found no library
        raise RnncliError(
            f"mpi4py finds no MPI library ({error})",
            remedy="Install one where mpiexec comes from: a cluster's module, the system's package, or "
            "pip install mpich",
        ) from None
    said, size = _ranks_said(), MPI.COMM_WORLD.Get_size()
    if said is not None and said != size:
        raise RnncliError(
            f"the launcher started {said} processes and mpi4py sees {size}: they belong to different MPI "
            f"installations, mpi4py to {MPI.get_vendor()[0]}",
            remedy=f"Use the mpiexec of {MPI.get_vendor()[0]}, or install mpi4py for the other one",
        )
    exchange = MpiExchange(MPI.COMM_WORLD)
    if exchange.rank:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
    return exchange


@contextmanager
def ends_together(exchange: "MpiExchange") -> Iterator[None]:
    """End all ranks when what follows fails on this one: the others would wait for it for ever.

    Parameters
    ----------
    exchange : MpiExchange
        The group.
    """
    try:
        yield
    except RnncliError as error:
        exchange.abort(str(error), error.exit_code)
    except KeyboardInterrupt:
        exchange.abort("interrupted", 130)
    except MemoryError as error:
        exchange.abort(f"out of memory: {error}. Choose a smaller model, batch or vocabulary", 1)
    except OSError as error:
        exchange.abort(f"{error.filename or 'output'}: {error.strerror or error}", 1)
    except SystemExit as error:
        if error.code:
            exchange.abort("", error.code if isinstance(error.code, int) else 1)
        raise
    except BaseException:
        exchange.abort(traceback.format_exc(), 1)


def _ranks_said() -> int | None:
    """Return how many processes the launcher says it started; None if it says nothing."""
    names = list(SIZES)
    if "PMIX_RANK" in os.environ:  # srun --mpi=pmix; without it, these would be other programs' tasks
        names += ["SLURM_STEP_NUM_TASKS"]
    said = [os.environ[name] for name in names if os.environ.get(name, "").isdecimal()]
    return int(said[0]) if said else None


def _kind(array: Anything) -> str:
    """Return an array's type as text from which it can be made again."""
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"an array of {array.dtype} cannot be sent")
    return array.dtype.str


def _described(parcel: Parcel) -> bytes:
    """Return the head of a parcel: its own length, then the types and shapes of its arrays."""
    text = json.dumps([[_kind(array), array.shape] for array in parcel]).encode()
    return len(text).to_bytes(8, sys.byteorder) + text


def _whole(size: int) -> int:
    """Round bytes up to whole units."""
    return -(-size // UNIT) * UNIT


def _pack(memory: Bytes, head: bytes, parcel: Parcel) -> None:
    """Write a parcel into memory of just the size it takes."""
    memory[: len(head)] = np.frombuffer(head, np.uint8)
    at = _whole(len(head))
    for array in parcel:
        memory[at : at + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
        at += _whole(array.nbytes)


def _unpack(memory: Bytes) -> list[Anything]:
    """Return the arrays of a parcel, as views that cannot be written to."""
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


def _at_least(memory: Bytes, size: int) -> Bytes:
    """Return the memory if it is large enough, or new memory with a quarter to spare."""
    return memory if len(memory) >= size else np.empty(size + size // 4, np.uint8)


class MpiExchange:
    """The processes of an MPI job, as an :class:`~rnncli.workers.exchange.Exchange`.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        The group.
    """

    shares_memory = False

    def __init__(self, comm: "MPI.Intracomm") -> None:
        from mpi4py import MPI

        self._comm = comm.Dup()
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._unit = MPI.BYTE.Create_contiguous(UNIT).Commit()
        self._outgoing: Bytes = np.empty(0, np.uint8)
        self._incoming: Bytes = np.empty(0, np.uint8)

    def broadcast(self, message: Message | None = None) -> Message:
        """Give rank 0's message to every rank; where rank 0 has let go of this one, end the process."""
        assert (message is not None) == (self.rank == 0)
        text = b"" if message is None else json.dumps(message).encode()
        received = self._send_text(text, len(text))
        if received is None:
            sys.exit(0)
        return json.loads(received) if message is None else message

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        """Give a copy of rank 0's arrays to every other rank."""
        assert (arrays is not None) == (self.rank == 0)
        if arrays is None:
            told = self.broadcast()["arrays"]
            placed = {name: np.empty(shape, kind) for name, kind, shape in told}
        else:
            placed = {name: np.require(array, requirements=["C", "W"]) for name, array in arrays.items()}
            self.broadcast({"arrays": [[name, _kind(array), array.shape] for name, array in placed.items()]})
        for array in placed.values():
            flat = array.reshape(-1).view(np.uint8)
            for start in range(0, len(flat), CHUNK):
                self._comm.Bcast(flat[start : start + CHUNK])
        return placed

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Give the numbers of each rank to every rank."""
        mine = np.array([len(numbers), *numbers], np.float64)  # never empty, so that all wait for all
        theirs = np.empty((self.size, len(mine)))
        self._comm.Allgather(mine, theirs)
        assert (theirs[:, 0] == len(numbers)).all()
        return [list(map(float, row)) for row in theirs[:, 1:]]

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        """Give ``parcels[r]`` to rank r; return what each rank had for this one."""
        assert len(parcels) == self.size
        heads = [_described(parcel) for parcel in parcels]
        sent = np.array(
            [
                (_whole(len(head)) + sum(_whole(array.nbytes) for array in parcel)) // UNIT
                for head, parcel in zip(heads, parcels, strict=True)
            ]
        )
        received = np.empty_like(sent)
        self._comm.Alltoall(sent, received)
        to, of = np.cumsum(sent), np.cumsum(received)
        self._outgoing = _at_least(self._outgoing, int(to[-1]) * UNIT)
        self._incoming = _at_least(self._incoming, int(of[-1]) * UNIT)
        starts, ends = (to - sent) * UNIT, to * UNIT
        for start, end, head, parcel in zip(starts, ends, heads, parcels, strict=True):
            _pack(self._outgoing[start:end], head, parcel)
        self._comm.Alltoallv(
            [self._outgoing, sent, to - sent, self._unit], [self._incoming, received, of - received, self._unit]
        )
        starts, ends = (of - received) * UNIT, of * UNIT
        return [_unpack(self._incoming[start:end]) for start, end in zip(starts, ends, strict=True)]

    def close(self) -> None:
        """Let go of the others, which wait in ``broadcast``: they end. Called by rank 0 alone."""
        self._send_text(b"", CLOSED)

    def abort(self, message: str, code: int) -> NoReturn:
        """End the processes of all ranks within seconds.

        Parameters
        ----------
        message : str
            Why, printed to standard error; empty if that has been said.
        code : int
            What the launcher exits with.
        """
        sys.stdout.flush()
        if message:
            place = f"rank {self.rank} of {self.size} on {shown_on_one_line(platform.node())}: " if self.rank else ""
            print(f"rnncli: {place}{message.rstrip()}", file=sys.stderr, flush=True)
        self._comm.Abort(code)
        os._exit(code)  # where Abort has come back

    def _send_text(self, text: bytes, length: int) -> bytes | None:
        """Give rank 0's text to every rank; None if it closed."""
        first: Bytes = np.zeros(SHORT, np.uint8)
        said = first[:8].view(np.int64)
        body: Any = first[8:]
        if self.rank == 0:
            said[0] = length
            body[: len(text)] = np.frombuffer(text[: len(body)], np.uint8)
        self._comm.Bcast(first)
        if said[0] == CLOSED:
            return None
        if said[0] <= len(body):
            return text if self.rank == 0 else bytes(body[: said[0]])
        whole = np.frombuffer(text, np.uint8) if self.rank == 0 else np.empty(said[0], np.uint8)
        self._comm.Bcast(whole)
        return whole.tobytes()
