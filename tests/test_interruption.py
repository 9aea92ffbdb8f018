import os
import signal
import threading

import pytest

from rnncli.interruption import note_interrupts


class Terminated(Exception):
    """Stands for the death that SIGTERM usually is."""


def terminated(number, frame):
    raise Terminated


@pytest.fixture(autouse=True)
def handlers():
    """Handle SIGINT as Python does, even where the tests run as a background job."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminated}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield usual
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupt(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_the_first_is_noted_and_the_second_has_its_usual_effect(handlers, first, second):
    with note_interrupts() as interrupted:
        assert interrupted() == 0
        interrupt(first)
        assert interrupted() == first
        with pytest.raises({signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}[second]):
            interrupt(second)
        assert interrupted() == first
    assert {number: signal.getsignal(number) for number in handlers} == handlers


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
        interrupt(signal.SIGTERM)
        assert interrupted() == signal.SIGTERM
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_outside_the_main_thread_nothing_is_touched(handlers):
    seen = []

    def work():
        with note_interrupts() as interrupted:
            seen.append((interrupted(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, handlers[signal.SIGINT])]
