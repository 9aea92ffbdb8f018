"""Stopping between two steps: the first signal is noted and acted on after the step, a second one at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C, kill, and the terminal going away (not on Windows).
STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def note_interrupts() -> Iterator[Callable[[], int]]:
    """Note SIGINT, SIGTERM or SIGHUP instead of stopping, the first time; a second one has its usual effect.

    Yields
    ------
    callable
        Returns the number of the signal that came, or 0. Outside the main thread, which alone may handle signals,
        none does, nor one that is ignored, as a shell makes a script's background jobs ignore SIGINT.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    came = 0

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = number
        restore()

    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield lambda: came
    finally:
        restore()
