"""Lines and texts out of files: UTF-8 or refused, never a traceback.

Lines end at a line feed. Line numbers start at 1, byte offsets at 0; in a compressed file both count in the text that
is inside.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from rnncli.data.compressed_files import open_bytes
from rnncli.errors import DataError

# A line past this is not a text to train on but a binary file, or an archive made to fill the memory.
MAX_LINE_BYTES = 64 * 2**20
# Texts are compressed to a third or a tenth. What unpacks to more than both of these was made to take time or memory.
UNPACKED_FREELY = 16 * 2**20
MAX_RATIO = 200

_BOM = b"\xef\xbb\xbf"
_TO_UTF8 = "Save the file as UTF-8 (a Latin-1 file: iconv -f latin1 -t utf-8 OLD > NEW)"
_NOT_TEXT = {
    b"\xff\xfe": ("UTF-16 text, not UTF-8", "Convert it: iconv -f utf-16 -t utf-8 OLD > NEW"),
    b"\xfe\xff": ("UTF-16 text, not UTF-8", "Convert it: iconv -f utf-16 -t utf-8 OLD > NEW"),
    b"\x1f\x8b": ("gzip data, not text", "Unpack it on the way: gunzip -c"),  # from a pipe, or packed twice
    b"PK\x03\x04": ("a zip archive, not a text file", "Unpack it and name the text file inside"),
}


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
        As `open_bytes`; also an empty file, UTF-16, a zip archive, a line longer than 64 MiB, a compressed file that
        unpacks to more than 200 times its size.
    """
    empty = True
    for line in any_lines(path):
        empty = False
        yield line
    if empty:
        raise DataError("the file is empty", where=str(path))


def any_lines(path: str | Path) -> Iterator[Line]:
    """Yield what :func:`read_lines` does, of an empty file nothing."""
    with open_bytes(path) as file:
        yield from lines_of(file, path, max(UNPACKED_FREELY, MAX_RATIO * os.stat(path).st_size))


def lines_of(file: IO[bytes], path: str | Path, most: int | None = None) -> Iterator[Line]:
    """Yield the lines of an open file; a byte-order mark at its start is left out.

    Parameters
    ----------
    file : binary file
        At its beginning.
    path : str or Path
        What to call it in errors.
    most : int, optional
        Bytes beyond which a compressed file was made to take time or memory.

    Returns
    -------
    iterator of Line
        As of :func:`read_lines`; of an empty file none.

    Raises
    ------
    DataError
        As :func:`read_lines`, but for an empty file.
    """
    offset = 0
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
        if most is not None and offset > most:
            raise unpacks_to_too_much(path)


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


def unpacks_to_too_much(path: str | Path) -> DataError:
    """Return the error for a compressed file that was made to take time or memory."""
    return DataError(
        f"unpacks to more than {MAX_RATIO} times its size",
        where=str(path),
        remedy="If that is meant, unpack it yourself and name the file inside",
    )


def _refuse_other_formats(head: bytes, path: str | Path) -> None:
    """Raise for the beginnings of files that people mistake for UTF-8 text."""
    for magic, (what, remedy) in _NOT_TEXT.items():
        if head.startswith(magic):
            raise DataError(f"is {what}", where=str(path), remedy=remedy)
