"""Other processes: one that can be interrupted, and whether one still runs."""

import os
from pathlib import Path

# The command line. What is started in the background, or by nohup, would ignore the signal.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom rnncli.cli import main; main()"
)


def is_running(pid: int) -> bool:
    """Return whether a process has not ended yet; one that has ended and that nobody has asked how is no more."""
    if Path("/proc/self/status").exists():
        try:
            return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
