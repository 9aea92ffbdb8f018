"""Stopping between two steps: the first Ctrl-C is noted and acted on after the step, a second one at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def note_interrupts() -> Iterator[Callable[[], bool]]:
    """Note SIGINT instead of raising KeyboardInterrupt, the first time.

    Yields
    ------
    callable
        Tells whether one came.
    """
    came = False

    def handle(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        nonlocal came
        came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)
