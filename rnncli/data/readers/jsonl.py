"""Rows of JSON objects, one a line. Lines of white space alone are passed over."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rnncli.data.readers.columns import no_such_column, shown, usable_label
from rnncli.data.rows import OnBad, Row, report_bad
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import DataError

_JSON_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}


def read_jsonl(
    path: str | Path,
    text: str = "text",
    label: str = "label",
    skip_labels: Collection[str] = (),
    group_by: str | None = None,
    on_bad: OnBad | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file of JSON objects, one a line.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    text, label : str
        The keys that hold the text, a string, and the label: a string, an integer, or true or false, which become
        the labels ``1``, ``true`` and so on, spelled as in JSON.
    skip_labels : collection of str
        Rows with one of these labels are left out.
    group_by : str, optional
        The key that holds the group, of the same types as a label; a row where it is null or empty has none.
    on_bad : callable, optional
        Takes the error of each bad row, and reading goes on; None raises it.

    Returns
    -------
    iterator of Row
        In the order of the file.

    Raises
    ------
    DataError
        An unreadable or empty file; without `on_bad` also a line that is not one JSON object, NaN or Infinity, a key
        that is twice there or missing, a value of another type, half of a surrogate pair or a NUL in a string.
    """
    skipped = frozenset(skip_labels)
    for line in read_lines(path):
        if not line.text.strip():
            continue
        where = f"{path}:{line.number}"
        try:
            values = parse_object(line, where)
            content = string_at(values, text, "text", where)
            name = usable_label(_name(values, label, "label", where), where)
            group = None
            if group_by is not None and values.get(group_by, "") is not None:
                group = _name(values, group_by, "data.group_by", where) or None
        except DataError as error:
            report_bad(error, on_bad)
            continue
        if name not in skipped:
            yield Row(content, name, where, group)


def parse_object(line: Line, where: str) -> dict[str, Any]:
    """Return the JSON object on a line.

    Parameters
    ----------
    line : Line
        Of the file.
    where : str
        ``file:line``.

    Returns
    -------
    dict
        Its keys and values.

    Raises
    ------
    DataError
        If the line is not one JSON object, or has a key twice, NaN or Infinity.
    """
    if line.problem is not None:
        raise line.problem
    try:
        values = json.loads(line.text.rstrip("\r\n"), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except json.JSONDecodeError as error:
        remedy = "Write one JSON object a line, with nothing around it"
        if line.text.lstrip().startswith("["):
            remedy = "The file looks like one JSON array; write its elements one a line, without commas between"
        raise DataError(f"column {error.colno} is not valid JSON ({error.msg})", where=where, remedy=remedy) from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # from the two functions below, a number of 5,000 digits, deep nesting
        raise DataError(f"the JSON cannot be used ({error})", where=where) from error
    if not isinstance(values, dict):
        raise DataError(
            f"the line is {_json_name(values)}, not an object",
            where=where,
            remedy='Write rows such as {"text": "...", "label": "..."}',
        )
    return values


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of an object's pairs; of two values for one key there is no telling which was meant."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:60]!a} is there twice")
    return values


def _no_constants(name: str) -> Any:
    """Refuse NaN and the infinities, which Python's reader accepts and JSON does not have."""
    raise ValueError(f"{name} is not JSON; write null")


def string_at(values: dict[str, Any], name: str, key: str, where: str) -> str:
    """Return a string that can be written as UTF-8.

    Parameters
    ----------
    values : dict
        From :func:`parse_object`.
    name : str
        The key that holds it.
    key : str
        The config key, or the option of the command line, that names it.
    where : str
        ``file:line``.

    Returns
    -------
    str
        The string.

    Raises
    ------
    DataError
        If there is no such key, its value is no string, or holds a NUL or half of a surrogate pair.
    """
    value = _value(values, name, key, where)
    if not isinstance(value, str):
        raise DataError(f"{shown(name)} is {_json_name(value)}, not a string", where=where)
    return _clean(value, name, where)


def _name(values: dict[str, Any], name: str, key: str, where: str) -> str:
    """Return a label or a group as a string."""
    value = _value(values, name, key, where)
    if isinstance(value, str):
        return _clean(value, name, where)
    if isinstance(value, int):
        return json.dumps(value)
    raise DataError(f"{shown(name)} is {_json_name(value)}, not a string, an integer, true or false", where=where)


def _value(values: dict[str, Any], name: str, key: str, where: str) -> Any:
    """Return the value of a key that has to be there."""
    if name not in values:
        raise no_such_column(where, name, key, values)
    return values[name]


def _clean(value: str, name: str, where: str) -> str:
    """Return the string unless an escape put into it what no UTF-8 text file could hold."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"\\u{ord(value[error.start]):04x}"
        raise DataError(
            f"{shown(name)} holds {code}, half of a surrogate pair",
            where=where,
            remedy="Write the character itself, or both halves",
        ) from error
    if "\0" in value:
        raise DataError(f"{shown(name)} holds a NUL character (\\u0000)", where=where, remedy="Remove it")
    return value


def _json_name(value: Any) -> str:
    """Return what JSON calls a value."""
    return _JSON_NAMES.get(type(value), "a number")
