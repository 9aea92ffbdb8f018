"""What a worker process runs: ``python -m rnncli.worker RANK SIZE SOCKET MEMORY...``, started by rank 0."""

import sys

from rnncli.blas import default_to_one_thread

if __name__ == "__main__":
    default_to_one_thread()
    from rnncli.joining import join
    from rnncli.workers.processes import Worker

    join(Worker(sys.argv[1:]))
