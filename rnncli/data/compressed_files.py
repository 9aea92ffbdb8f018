"""Files opened for reading bytes, compressed or not, with errors that say what to do.

Compression is recognised by the first bytes of a file, so a compressed file needs no particular name; a file that is
named ``.gz``, ``.bz2`` or ``.xz`` and is not compressed that way is refused.
"""

import bz2
import errno
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rnncli.errors import DataError

_OPENERS: dict[str, tuple[bytes, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),  # type: ignore[dict-item,return-value]
    ".bz2": (b"BZh", bz2.BZ2File),
    ".xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
}
# "BZh" alone could begin a text; what follows its digit in every bzip2 file could not.
_BZ2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


@contextmanager
def open_bytes(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a regular file for reading bytes, decompressed where it is gzip, bzip2 or xz.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    context manager of a binary file
        Damage that is met while reading inside the ``with`` becomes a DataError too.

    Raises
    ------
    DataError
        No such file, a folder or another thing that is not a file, no permission, a truncated or damaged archive.
    """
    try:
        opened = open(path, "rb", opener=open_regular)  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise file_error(path, error) from error
    except ValueError as error:  # a path that holds a NUL, or what no file name can be encoded as
        raise DataError(f"is not a usable path ({error})", where=repr(str(path))) from error
    try:
        with opened as file:
            suffix = _compression(file.peek(10)[:10], path)
            if suffix is None:
                yield file
            else:
                with _OPENERS[suffix][1](file) as inner:
                    yield inner
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        # bz2 reports damage as an OSError without an errno; what the system reports always has one.
        raise (_damaged(path, error) if error.errno is None else file_error(path, error)) from error


def open_regular(path: str, flags: int) -> int:
    """Open a regular file and nothing else: the ``opener`` for :func:`open`, which never waits for a pipe's writer.

    Parameters
    ----------
    path : str
        The file.
    flags : int
        As for :func:`os.open`.

    Returns
    -------
    int
        The file descriptor.

    Raises
    ------
    OSError
        If there is no such file, or it is a folder, a pipe or a device.
    """
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return handle
    os.close(handle)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "not a regular file, which it must be as it is read more than once", path)


def file_error(path: str | Path, error: OSError) -> DataError:
    """Return what to tell the user when the system would not open or read a file.

    Parameters
    ----------
    path : str or Path
        The file or folder.
    error : OSError
        What the system said.

    Returns
    -------
    DataError
        The same in one line, with what to do.
    """
    where = str(path)
    if isinstance(error, FileNotFoundError):
        return DataError(
            "there is no such file",
            where=where,
            remedy="Correct the path (a relative one starts at the folder you run in), or fetch a known data set with "
            "`rnncli data get NAME`",
        )
    if isinstance(error, IsADirectoryError):
        return DataError("is a folder where a file is expected", where=where, remedy="Name the file inside it")
    if isinstance(error, PermissionError):
        return DataError("may not be read (permission denied)", where=where, remedy=f"Try: chmod u+r {path}")
    return DataError(f"cannot be read ({error.strerror or error})", where=where)


def _compression(head: bytes, path: str | Path) -> str | None:
    """Return the suffix of the compression that `head` shows, None for none."""
    named = Path(path).suffix.lower()
    found = next((suffix for suffix, (magic, _) in _OPENERS.items() if head.startswith(magic)), None)
    if found == ".bz2" and not head[4:].startswith(_BZ2_BLOCKS):
        found = None
    if named in _OPENERS and head and named != found:
        raise DataError(
            f"is named {named} but does not hold {named[1:]} data",
            where=str(path),
            remedy="Fetch it again if it should, give it another name if it is plain text",
        )
    return found


def _damaged(path: str | Path, error: Exception) -> DataError:
    """Return the error for an archive that cannot be decompressed to its end."""
    what = "the compressed file ends too early" if isinstance(error, EOFError) else f"damaged compressed file ({error})"
    return DataError(what, where=str(path), remedy="Fetch or make it again")
