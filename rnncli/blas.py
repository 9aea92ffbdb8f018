"""How many threads BLAS runs on, said in environment variables before NumPy is imported."""

import os

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def default_to_one_thread() -> None:
    """Let BLAS run on one thread, unless the user has said how many in any of ``THREAD_VARIABLES``.

    The products of a step take tens of microseconds. Shared among threads they gain about a fifth on an idle machine,
    and lose twentyfold and more on a busy one, where each of them waits for a thread that has no core
    (docs/performance.md).
    """
    if not any(os.environ.get(name) for name in THREAD_VARIABLES):
        for name in THREAD_VARIABLES:
            os.environ[name] = "1"
