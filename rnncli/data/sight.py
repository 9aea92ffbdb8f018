"""What kind of data a file or folder holds, told by what is in it more than by its name."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rnncli.data.readers.delimited import delimited_records, readable_records
from rnncli.data.text_files import read_lines
from rnncli.errors import DataError

HEAD = 400  # lines that are looked at
MOST_TAGS = 200
FEWEST_AGREEING = 0.95  # of rows with as many fields as the header
TASK_OF = {
    **dict.fromkeys(("csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb"), "classification"),
    **dict.fromkeys(("conllu", "columns"), "tagging"),
    "text": "language_model",
}

_COMPRESSED = (".gz", ".bz2", ".xz")
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_CONLLU_ID = re.compile(r"[0-9]+(?:[-.][0-9]+)?$")
_UNUSED = "unsup"  # IMDB's texts without labels


class Sight(NamedTuple):
    """What was seen.

    Attributes
    ----------
    format : str
        As ``data.train.format`` takes it.
    path : Path
        Where the training data is: the path that was given, or a folder below it.
    why : str
        What shows the format, to follow "is read as csv: ".
    """

    format: str
    path: Path
    why: str


def look(path: Path) -> Sight:
    """Tell the format of a file or folder.

    Parameters
    ----------
    path : Path
        What the user has.

    Returns
    -------
    Sight
        The format that its content speaks for.

    Raises
    ------
    DataError
        If it cannot be read, is empty or binary, or is of a kind that first has to be changed: what to type is said.
    """
    if path.is_dir():
        return _look_at_folder(path)
    if path.suffix.lower() == ".npz":
        if (path.parent / "imdb_word_index.json").is_file():
            return Sight("keras_imdb", path, "it is an .npz beside imdb_word_index.json")
        raise DataError("needs imdb_word_index.json beside it", where=str(path), remedy="Fetch that of Keras's imdb")
    lines = []
    for line in islice(read_lines(path), HEAD):
        if line.problem is not None:
            raise line.problem
        lines.append(line.text.rstrip("\r\n"))
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise DataError("there is no text in the first lines", where=str(path))
    return (
        _as_json(path, filled)
        or _as_fasttext(path, filled)
        or _as_conllu(path, filled)
        or _as_columns(path, lines)
        or _as_delimited(path, filled)
        or Sight("text", path, "its lines follow no other pattern")
    )


def bare_suffix(path: Path) -> str:
    """Return the ending of a file's name before that of a compression: ``.csv`` of ``a.csv.gz``."""
    name = path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path
    return name.suffix.lower()


def bare_stem(path: Path) -> str:
    """Return a file's name without its endings: ``a`` of ``a.csv.gz``."""
    return path.with_suffix("").stem if path.suffix.lower() in _COMPRESSED else path.stem


def _look_at_folder(path: Path) -> Sight:
    if sum(_has_texts(inside) for inside in _folders(path)) >= 2:
        return Sight("aclimdb", path, "its sub-folders hold .txt files")
    if sum(_has_texts(inside) for inside in _folders(path / "train")) >= 2:
        return Sight("aclimdb", path / "train", "the sub-folders of train hold .txt files")
    if any(path.rglob("*.txt*")):
        return Sight("text", path, "it is a folder of .txt files")
    raise DataError(
        "holds neither sub-folders of .txt files, one for each label, nor .txt files",
        where=str(path),
        remedy="Name a file in it",
    )


def _folders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return [inside for inside in path.iterdir() if inside.is_dir() and inside.name != _UNUSED]


def _has_texts(folder: Path) -> bool:
    return next(folder.glob("*.txt"), None) is not None


def _as_json(path: Path, filled: Sequence[str]) -> Sight | None:
    first = filled[0].lstrip()
    if first.startswith("[") and bare_suffix(path) == ".json":
        raise DataError(
            "is one JSON array; rows are read from one object a line",
            where=str(path),
            remedy=f"Type: python -c 'import json, sys; [print(json.dumps(row)) for row in json.load(sys.stdin)]' "
            f"< {shlex.quote(str(path))} > {shlex.quote(bare_stem(path) + '.jsonl')}",
        )
    if not first.startswith("{"):
        return None
    try:
        whole = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        whole = False
    return Sight("jsonl", path, "its lines are JSON objects") if whole else None


def _as_fasttext(path: Path, filled: Sequence[str]) -> Sight | None:
    labelled = sum("__label__" in line for line in filled)
    return Sight("fasttext", path, "its lines have __label__") if labelled > len(filled) / 2 else None


def _as_conllu(path: Path, filled: Sequence[str]) -> Sight | None:
    rows = [line.split("\t") for line in filled if not line.startswith("#")]
    if rows and all(len(row) == 10 and _CONLLU_ID.match(row[0]) for row in rows):
        return Sight("conllu", path, "its lines have the ten columns of CoNLL-U")
    return None


def _as_columns(path: Path, lines: Sequence[str]) -> Sight | None:
    words = [line.split() for line in lines if line.strip() and not line.startswith("-DOCSTART-")]
    counts = Counter(map(len, words))
    gaps = sum(not line.strip() for line in lines[:-1])
    if len(counts) != 1 or not 2 <= len(words[0]) <= 20 or not gaps or len(words) <= 1.5 * gaps:
        return None
    first, last = ({row[place] for row in words} for place in (0, -1))
    if len(last) < min(len(first), MOST_TAGS):  # else they may be lines of a text that are equally long
        return Sight("columns", path, f"its lines have {len(words[0])} columns, with blank lines between sentences")
    return None


def _as_delimited(path: Path, filled: Sequence[str]) -> Sight | None:
    named = {".csv": ",", ".tsv": "\t", ".tab": "\t"}.get(bare_suffix(path))
    for separator in sorted(_SEPARATORS, key=lambda one: one != named):
        rows = list(readable_records(filled, separator))  # a quoted field may go on beyond the lines looked at
        if not rows and separator == named:
            raise _why_unreadable(path, separator)
        if not rows:
            continue
        agreeing = sum(len(row) == len(rows[0]) for row in rows)
        if len(rows[0]) < 2 or len(rows) < 2 or (agreeing < FEWEST_AGREEING * len(rows) and separator != named):
            continue
        if separator in ";|":
            old, new = shlex.quote(str(path)), shlex.quote(f"{bare_stem(path)}-commas.csv")
            raise DataError(
                f"is separated by {_SEPARATORS[separator]}; rows are read from csv, with commas, and tsv, with tabs",
                where=str(path),
                remedy="Type: python -c 'import csv, sys; csv.writer(sys.stdout).writerows(csv.reader(sys.stdin, "
                f'delimiter="{separator}"))\' < {old} > {new}',
            )
        kind = "csv" if separator == "," else "tsv"
        return Sight(kind, path, f"its rows have {len(rows[0])} fields with {_SEPARATORS[separator]} between")
    return None


def _why_unreadable(path: Path, separator: str) -> DataError:
    """Return what the reader says of a file that is named like a table and has no row that can be read."""
    records = delimited_records(read_lines(path), path, separator)
    return next(fields for _, fields in records if isinstance(fields, DataError))
