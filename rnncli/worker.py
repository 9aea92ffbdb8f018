"""What a worker process runs: ``python -m rnncli.worker RANK SIZE SOCKET MEMORY...``, started by rank 0."""

import sys

from rnncli.blas import default_to_one_thread

if __name__ == "__main__":
    default_to_one_thread()
    from rnncli.joining import join
    from rnncli.machine import keep_freed_memory
    from rnncli.workers.processes import Worker

    keep_freed_memory()
    join(Worker(sys.argv[1:]))
