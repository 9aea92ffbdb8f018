import os
import signal
import threading

import pytest

from rnncli.interruption import note_interrupts


@pytest.fixture(autouse=True)
def handler():
    """Handle SIGINT as Python does, even where the tests run as a background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_is_noted_and_the_second_raises(handler):
    with note_interrupts() as interrupted:
        assert not interrupted()
        interrupt()
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            interrupt()
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_handler_of_before_is_put_back():
    mine = lambda number, frame: None  # noqa: E731
    signal.signal(signal.SIGINT, mine)
    with note_interrupts():
        assert signal.getsignal(signal.SIGINT) is not mine
    assert signal.getsignal(signal.SIGINT) is mine


def test_where_the_signal_is_ignored_it_stays_so():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with note_interrupts() as interrupted:
        interrupt()
        assert not interrupted()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_outside_the_main_thread_nothing_is_touched(handler):
    seen = []

    def work():
        with note_interrupts() as interrupted:
            seen.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, handler)]
