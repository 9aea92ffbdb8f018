"""A text of any length in blocks that fit into memory: cut at line ends, so that a word is never cut in two."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rnncli.data.compressed_files import open_bytes
from rnncli.data.text_files import (
    MAX_RATIO,
    UNPACKED_FREELY,
    decode,
    decode_file,
    read_lines,
    unpacks_to_too_much,
)
from rnncli.errors import DataError

BLOCK_BYTES = 2**18


class Block(NamedTuple):
    """A piece of a text.

    Parameters
    ----------
    text : str
        Its characters.
    ends : bool
        Whether a document ends with it.
    """

    text: str
    ends: bool


def read_blocks(path: str | Path, block_bytes: int = BLOCK_BYTES) -> Iterator[str]:
    """Yield a text file in pieces that make up the whole.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    block_bytes : int
        Bytes of a piece; twice as many at most.

    Returns
    -------
    iterator of str
        Each ends with a line where a line ends in it, else with white space where there is any. None is empty.

    Raises
    ------
    DataError
        No such file or damaged, bytes that are not UTF-8, a NUL, or a compressed file that unpacks to more than 200
        times its size.
    """
    offset, line = 0, 1
    with open_bytes(path) as file:
        most = max(UNPACKED_FREELY, MAX_RATIO * os.stat(path).st_size)
        raw = file.read(block_bytes)
        while raw:
            more = file.read(block_bytes)
            cut = _last_cut(raw) if more else len(raw)
            text = _decode(raw[:cut], path, offset, line)
            if offset + cut > most:
                raise unpacks_to_too_much(path)
            offset, line = offset + cut, line + raw.count(b"\n", 0, cut)
            raw = raw[cut:] + more
            if text:
                yield text


def document_blocks(path: str | Path, boundary: str | None) -> Iterator[Block]:
    """Yield a text file as blocks that know where documents end.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    boundary : {"file", "blank_line", "line"} or None
        What ends a document; the end of the file always does. Of "blank_line" and "line" the boundary itself is left
        out, and so are documents of white space alone.

    Returns
    -------
    iterator of Block
        In order.

    Raises
    ------
    DataError
        As :func:`read_blocks`; with "blank_line" and "line" also as :func:`rnncli.data.text_files.read_lines`.
    """
    if boundary in (None, "file"):
        yield from _with_end(read_blocks(path))
        return
    document: list[str] = []
    for line in read_lines(path):
        if line.problem is not None:
            raise line.problem
        text = line.text.rstrip("\r\n")
        if text.strip():
            document.append(text)
        if document and (boundary == "line" or not text.strip()):
            yield Block("\n".join(document), True)
            document = []
    if document:
        yield Block("\n".join(document), True)


def part_of(blocks: Iterable[Block], start: int, stop: int | None) -> Iterator[Block]:
    """Yield the blocks between two places of a text.

    Parameters
    ----------
    blocks : iterable of Block
        The whole text.
    start, stop : int
        Characters of it, from 0; None for the end.

    Returns
    -------
    iterator of Block
        A block that lies across a place is cut there; a document that does ends there.
    """
    at = 0
    for block in blocks:
        end = at + len(block.text)
        first, last = max(start - at, 0), len(block.text) if stop is None else min(stop - at, len(block.text))
        if first < last:
            yield Block(block.text[first:last], block.ends or (stop is not None and end >= stop))
        at = end
        if stop is not None and at >= stop:
            return


def _with_end(texts: Iterable[str]) -> Iterator[Block]:
    """Yield texts as blocks of one document."""
    before = None
    for text in texts:
        if before is not None:
            yield Block(before, False)
        before = text
    if before is not None:
        yield Block(before, True)


def _last_cut(raw: bytes) -> int:
    """Return where to cut: after the last line end, else after the last space, else before an unfinished character."""
    for end in (b"\n", b" "):
        if (place := raw.rfind(end)) >= 0:
            return place + 1
    place = len(raw)
    while place > max(len(raw) - 4, 0) and raw[place - 1] & 0xC0 == 0x80:
        place -= 1
    return max(place - 1, 0) if raw[place - 1] >= 0xC0 else len(raw)


def _decode(raw: bytes, path: str | Path, offset: int, line: int) -> str:
    """Return a piece of a file as text."""
    if offset == 0:
        return decode_file(raw, path)
    try:
        return decode(raw, str(path), offset)
    except DataError:
        for number, text in enumerate(raw.split(b"\n"), start=line):
            decode(text, f"{path}:{number}", offset)
            offset += len(text) + 1
        raise  # the whole is bad only where a line is; kept for the type checker
