r"""Rows of comma- or tab-separated values with a header line that names the columns.

csv is what spreadsheets and Python's csv module write: a field that holds a comma, a quote or a line break stands in
double quotes, a quote inside is doubled. tsv is plain: every tab separates, every line is a row, and a double quote is
a character like any other, so nothing can be quoted. Blank lines are passed over.
"""

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rnncli.data.readers.columns import no_such_column, usable_label
from rnncli.data.rows import OnBad, Row, report_bad
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import DataError

# The csv module's own limit of 131,072 characters is less than a long document; no limit would let one stray quote
# swallow a large file into a single field.
MAX_FIELD_CHARS = 16 * 2**20

_SEPARATORS = {",": ("csv", "comma"), "\t": ("tsv", "tab"), ";": (None, "semicolon")}


def read_csv(
    path: str | Path,
    text: str = "text",
    label: str = "label",
    skip_labels: Collection[str] = (),
    group_by: str | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Row]:
    """Yield the rows of a csv file.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    text, label : str
        Names of the columns that hold the text and the label.
    skip_labels : collection of str
        Rows with one of these labels are left out.
    group_by : str, optional
        Name of the column that holds the group; a row where it is empty has none.
    on_bad : callable, optional
        Takes the error of each bad row, and reading goes on; None raises it.

    Returns
    -------
    iterator of Row
        In the order of the file; `where` is the line on which a row begins.

    Raises
    ------
    DataError
        An unreadable file, a header without a named column; without `on_bad` also a row with more or fewer fields
        than the header, misplaced quotes, an empty label, bytes that are not UTF-8.
    """
    return _read(path, ",", text, label, skip_labels, group_by, on_bad)


def read_tsv(
    path: str | Path,
    text: str = "text",
    label: str = "label",
    skip_labels: Collection[str] = (),
    group_by: str | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Row]:
    """Yield the rows of a tsv file; nothing in it is quoted.

    Parameters
    ----------
    path, text, label, skip_labels, group_by, on_bad
        As for `read_csv`.

    Returns
    -------
    iterator of Row
        In the order of the file.

    Raises
    ------
    DataError
        As `read_csv`.
    """
    return _read(path, "\t", text, label, skip_labels, group_by, on_bad)


def _read(
    path: str | Path,
    delimiter: str,
    text: str,
    label: str,
    skip_labels: Collection[str],
    group_by: str | None,
    on_bad: OnBad | None,
) -> Iterator[Row]:
    """Yield the rows of either format."""
    records = delimited_records(read_lines(path), path, delimiter)
    header_where, header = next(records, (f"{path}:1", []))
    if isinstance(header, DataError):
        raise header
    text_at = column_at(header, text, "text", header_where, delimiter)
    label_at = column_at(header, label, "label", header_where, delimiter)
    group_at = None if group_by is None else column_at(header, group_by, "data.group_by", header_where, delimiter)
    skipped = frozenset(skip_labels)
    for where, fields in records:
        try:
            if isinstance(fields, DataError):
                raise fields
            if len(fields) != len(header):
                raise wrong_number(where, len(fields), len(header), delimiter)
            name = usable_label(fields[label_at], where)
        except DataError as error:
            report_bad(error, on_bad)
            continue
        if name not in skipped:
            yield Row(fields[text_at], name, where, None if group_at is None else fields[group_at] or None)


def readable_records(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Yield the records of some lines, passing over what cannot be read: that is for the readers to report.

    Parameters
    ----------
    lines : iterable of str
        Of a file.
    delimiter : str
        A character.

    Yields
    ------
    list of str
        The fields of a record that is not blank.
    """
    reader = _reader(lines, delimiter, strict=False)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            continue
        if fields:
            yield fields


def delimited_records(
    lines: Iterable[Line], path: str | Path, delimiter: str
) -> Iterator[tuple[str, list[str] | DataError]]:
    """Yield the records of a file, the header first.

    Parameters
    ----------
    lines : iterable of Line
        Of the file.
    path : str or Path
        What to call it in errors.
    delimiter : str
        A comma or a tab.

    Yields
    ------
    where : str
        ``file:line`` of the beginning of a record that is not blank.
    fields : list of str or DataError
        What it holds, or what is wrong with it.
    """
    problems: list[DataError] = []

    def texts() -> Iterator[str]:
        for line in lines:
            if line.problem is not None:
                problems.append(line.problem)
            yield line.text

    reader = _reader(texts(), delimiter, strict=True)
    while True:
        first = reader.line_num + 1
        where = f"{path}:{first}"
        problems.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield where, problems[0] if problems else _csv_error(str(error), where, first, reader.line_num)
            continue
        if problems:
            yield where, problems[0]
        elif fields:
            yield where, fields


def column_at(header: Sequence[str], name: str, key: str, where: str, delimiter: str) -> int:
    """Return the position of a named column.

    Parameters
    ----------
    header : sequence of str
        The names of the columns.
    name : str
        One of them.
    key : str
        The config key, or the option of the command line, that names it.
    where : str
        ``file:line`` of the header.
    delimiter : str
        As in :func:`delimited_records`.

    Returns
    -------
    int
        From 0.

    Raises
    ------
    DataError
        If there is no such column, or several.
    """
    if header.count(name) == 1:
        return header.index(name)
    if name in header:
        raise DataError(f"there are {header.count(name)} columns {name!r}", where=where, remedy="Rename all but one")
    if len(header) == 1:
        for separator, (format_name, word) in _SEPARATORS.items():
            if separator != delimiter and separator in header[0]:
                say = f"Add --format {format_name}" if key.startswith("--") else f"Set format: {format_name}"
                remedy = say if format_name else "Save it with commas as csv"
                raise DataError(f"the header looks {word}-separated", where=where, remedy=remedy)
    raise no_such_column(where, name, key, header)


def wrong_number(where: str, got: int, wanted: int, delimiter: str) -> DataError:
    """Return the error for a row with more or fewer fields than the header.

    Parameters
    ----------
    where : str
        ``file:line``.
    got, wanted : int
        Fields of the row and of the header.
    delimiter : str
        As in :func:`delimited_records`.

    Returns
    -------
    DataError
        With what to do.
    """
    if delimiter == "\t":
        remedy = "A text in a tsv file can hold neither tabs nor line breaks: replace them, or use csv"
    else:
        remedy = "Put a text that holds commas or line breaks in double quotes"
    return DataError(f"the row has {got} field{'s' * (got != 1)}, the header {wanted}", where=where, remedy=remedy)


def _reader(lines: Iterable[str], delimiter: str, *, strict: bool) -> Any:
    """Return what splits lines into records; quotes are for all delimiters but tabs."""
    # The limit is the module's, not a reader's; a caller that has raised it further keeps its own.
    if csv.field_size_limit() < MAX_FIELD_CHARS:
        csv.field_size_limit(MAX_FIELD_CHARS)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=strict)


def _csv_error(message: str, where: str, first: int, last: int) -> DataError:
    """Say what the csv module's message means and what to do."""
    upto = f" (met on line {last})" if last > first else ""
    if "unexpected end of data" in message:
        return DataError(
            "a double quote is opened in this row and never closed",
            where=where,
            remedy="Close it, or double it if it belongs to the text",
        )
    if "expected after" in message:
        return DataError(
            f"a closing double quote is followed by something other than a comma{upto}",
            where=where,
            remedy='Double the quotes that belong to the text: "" for "',
        )
    if "field limit" in message:
        return DataError(
            f"a field is longer than {csv.field_size_limit():,} characters{upto}",
            where=where,
            remedy="Look for a double quote that is never closed, or split the text",
        )
    if "new-line character" in message:
        return DataError(
            "a carriage return stands in the row outside quotes",
            where=where,
            remedy="End lines with a line feed (tr '\\r' '\\n' < OLD > NEW), or quote the field in a csv file",
        )
    return DataError(f"cannot be read as a row ({message})", where=where)
