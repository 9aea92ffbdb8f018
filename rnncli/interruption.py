"""Stopping between two steps: the first Ctrl-C is noted and acted on after the step, a second one at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def note_interrupts() -> Iterator[Callable[[], bool]]:
    """Note SIGINT instead of raising KeyboardInterrupt, the first time.

    Yields
    ------
    callable
        Tells whether one came. Outside the main thread, which alone may handle signals, none does, nor where they
        are ignored, as a shell does for a script's background jobs.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        yield lambda: False
        return
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGINT, before)
