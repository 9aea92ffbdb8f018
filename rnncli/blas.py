"""The choice of OpenBLAS kernels, made before NumPy is imported."""

import os
from pathlib import Path

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
