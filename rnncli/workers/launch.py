"""Starting the processes of a run, and ending them."""

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from rnncli.errors import RnncliError
from rnncli.workers.exchange import ALONE, Exchange
from rnncli.workers.processes import Leader

# A worker looks for modules where this process does, and not in the folder it happens to be in.
START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from rnncli.worker import main; main()"


@contextmanager
def ending(exchange: Exchange) -> Iterator[None]:
    """End the other processes of a run when it is over, however that comes.

    Parameters
    ----------
    exchange : Exchange
        Rank 0's end.
    """
    try:
        yield
    except RnncliError:  # comes between two steps, when the others wait
        exchange.close()
        raise
    except KeyboardInterrupt:
        exchange.abort("interrupted", 130)
        raise
    except BaseException:
        exchange.abort(traceback.format_exc(), 1)
        raise
    exchange.close()


@contextmanager
def processes(count: int) -> Iterator[Exchange]:
    """Start the other processes of a run on this machine, and end them when it is over.

    Parameters
    ----------
    count : int
        How many there are to be, this one included.

    Yields
    ------
    Exchange
        Rank 0's end.

    Raises
    ------
    RnncliError
        If the system has no memory that they could share.
    """
    exchange = (
        ALONE
        if count == 1
        else Leader(count, [sys.executable, "-P", "-c", START, json.dumps([str(folder) for folder in sys.path])])
    )
    with ending(exchange):
        yield exchange
