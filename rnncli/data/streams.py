"""Lines of a file, or of what a pipe or a terminal gives as it comes."""

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from rnncli.data.compressed_files import file_error
from rnncli.data.text_files import Line, any_lines, lines_of

STANDARD_INPUT = Path("-")
PAUSE = 0.05  # seconds without input, after which what has been read is worth an answer
CHUNK = 2**16  # bytes


def is_stream(path: Path) -> bool:
    """Return whether a path is standard input, a pipe or a device: what comes when it comes, and once only."""
    return path == STANDARD_INPUT or (path.exists() and not path.is_file() and not path.is_dir())


def lines_as_they_come(path: Path, on_pause: Callable[[], None]) -> Iterator[Line]:
    """Yield the lines of a file, or of a stream.

    Parameters
    ----------
    path : Path
        A file, plain or compressed; ``-`` for standard input; a named pipe, such as a shell makes of ``<(command)``.
    on_pause : callable
        Called when a stream gives nothing for ``PAUSE`` seconds, before the next line is waited for; never for a file.

    Yields
    ------
    Line
        As of :func:`rnncli.data.text_files.lines_of`; of an empty file none.

    Raises
    ------
    DataError
        If the file cannot be opened or read.
    """
    if not is_stream(path):
        yield from any_lines(path)
        return
    if path != STANDARD_INPUT:
        try:
            handle = os.open(path, os.O_RDONLY)  # waits for whoever writes to it
        except OSError as error:
            raise file_error(path, error) from error
        try:
            yield from lines_of(io.BufferedReader(Paced(handle, path, on_pause), CHUNK), path)
        finally:
            os.close(handle)
        return
    name = "standard input"
    try:
        own: IO[bytes] = io.BufferedReader(Paced(sys.stdin.fileno(), name, on_pause), CHUNK)
    except (AttributeError, OSError):  # replaced by an object of Python's, as in a test or a notebook
        own = getattr(sys.stdin, "buffer", io.BytesIO())
    yield from lines_of(own, name)


class Paced(io.RawIOBase):
    """Bytes of an open file that is not closed with this, with a call when there are none for a while.

    Parameters
    ----------
    handle : int
        The file.
    name : str or Path
        What to call it in errors.
    on_pause : callable
        Called before the next bytes are waited for.
    """

    def __init__(self, handle: int, name: str | Path, on_pause: Callable[[], None]) -> None:
        self._handle, self._name, self._on_pause = handle, name, on_pause

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is, having waited for some; return how many bytes that are, 0 at the end."""
        if not select.select([self._handle], [], [], PAUSE)[0]:
            self._on_pause()
        try:
            found = os.read(self._handle, len(buffer))
        except OSError as error:
            raise file_error(self._name, error) from error
        buffer[: len(found)] = found
        return len(found)
