"""Whether another process still runs."""

import os
from pathlib import Path


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
