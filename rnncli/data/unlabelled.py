"""Rows to predict on: lines, rows of csv, tsv and jsonl, sentences of words; none needs a label."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.data.readers.delimited import column_at, delimited_records, wrong_number
from rnncli.data.readers.jsonl import parse_object, string_at
from rnncli.data.tagging.columns import words_in_columns
from rnncli.data.tagging.conllu import words_of_block
from rnncli.data.tagging.sentences import blocks_of_lines
from rnncli.data.text_files import Line
from rnncli.errors import DataError


class Unlabelled(NamedTuple):
    """A row to predict on.

    Parameters
    ----------
    text : str
        The text; of a sentence of words these with spaces between.
    fields : dict
        The row as the file has it, the text among it; of a format without columns empty.
    words : tuple of str or None
        The words, where the file says what they are.
    lines : tuple of str
        Of CoNLL-U, the lines of the sentence with its comments, without line ends.
    """

    text: str
    fields: dict[str, Any]
    words: tuple[str, ...] | None = None
    lines: tuple[str, ...] = ()


Lines = Iterable[Line]
DEFAULT_COLUMN = "text"
OPTION = "--column"  # what names the column, for errors


def read_unlabelled(
    lines: Lines,
    path: str | Path,
    file_format: str,
    column: str = DEFAULT_COLUMN,
    keys: dict[str, Any] | None = None,
    option: str = OPTION,
) -> Iterator[Unlabelled]:
    """Yield the rows among lines.

    Parameters
    ----------
    lines : iterable of Line
        Of a file.
    path : str or Path
        What to call it in errors.
    file_format : {"text", "csv", "tsv", "jsonl", "conllu", "columns"}
        Text is a row a line, blank ones too; the others are as in a config.
    column : str
        Of csv, tsv and jsonl: what holds the text.
    keys : dict, optional
        Of columns: ``word``, ``separator`` and ``comment``, as in a config.
    option : str
        What names the column, for errors: an option of the command line, or a key of the config.

    Yields
    ------
    Unlabelled
        In order.

    Raises
    ------
    DataError
        At the first row that cannot be used: bytes that are not UTF-8, a NUL, what is wrong in a file of that format.
    """
    readers: dict[str, Callable[..., Iterator[Unlabelled]]] = {
        "text": _text,
        "csv": partial(_delimited, column=column, option=option, delimiter=","),
        "tsv": partial(_delimited, column=column, option=option, delimiter="\t"),
        "jsonl": partial(_jsonl, column=column, option=option),
        "conllu": _conllu,
        "columns": partial(_columns, **(keys or {})),
    }
    yield from readers[file_format](lines, path)


def _text(lines: Lines, path: str | Path) -> Iterator[Unlabelled]:
    for line in lines:
        if line.problem is not None:
            raise line.problem
        yield Unlabelled(line.text.rstrip("\r\n"), {})


def _delimited(lines: Lines, path: str | Path, column: str, option: str, delimiter: str) -> Iterator[Unlabelled]:
    records = delimited_records(lines, path, delimiter)
    where, header = next(records, (f"{path}:1", None))
    if header is None:
        return  # an empty file: no rows
    if isinstance(header, DataError):
        raise header
    text_at = column_at(header, column, option, where, delimiter)
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"there are several columns {twice!r}", where=where, remedy="Rename all but one")
    for where, fields in records:
        if isinstance(fields, DataError):
            raise fields
        if len(fields) != len(header):
            raise wrong_number(where, len(fields), len(header), delimiter)
        yield Unlabelled(fields[text_at], dict(zip(header, fields, strict=True)))


def _jsonl(lines: Lines, path: str | Path, column: str, option: str) -> Iterator[Unlabelled]:
    for line in lines:
        if line.text.strip():
            where = f"{path}:{line.number}"
            values = parse_object(line, where)
            yield Unlabelled(string_at(values, column, option, where), values)


def _conllu(lines: Lines, path: str | Path) -> Iterator[Unlabelled]:
    for block in blocks_of_lines(lines):
        words = tuple(fields[1] for _, _, fields in words_of_block(block, path))
        if words:
            yield Unlabelled(" ".join(words), {}, words, tuple(line.text for line in block))


def _columns(lines: Lines, path: str | Path, **keys: Any) -> Iterator[Unlabelled]:
    for block in blocks_of_lines(lines):
        words = tuple(words_in_columns(block, path, **keys))
        if words:
            yield Unlabelled(" ".join(words), {}, words)
