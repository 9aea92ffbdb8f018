"""Text files for the readers: compressed or not, UTF-8 or refused, never a traceback.

Compression is recognised by the first bytes of a file, so a compressed file needs no particular name; a file that is
named ``.gz``, ``.bz2`` or ``.xz`` and is not compressed that way is refused. Lines end at a line feed. Line numbers
start at 1, byte offsets at 0; in a compressed file both count in the text that is inside.
"""

import bz2
import gzip
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from rnncli.errors import DataError

# A line past this is not a text to train on but a binary file, or an archive made to fill the memory.
MAX_LINE_BYTES = 64 * 2**20

_BOM = b"\xef\xbb\xbf"
_TO_UTF8 = "Save the file as UTF-8 (a Latin-1 file: iconv -f latin1 -t utf-8 OLD > NEW)"
_NOT_TEXT = {
    b"\xff\xfe": ("UTF-16 text, not UTF-8", "Convert it: iconv -f utf-16 -t utf-8 OLD > NEW"),
    b"\xfe\xff": ("UTF-16 text, not UTF-8", "Convert it: iconv -f utf-16 -t utf-8 OLD > NEW"),
    b"PK\x03\x04": ("a zip archive, not a text file", "Unpack it and name the text file inside"),
}
_OPENERS: dict[str, tuple[bytes, Callable[[IO[bytes]], IO[bytes]]]] = {
    ".gz": (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),  # type: ignore[dict-item,return-value]
    ".bz2": (b"BZh", bz2.BZ2File),
    ".xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
}
# "BZh" alone could begin a text; what follows its digit in every bzip2 file could not.
_BZ2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


class Line(NamedTuple):
    """One line of a text file.

    Parameters
    ----------
    number : int
        Its number, from 1.
    text : str
        The line with its line ending; where there is a problem, with U+FFFD in place of what could not be read.
    problem : DataError, optional
        Why the line cannot be used: bytes that are not UTF-8, or a NUL byte.
    """

    number: int
    text: str
    problem: DataError | None


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
        opened = open(path, "rb")  # noqa: SIM115 - closed by the `with` below
    except OSError as error:
        raise file_error(path, error) from error
    except ValueError as error:  # a path that holds a NUL, or what no file name can be encoded as
        raise DataError(f"is not a usable path ({error})", where=repr(str(path))) from error
    try:
        with opened as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError("is not a regular file, which is needed as it is read more than once", where=str(path))
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


def read_lines(path: str | Path) -> Iterator[Line]:
    r"""Yield the lines of a text file; a byte-order mark at its start is left out.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.

    Returns
    -------
    iterator of Line
        Each with its line ending. A line that is not UTF-8 or holds a NUL comes with its problem.

    Raises
    ------
    DataError
        As `open_bytes`; also an empty file, UTF-16, a zip archive, a line longer than 64 MiB.
    """
    offset = 0
    number = 0
    with open_bytes(path) as file:
        for number, raw in enumerate(iter(partial(file.readline, MAX_LINE_BYTES + 1), b""), start=1):
            where = f"{path}:{number}"
            if len(raw) > MAX_LINE_BYTES:
                raise DataError(
                    f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB",
                    where=where,
                    remedy="Check that this is a text file with one row a line",
                )
            if number == 1:
                _refuse_other_formats(raw, path)
            skipped = len(_BOM) if number == 1 and raw.startswith(_BOM) else 0
            try:
                line = Line(number, decode(raw[skipped:], where, offset + skipped), None)
            except DataError as problem:
                text = raw[skipped:].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
                line = Line(number, text, problem)
            yield line
            offset += len(raw)
    if number == 0:
        raise DataError("the file is empty", where=str(path))


def read_text(path: str | Path, max_bytes: int) -> str:
    """Return a whole text file; a byte-order mark at its start is left out.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    max_bytes : int
        The most bytes of text that are accepted.

    Returns
    -------
    str
        The text, with its line endings as they are.

    Raises
    ------
    DataError
        As `open_bytes`; also a text that is too large, not UTF-8 or holds a NUL.
    """
    with open_bytes(path) as file:
        raw = file.read(max_bytes + 1)
    if len(raw) > max_bytes:
        raise DataError(f"is larger than the {max_bytes:,} bytes allowed here", where=str(path))
    return decode_file(raw, path)


def decode_file(raw: bytes, path: str | Path) -> str:
    """Return the text of a whole file's bytes; a byte-order mark at its start is left out.

    Parameters
    ----------
    raw : bytes
        All bytes of the file.
    path : str or Path
        The file, for the error.

    Returns
    -------
    str
        The text, with its line endings as they are.

    Raises
    ------
    DataError
        Bytes that are not UTF-8 or a NUL; names the file, the line and the offset.
    """
    skipped = len(_BOM) if raw.startswith(_BOM) else 0
    try:
        return decode(raw[skipped:], str(path), skipped)
    except DataError:
        _refuse_other_formats(raw, path)
        start = skipped
        for number, line in enumerate(raw[skipped:].split(b"\n"), start=1):
            decode(line, f"{path}:{number}", start)
            start += len(line) + 1
        raise  # the whole is bad only where a line is; kept for the type checker


def decode(raw: bytes, where: str, offset: int = 0) -> str:
    """Return bytes as text.

    Parameters
    ----------
    raw : bytes
        UTF-8.
    where : str
        ``file:line`` or the file, for the error.
    offset : int
        Bytes in the file before `raw`, for the error.

    Returns
    -------
    str
        The text.

    Raises
    ------
    DataError
        Bytes that are not UTF-8, or a NUL byte.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"byte 0x{raw[error.start]:02x} at offset {offset + error.start} (byte {error.start + 1} of the line) "
            f"is not valid UTF-8",
            where=where,
            remedy=_TO_UTF8,
        ) from error
    if "\0" in text:
        at = raw.index(0)
        raise DataError(
            f"NUL byte at offset {offset + at} (byte {at + 1} of the line)",
            where=where,
            remedy="The file is binary, UTF-16 or damaged; save it as UTF-8 text",
        )
    return text


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


def _refuse_other_formats(head: bytes, path: str | Path) -> None:
    """Raise for the beginnings of files that people mistake for UTF-8 text."""
    for magic, (what, remedy) in _NOT_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"is {what}", where=str(path), remedy=remedy)
