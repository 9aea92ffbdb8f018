"""What this machine has for a process, and what the process has used of it."""

import ctypes
import os
import resource
import sys
from pathlib import Path

CPUS = Path("/sys/devices/system/cpu")
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, for the next batch, where the C library is glibc; else do nothing.

    Arrays beyond 32 MB, which long batches need, would be given back to the system when they are freed, and be mapped
    and filled with zeros anew in the next batch: some 5% of a run (docs/performance.md).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return
    mallopt(-4, 0)  # M_MMAP_MAX: no allocation gets a mapping of its own
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap does not shrink


def physical_cores() -> int:
    """Return how many processes can compute at once: the cores that this one may run on.

    Returns
    -------
    int
        At least 1. Two threads of one core count once, and a container's quota counts, where Linux tells of them (of a
        quota, in version 2 of its control groups).
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
