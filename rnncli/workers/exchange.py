"""What the processes of one run tell each other: the interface, and the case of a single process.

Rank 0 leads: it reads the files, decides what comes next and writes the checkpoints. The others wait for its message,
do their part of what it asks, and wait again. Every method is collective: all ranks call the same ones in the same
order. What comes back is in the order of the ranks, so that sums do not depend on who was quick.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

Anything = NDArray[Any]
Parcel = Sequence[Anything]
Message = dict[str, Any]


class Exchange(Protocol):
    """A group of processes that compute together.

    Attributes
    ----------
    rank : int
        Of this process, from 0.
    size : int
        How many there are.
    shares_memory : bool
        Whether :meth:`place` gives all of them the same memory; otherwise each has a copy, and what one of them
        changes in its own has to be sent.
    """

    rank: int
    size: int
    shares_memory: bool

    def broadcast(self, message: Message | None = None) -> Message:
        """Give rank 0's message, of JSON's values, to every rank; the others pass none."""
        ...

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        """Give rank 0's arrays to every rank, to be kept and changed; the others pass none."""
        ...

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Give the few numbers of each rank, as many from each, to every rank; none goes on before all are here."""
        ...

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        """Give ``parcels[r]``, some arrays, to rank r; return what each rank had for this one, in their order.

        The arrays of a parcel may have any shape and type. What comes back may be looked at until the next call to
        any method, and not be changed.
        """
        ...

    def close(self) -> None:
        """Let go of the others, which wait for a message: they end. Called by rank 0 alone."""
        ...

    def abort(self, message: str, code: int) -> None:
        """End the others whatever they are doing; the message and exit code are for where this ends all."""
        ...


class Alone:
    """The exchange of a process with itself."""

    rank = 0
    size = 1
    shares_memory = True

    def broadcast(self, message: Message | None = None) -> Message:
        """Return the message."""
        assert message is not None
        return message

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        """Return the arrays."""
        assert arrays is not None
        return dict(arrays)

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """Return the numbers."""
        return [list(numbers)]

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        """Return the parcel."""
        return [list(parcel) for parcel in parcels]

    def close(self) -> None:
        """Do nothing."""

    def abort(self, message: str, code: int) -> None:
        """Do nothing."""


ALONE = Alone()
