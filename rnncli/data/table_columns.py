"""Which column of a table is the text and which the label, told by their names and by what is in them."""

import json
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rnncli.data.readers.delimited import read_csv, read_tsv, readable_records
from rnncli.data.text_files import read_lines
from rnncli.errors import DataError

MOST_ROWS = 200_000  # that are looked at
MOST_VALUES = 5_000  # different ones that are counted in a column
MOST_LABELS = 200
LABEL_CHARACTERS = 60
FEW_ROWS = 20  # of which values need not come again and again in a column that is called a label
_TEXT_NAMES = re.compile(
    r"(?i)^(.*[_ ])?(text|sentence|review|content|body|comment|tweet|message|utterance|question|description|headline"
    r"|title|phrase|document|abstract|summary)s?([_ ]text)?$"
)
_LABEL_NAMES = re.compile(
    r"(?i)^(.*[_ ])?(label|class|category|sentiment|target|polarity|star|rating|score|topic|intent|emotion|genre|tag"
    r"|language|lang|spam|y)(s|es)?([_ ](name|text))?$"
)
_NUMBER = re.compile(r"[-+]?[0-9]*[.,]?[0-9]+")


@dataclass
class Column:
    """What is in a column.

    Attributes
    ----------
    name : str
        As the file has it.
    rows : int
        Rows in which it is filled.
    characters : int
        Of all its values together.
    values : Counter of str
        How often each value is there; None once there are more than ``MOST_VALUES``.
    words : bool
        Whether it may be a text: in JSON, strings only.
    """

    name: str
    rows: int = 0
    characters: int = 0
    values: Counter[str] | None = field(default_factory=Counter)
    words: bool = True

    def add(self, value: str) -> None:
        """Count a value."""
        self.rows += 1
        self.characters += len(value)
        if self.values is not None:
            self.values[value[: LABEL_CHARACTERS + 1]] += 1
            if len(self.values) > MOST_VALUES:
                self.values = None

    @property
    def mean_length(self) -> float:
        """Characters of a value."""
        return self.characters / max(self.rows, 1)

    @property
    def may_be_label(self) -> bool:
        """Whether it has few values that come again and again."""
        if self.values is None or not 2 <= len(self.values) <= MOST_LABELS:
            return False
        short = max(map(len, self.values)) <= LABEL_CHARACTERS
        return short and self.rows >= 2 * len(self.values)

    @property
    def may_be_group(self) -> bool:
        """Whether its values gather a few rows each, as authors or films do."""
        if self.values is None or len(self.values) < 10 or self.mean_length > LABEL_CHARACTERS:
            return False
        return 1.5 <= self.rows / len(self.values) <= self.rows / 10 and not all(map(_NUMBER.fullmatch, self.values))


def read_columns_of(path: Path, file_format: str) -> list[Column]:
    """Look at the columns of a file.

    Parameters
    ----------
    path : Path
        The file.
    file_format : {"csv", "tsv", "jsonl"}
        What :func:`rnncli.data.sight.look` has said.

    Returns
    -------
    list of Column
        In the order of the file.

    Raises
    ------
    DataError
        If a csv or tsv file begins with a row of data rather than with the names of its columns, or no row of it can
        be read.
    """
    if file_format == "jsonl":
        return _of_jsonl(path)
    records = readable_records((line.text for line in read_lines(path)), "," if file_format == "csv" else "\t")
    header = next(records)
    columns = [Column(name) for name in header]
    for row in islice(records, MOST_ROWS):
        if len(row) == len(columns):
            for column, value in zip(columns, row, strict=True):
                column.add(value)
    if _is_data(header, columns):
        raise _no_header(path, columns)
    if not columns[0].rows:  # whatever the reader says of its first row is why
        name = next(filter(None, header))
        next((read_csv if file_format == "csv" else read_tsv)(path, name, name), None)
    return columns


def text_columns(columns: list[Column]) -> list[str]:
    """Return the columns that may be the text, the likeliest first."""
    longest = max((column.mean_length for column in columns), default=0)
    found = [
        column
        for column in columns
        if column.name and column.words and (column.mean_length >= min(10, longest) or _TEXT_NAMES.match(column.name))
    ]

    def rank(column: Column) -> tuple[bool, float]:
        named = _TEXT_NAMES.match(column.name) and column.mean_length >= longest / 20
        return not named, -column.mean_length

    return [column.name for column in sorted(found, key=rank)]


def label_columns(columns: list[Column], text: str) -> tuple[list[str], bool]:
    """Return the columns that may be the label, the likeliest first, and whether that one can hardly be another."""
    found = [column for column in columns if column.name not in ("", text) and column.may_be_label]
    named = [column.name for column in found if _LABEL_NAMES.match(column.name)]
    others = [column.name for column in found if column.name not in named]
    if not found:  # one that is called so; where it is not fit to train on, that will be said
        named = [column.name for column in columns if column.name != text and _LABEL_NAMES.match(column.name)
                 and column.values is not None
                 and (len(column.values) == 1 or len(column.values) < column.rows < FEW_ROWS)]  # fmt: skip
    return [*named, *others], len(named) == 1 or len(found) == 1


def _of_jsonl(path: Path) -> list[Column]:
    columns: dict[str, Column] = {}
    for line in islice(read_lines(path), MOST_ROWS):
        try:
            row = json.loads(line.text)
        except (ValueError, RecursionError):
            continue  # for the reader to report
        for name, value in row.items() if isinstance(row, dict) else ():
            column = columns.setdefault(name, Column(name))
            if isinstance(value, str):
                column.add(value)
            elif isinstance(value, int):  # as a label, spelled as in JSON
                column.words = False
                column.add(json.dumps(value))
            elif value is not None:
                column.words, column.values = False, None
    return list(columns.values())


def _is_data(header: list[str], columns: list[Column]) -> bool:
    """Tell whether a first row does not name columns: a name is short, no number, and not a value of its column."""
    if any(len(name) > LABEL_CHARACTERS or _NUMBER.fullmatch(name) for name in header) or not any(header):
        return True

    def is_value(name: str, column: Column) -> bool:
        if column.values is None or _TEXT_NAMES.match(name) or _LABEL_NAMES.match(name):
            return False  # files with headers that were joined have such a name among their values
        return column.values[name] >= (2 if len(name) < 3 else 1)

    return any(map(is_value, header, columns))


def _no_header(path: Path, columns: list[Column]) -> DataError:
    """Return the error for a file whose columns have no names, with names that would do."""
    numbered = [
        Column(str(number), column.rows, column.characters, column.values) for number, column in enumerate(columns)
    ]
    text = max(numbered, key=lambda column: column.mean_length)
    labels = [column for column in numbered if column is not text and column.may_be_label]
    label = labels[0] if labels else None
    names = [
        "text" if column is text else "label" if column is label else f"column{int(column.name) + 1}"
        for column in numbered
    ]
    separator = "\t" if path.suffix == ".tsv" else ","
    named = separator.join(names)
    plain = path.suffix.lower() not in (".gz", ".bz2", ".xz")
    new = shlex.quote(f"{path.stem}-named{path.suffix}")
    command = f"Type: (echo '{named}'; cat {shlex.quote(str(path))}) > {new}"
    return DataError(
        "the first line is a row of data, not the names of the columns",
        where=f"{path}:1",
        remedy=command if plain else f"Put a first line before it, such as: {named}",
    )
