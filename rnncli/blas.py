"""How BLAS is to run, said in environment variables before NumPy is imported."""

import os
from pathlib import Path

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")
_AVX512 = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"}


def choose_kernels(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Let OpenBLAS use AVX-512 on AMD processors that have it.

    The OpenBLAS in NumPy's wheels does not know recent AMD models and falls back to its AVX2 kernels, which take 1.3
    to 1.9 times as long for the products of this program (docs/performance.md). An ``OPENBLAS_CORETYPE`` that the user
    has set is kept, and where the file does not exist nothing is done.

    Parameters
    ----------
    cpuinfo : Path
        Where Linux describes the processor.
    """
    if "OPENBLAS_CORETYPE" in os.environ:
        return
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as file:
            first_processor = file.read(8192).split("\n\n")[0]
    except OSError:
        return
    if "AuthenticAMD" in first_processor and set(first_processor.split()) >= _AVX512:
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"


def default_to_one_thread() -> None:
    """Let BLAS run on one thread, unless the user has said how many in any of ``THREAD_VARIABLES``.

    The products of a step take tens of microseconds. Shared among threads they gain a fifth on an idle machine, and
    lose a hundredfold on a busy one, where each of them waits for a thread that has no core (docs/performance.md).
    """
    if not any(os.environ.get(name) for name in THREAD_VARIABLES):
        for name in THREAD_VARIABLES:
            os.environ[name] = "1"
