"""Starting the processes of a run, and ending them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnncli.errors import RnncliError
from rnncli.workers.exchange import ALONE, Exchange
from rnncli.workers.mpi import connect, launched_by_mpi
from rnncli.workers.processes import Leader

CPUS = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


@contextmanager
def processes(count: int) -> Iterator[Exchange]:
    """Start the other processes of a run and end them when it is over, however that comes.

    Parameters
    ----------
    count : int
        How many there are to be, this one included; without effect where an MPI launcher has started them.

    Yields
    ------
    Exchange
        Rank 0's.

    Raises
    ------
    RnncliError
        If they cannot be started.
    """
    exchange: Exchange = ALONE
    if launched_by_mpi():
        exchange = connect()
    elif count > 1:
        exchange = Leader(count, [sys.executable, "-m", "rnncli.worker"])
    try:
        yield exchange
    except RnncliError:  # comes between two steps, when the others wait
        exchange.close()
        raise
    except BaseException as error:
        exchange.abort(f"{type(error).__name__}: {error}", 1)
        raise
    exchange.close()


def physical_cores() -> int:
    """Return how many processes can compute at once: the cores that this one may run on.

    Returns
    -------
    int
        At least 1. Two threads of one core count once, and a container's quota counts, where Linux tells of them.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    siblings = {_siblings(cpu) for cpu in os.sched_getaffinity(0)}
    return max(1, min(len(siblings), _quota()))


def _siblings(cpu: int) -> str:
    try:
        return (CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _quota() -> int:
    """Return for how many cores the container's quota is, rounded down; a large number if there is none."""
    try:
        quota, period = QUOTA.read_text().split()
        return int(quota) // int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize
