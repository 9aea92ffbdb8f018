"""What a worker process runs; rank 0 starts it, with RANK SIZE SOCKET MEMORY... as arguments."""

import sys

from rnncli.blas import default_to_one_thread


def main() -> None:
    """Join the process that started this one."""
    default_to_one_thread()
    from rnncli.joining import join
    from rnncli.machine import keep_freed_memory
    from rnncli.workers.processes import Worker

    keep_freed_memory()
    join(Worker(sys.argv[1:]))
