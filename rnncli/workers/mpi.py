"""Processes on several machines: the exchange over MPI, with mpi4py's methods for buffers; nothing is pickled."""

import json
import os
import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rnncli.errors import RnncliError, shown_on_one_line
from rnncli.interruption import STOPPING
from rnncli.workers.exchange import Anything, Message, Parcel
from rnncli.workers.parcels import UNIT, Bytes, Outgoing, at_least, kind_of, unpack

if TYPE_CHECKING:
    from mpi4py import MPI

# Where launchers say how many processes they started: Open MPI; MPICH, Intel MPI, Microsoft MPI and Slurm's PMI-1 and
# PMI-2; MVAPICH2.
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
SHORT = 4096  # bytes with which every broadcast begins; a step's message fits in
CHUNK = 1 << 30  # bytes that place sends at once: MPI counts with 32 bits
CLOSED = -1  # the length of the message that says that no more come


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
    """Join the other processes that the launcher started; they wait for each other, so before anything that may fail.

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
            f"mpi4py finds no MPI library ({str(error).splitlines()[0]})",
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


def _ranks_said() -> int | None:
    """Return how many processes the launcher says it started; None if it says nothing."""
    names = list(SIZES)
    if "PMIX_RANK" in os.environ:  # srun --mpi=pmix; without it, these would be other programs' tasks
        names += ["SLURM_STEP_NUM_TASKS"]
    said = [os.environ[name] for name in names if os.environ.get(name, "").isdecimal()]
    return int(said[0]) if said else None


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
        self._outgoing = Outgoing()
        self._closed = False
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
            self.broadcast({"arrays": [[name, kind_of(array), array.shape] for name, array in placed.items()]})
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
        outgoing, starts, sizes = self._outgoing.pack(parcels)
        theirs = np.empty_like(sizes)
        self._comm.Alltoall(sizes, theirs)
        ends = np.cumsum(theirs)
        self._incoming = at_least(self._incoming, int(ends[-1]) * UNIT)
        self._comm.Alltoallv([outgoing, sizes, starts, self._unit], [self._incoming, theirs, ends - theirs, self._unit])
        places = zip((ends - theirs) * UNIT, ends * UNIT, strict=True)
        return [unpack(self._incoming[start:end]) for start, end in places]

    def close(self) -> None:
        """Let go of the others, which wait in ``broadcast``: they end. Called by rank 0 alone."""
        if not self._closed:
            self._closed = True
            self._send_text(b"", CLOSED)

    def abort(self, message: str, code: int) -> NoReturn:
        """End the processes of all ranks within seconds; without it, those that wait for this one wait for ever.

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
