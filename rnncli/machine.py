"""What this machine has for a process, and what the process has used of it."""

import ctypes
import os
import platform
import resource
import sys
from pathlib import Path
from typing import Any

from rnncli import __version__
from rnncli.blas import THREAD_VARIABLES

CPUS = Path("/sys/devices/system/cpu")
CPU_INFO = Path("/proc/cpuinfo")
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


def environment() -> dict[str, Any]:
    """Return what a computation here is done by, ready for JSON: what somebody who repeats it has to compare.

    Returns
    -------
    dict
        ``rnncli``, ``python`` and ``numpy`` (versions), ``blas`` (name and version, or None), ``blas_threads`` (as
        asked for; None for the library's own choice), ``system``, ``cpu`` (its name) and ``cores``.
    """
    import numpy as np

    try:
        found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        blas = f"{found['name']} {found['version']}"
    except (KeyError, TypeError):  # built otherwise
        blas = None
    threads = [os.environ.get(name, "") for name in THREAD_VARIABLES]
    return {
        "rnncli": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": blas,
        "blas_threads": next((int(count) for count in threads if count.isdecimal()), None),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": physical_cores(),
    }


def _cpu_name() -> str:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or "unknown"


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
