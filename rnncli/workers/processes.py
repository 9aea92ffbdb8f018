"""Several processes of one machine: sockets to say what comes next, shared memory for arrays.

Rank 0 starts the others and has a socket to each. A process that ends, for whatever reason, closes its end of it,
which the other end sees at once: a worker that dies stops the run, and workers whose leader died stop too. The memory
has no name and goes with the last process that has it.
"""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from rnncli.errors import RnncliError
from rnncli.workers.exchange import Anything, Message, Parcel
from rnncli.workers.lines import FAILURE, GOOD, Line, pack_numbers, unpack_numbers
from rnncli.workers.memory import Outbox, new_memory, place_arrays, placed_arrays

PATIENCE = 1.0  # seconds that workers have to end by themselves
DESCRIPTORS = 5  # open files for each process: two outboxes, each opened and mapped, and a socket
LONGEST = 2000  # characters of what a worker says when it fails


class WorkerError(RnncliError):
    """A worker process ended before its work was done."""


class _Processes(ABC):
    """What leader and worker have in common: the outboxes of all ranks, in two turns.

    A rank may write its next parcels while another still reads the ones before, so these go to other memory; and
    nobody writes to the first memory again before all ranks have come to the call in between.
    """

    shares_memory = True
    _turns: tuple[list[Outbox], list[Outbox]] = ([], [])

    def __init__(self, rank: int, size: int, descriptors: Sequence[int]) -> None:
        self.rank, self.size = rank, size
        boxes = [Outbox(descriptor) for descriptor in descriptors]
        self._turns = boxes[:size], boxes[size:]
        self._turn = 0

    @abstractmethod
    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Give the numbers of each rank to every rank."""

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        """Give ``parcels[r]`` to rank r; see :class:`rnncli.workers.exchange.Exchange`."""
        boxes = self._turns[self._turn]
        self._turn = 1 - self._turn
        boxes[self.rank].write(parcels)
        self.all_gather([])  # all have written
        return [box.read(self.rank) for box in boxes]


class Leader(_Processes):
    """Rank 0: starts the other processes.

    Parameters
    ----------
    size : int
        How many processes there are, this one counted.
    command : sequence of str
        What a worker runs: a program that makes a :class:`Worker` of its last arguments.
    """

    def __init__(self, size: int, command: Sequence[str]) -> None:
        if os.name != "posix":
            raise WorkerError(
                "several processes share memory in a way that this system does not have; Linux and macOS do",
                remedy="Set train.workers to 1",
            )
        self._lines: list[Line] = []
        self._workers: list[subprocess.Popen[bytes]] = []
        descriptors: list[int] = []
        try:
            _allow_descriptors(DESCRIPTORS * size)
            descriptors += (new_memory() for _ in range(2 * size))
            for rank in range(1, size):
                self._start([*command, str(rank), str(size)], descriptors)
        except OSError as error:
            self.close()
            for descriptor in descriptors:
                os.close(descriptor)
            raise WorkerError(
                f"{size} processes cannot be started: {error.strerror or error}", remedy="Lower train.workers"
            ) from error
        super().__init__(0, size, descriptors)

    def _start(self, command: Sequence[str], descriptors: Sequence[int]) -> None:
        ours, theirs = socket.socketpair()
        self._lines.append(Line(ours))
        with theirs:
            # A process group of its own: Ctrl-C in a terminal is for the leader to act on.
            worker = subprocess.Popen(
                [*command, str(theirs.fileno()), *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *descriptors),
                process_group=0,
            )
        self._workers.append(worker)

    def broadcast(self, message: Message | None = None) -> Message:
        """Send a message to the workers."""
        assert message is not None
        self._send(json.dumps(message).encode())
        return message

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        """Move arrays into memory that the workers see."""
        assert arrays is not None
        descriptor = place_arrays(list(arrays.values()))
        try:
            self.broadcast({"names": list(arrays)})
            for rank, line in enumerate(self._lines, 1):
                try:
                    socket.send_fds(line.socket, [b"."], [descriptor])
                except OSError:
                    self._explain(rank)
            self.all_gather([])  # all have it: on macOS, what is closed before it is received is lost
            return dict(zip(arrays, placed_arrays(descriptor), strict=True))
        finally:
            os.close(descriptor)

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Collect the workers' numbers, and tell them all."""
        gathered = [list(numbers)]
        for rank, line in enumerate(self._lines, 1):
            try:
                kind, payload = line.receive()
            except (EOFError, OSError):
                self._explain(rank)
            if kind == FAILURE:
                raise self._failed(rank, payload.decode())
            gathered.append(unpack_numbers(payload))
        self._send(b"".join(pack_numbers(row) for row in gathered))
        return gathered

    def close(self) -> None:
        """End the workers."""
        for line in self._lines:
            line.socket.close()
        for worker in self._workers:
            _end(worker)
        for box in (*self._turns[0], *self._turns[1]):
            os.close(box.descriptor)
        self._lines, self._workers, self._turns = [], [], ([], [])

    def abort(self, message: str, code: int) -> None:
        """End the workers."""
        self.close()

    def _send(self, payload: bytes) -> None:
        for rank, line in enumerate(self._lines, 1):
            try:
                line.send(GOOD, payload)
            except OSError:
                self._explain(rank)

    def _explain(self, rank: int) -> NoReturn:
        """Raise the error for a worker that can be reached no more: its own words, if it left any."""
        line, worker = self._lines[rank - 1], self._workers[rank - 1]
        words = ""
        with suppress(EOFError, OSError):
            line.socket.shutdown(socket.SHUT_WR)  # one that is alive after all ends
            kind, payload = line.receive()
            words = payload.decode() if kind == FAILURE else ""
        if not words:
            status = _end(worker)
            words = f"was killed by {_name(-status)}" if status < 0 else f"ended with exit code {status}"
        raise self._failed(rank, words)

    def _failed(self, rank: int, words: str) -> WorkerError:
        remedy = "If memory ran out: fewer processes, or smaller batches" if "SIGKILL" in words else None
        return WorkerError(f"process {rank + 1} of {self.size}: {words}", remedy=remedy)


class Worker(_Processes):
    """One of the other ranks, in a process that :class:`Leader` started.

    Parameters
    ----------
    arguments : sequence of str
        The last ones of the command line.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        rank, size, line, *descriptors = map(int, arguments)
        super().__init__(rank, size, descriptors)
        self._line = Line(socket.socket(fileno=line))

    def broadcast(self, message: Message | None = None) -> Message:
        """Wait for the leader's message; where the leader is gone, or let go of this worker, end the process."""
        assert message is None
        received: Message = json.loads(self._receive())
        return received

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        """Return the leader's arrays."""
        assert arrays is None
        names = self.broadcast()["names"]
        try:
            _, descriptors, _, _ = socket.recv_fds(self._line.socket, 1, 1)
        except OSError:
            sys.exit(0)
        if not descriptors:
            sys.exit(0)
        self.all_gather([])
        try:
            return dict(zip(names, placed_arrays(descriptors[0]), strict=True))
        finally:
            os.close(descriptors[0])

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Send numbers to the leader and wait for everybody's."""
        self._send(GOOD, pack_numbers(numbers))
        everybodys = unpack_numbers(self._receive())
        count = len(numbers)
        return [everybodys[rank * count : (rank + 1) * count] for rank in range(self.size)]

    def close(self) -> None:
        """Let go of the leader."""
        self._line.socket.close()

    def abort(self, message: str, code: int) -> None:
        """Tell the leader why this worker cannot go on, and end."""
        self._send(FAILURE, message[:LONGEST].encode(errors="replace"))
        sys.exit(code)

    def _send(self, kind: bytes, payload: bytes) -> None:
        try:
            self._line.send(kind, payload)
        except OSError:
            sys.exit(0)

    def _receive(self) -> bytes:
        try:
            return self._line.receive()[1]
        except (EOFError, OSError):
            sys.exit(0)


def _allow_descriptors(count: int) -> None:
    """Raise this process's limit of open files to so many, besides those it may have already."""
    import resource  # not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 64
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise OSError(errno.EMFILE, f"they need {wanted} open files, of which {hard} are allowed (ulimit -n)")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end(worker: "subprocess.Popen[bytes]") -> int:
    """Wait for a worker to end, not for long, and return its status."""
    try:
        return worker.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
