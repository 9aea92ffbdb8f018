"""An exchange between threads of this process, for tests of what is computed with one."""

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rnncli.workers.exchange import Anything, Exchange, Message, Parcel

Result = TypeVar("Result")
PATIENCE = 30  # seconds for which a rank waits for the others


class Threaded:
    """One rank's end."""

    def __init__(self, rank: int, board: list[Any], barrier: threading.Barrier, shares_memory: bool) -> None:
        self.rank, self.size, self.shares_memory = rank, len(board), shares_memory
        self.board, self.barrier = board, barrier

    def _everybodys(self, mine: Any) -> list[Any]:
        self.board[self.rank] = mine
        self.barrier.wait(PATIENCE)
        all_of_them = list(self.board)
        self.barrier.wait(PATIENCE)
        return all_of_them

    def broadcast(self, message: Message | None = None) -> Message:
        assert (message is not None) == (self.rank == 0)
        return self._everybodys(message)[0]

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        assert (arrays is not None) == (self.rank == 0)
        placed = dict(self._everybodys(arrays)[0])
        return placed if self.shares_memory else copy.deepcopy(placed)

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        return self._everybodys(list(numbers))

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        return [copy.deepcopy(list(theirs[self.rank])) for theirs in self._everybodys(parcels)]

    def close(self) -> None: ...

    def abort(self, message: str, code: int) -> None:
        self.barrier.abort()


def on_every_rank(size: int, work: Callable[[Exchange], Result], *, shares_memory: bool = False) -> list[Result]:
    """Run a function on each rank of an exchange, in threads; return what each returned."""
    board, barrier = [None] * size, threading.Barrier(size)

    def run(rank: int) -> Result:
        try:
            return work(Threaded(rank, board, barrier, shares_memory))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        return [future.result() for future in [pool.submit(run, rank) for rank in range(size)]]
