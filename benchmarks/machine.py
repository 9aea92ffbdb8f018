"""Where figures come from: the machine, the versions, what the environment sets; and which two cores are used."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from rnncli.blas import THREAD_VARIABLES

CORES = 2
PACKAGES = ("rnncli", "numpy", "torch")
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")


def use_two_cores() -> list[int]:
    """Keep this process and all it starts to two cores, where the system allows it; return the CPUs used."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    one_each: dict[str, int] = {}  # two CPUs of the same core count as one
    for cpu in sorted(os.sched_getaffinity(0)):
        file = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        one_each.setdefault(file.read_text() if file.exists() else str(cpu), cpu)
    chosen = list(one_each.values())[:CORES]
    os.sched_setaffinity(0, chosen)
    return chosen


def facts(cpus: list[int]) -> dict[str, Any]:
    """Return what the figures depend on."""
    info = _fields("/proc/cpuinfo")
    flags = info.get("flags", "").split()
    environment = {  # before a library is imported that adds to it
        key: value
        for key, value in sorted(os.environ.items())
        if key.startswith(("OPENBLAS_", "OMP_", "MKL_", "KMP_", "MALLOC_")) and key not in THREAD_VARIABLES
    }
    memory = _fields("/proc/meminfo").get("MemTotal", "")
    return {
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "family, model": f"{info.get('cpu family', '?')}, {info.get('model', '?')}",
        "units": " ".join(flag for flag in FLAGS if flag in flags),
        "cores": f"{len(cpus) or 'not limited'} of {os.cpu_count()}",
        "memory": f"{int(memory.split()[0]) * 1024 / 1e9:.0f} GB" if memory else "?",
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "BLAS of NumPy": _blas(),
        "environment": " ".join(f"{key}={value}" for key, value in environment.items()) or "nothing set",
        "threads": "set for each process by the benchmark",
    }


def _blas() -> str:
    import numpy  # noqa: F401 - its libraries are looked at
    import threadpoolctl

    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(f"{pool['internal_api']} {pool['version']}, {pool.get('architecture')} kernels" for pool in pools)


def _fields(path: str) -> dict[str, str]:
    """Return the first value of each field of a file of ``key: value`` lines."""
    fields: dict[str, str] = {}
    if Path(path).exists():
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    return fields
