"""The folder tree of the Large Movie Review Dataset: one sub-folder per label, one ``.txt`` file per text.

``unsup`` (its unlabelled reviews), folders whose name begins with a dot and files that are not ``.txt`` are passed
over. Rows come label by label in the order of their names, and within a label by the number that a file name begins
with, so that the order is the same on every file system.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from rnncli.data.compressed_files import file_error
from rnncli.data.rows import OnBad, Row, report_bad
from rnncli.data.text_files import decode_file
from rnncli.errors import DataError

MAX_TEXT_BYTES = 16 * 2**20

_NUMBER = re.compile(r"[0-9]{1,18}")
_UNLABELLED = "unsup"
_IGNORED = "__MACOSX"


def read_aclimdb(path: str | Path, on_bad: OnBad | None = None) -> Iterator[Row]:
    """Yield the texts of a folder with one sub-folder per label.

    Parameters
    ----------
    path : str or Path
        The folder, such as ``data/aclImdb/train``.
    on_bad : callable, optional
        Takes the error of each bad file, and reading goes on; None raises it.

    Returns
    -------
    iterator of Row
        By label, then by number; `where` is the file.

    Raises
    ------
    DataError
        No such folder, no labels in it, a label without texts; without `on_bad` also a file that cannot be read, is
        not UTF-8, holds a NUL or is larger than 16 MiB.
    """
    folders = _label_folders(path)
    for label in sorted(folders):
        for name in folders[label]:
            file = os.path.join(path, label, name)
            try:
                text = _read(file)
            except DataError as error:
                report_bad(error, on_bad)
                continue
            yield Row(text, label, file)


def read_all_texts(path: str | Path) -> Iterator[str]:
    """Yield the texts of a folder whether they have a label or not.

    Parameters
    ----------
    path : str or Path
        As for :func:`text_paths`.

    Returns
    -------
    iterator of str
        In the order of :func:`text_paths`.

    Raises
    ------
    DataError
        As :func:`text_paths`, or a file that cannot be read, is not UTF-8, holds a NUL or is larger than 16 MiB.
    """
    for file in text_paths(path):
        yield _read(str(file))


def text_paths(path: str | Path) -> list[Path]:
    """Return the texts of a folder whether they have a label or not, in the same order on every system.

    Parameters
    ----------
    path : str or Path
        A folder that holds texts, such as ``data/aclImdb/train/unsup``, or one with sub-folders that do: the .txt files
        beside these are lists of addresses.

    Returns
    -------
    list of Path
        Sub-folder by sub-folder in the order of their names, and within one by number.

    Raises
    ------
    DataError
        No such folder, or no texts in it.
    """
    folders = sorted([*_subfolders(path), *([_UNLABELLED] if os.path.isdir(os.path.join(path, _UNLABELLED)) else [])])
    for name in sorted(folders, key=lambda name: name != "train"):  # rather than test, where there are both
        inside = os.path.join(path, name)
        if any(_texts(os.path.join(inside, deeper)) for deeper in _subfolders(inside)):
            raise DataError("its texts are two folders down", where=str(path), remedy=f"Did you mean {inside}?")
    found = {name: _texts(os.path.join(path, name)) for name in folders}
    if not any(found.values()):
        found = {"": _texts(str(path))}
    if not any(found.values()):
        raise DataError("there is no .txt file in the folder, nor in those inside it", where=str(path))
    return [Path(path, folder, name) for folder, names in found.items() for name in names]


def _read(file: str) -> str:
    """Return the text of one file; leaner than text_files.open_bytes, as there are tens of thousands."""
    try:
        with open(file, "rb", buffering=0) as opened:
            raw = opened.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise file_error(file, error) from error
    if len(raw) > MAX_TEXT_BYTES:
        raise DataError(f"is larger than the {MAX_TEXT_BYTES:,} bytes allowed", where=file)
    return decode_file(raw, file)


def _label_folders(path: str | Path) -> dict[str, list[str]]:
    """Return the names of the texts of each label."""
    labels = {name: _texts(os.path.join(path, name)) for name in _subfolders(path)}
    if not any(labels.values()):
        raise _no_labels(path)
    for name, texts in labels.items():
        if not name.isprintable() or name != name.strip():
            raise DataError(
                f"the sub-folder {name!a} is not a usable label", where=str(path), remedy="Rename or remove it"
            )
        if not texts:
            raise DataError(
                f"the sub-folder {name!r} would be a label but holds no .txt file",
                where=str(path),
                remedy="Unpack the data set again, or remove the folder",
            )
    return labels


def _subfolders(path: str | Path) -> list[str]:
    """Return the names of the sub-folders that may be labels."""
    try:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except NotADirectoryError as error:
        raise DataError(
            "is a file where a folder is expected", where=str(path), remedy="Unpack it and name the folder"
        ) from error
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise DataError(
                "there is no such folder",
                where=str(path),
                remedy="Correct the path, or fetch the film reviews with `rnncli data get imdb`",
            ) from error
        raise file_error(path, error) from error
    except ValueError as error:  # a path that holds a NUL
        raise DataError(f"is not a usable path ({error})", where=repr(str(path))) from error
    return [name for name in names if name not in (_UNLABELLED, _IGNORED) and not name.startswith(".")]


def _texts(folder: str) -> list[str]:
    """Return the names of the .txt files in a folder, in order."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith(".txt") and entry.is_file()]
    except OSError as error:
        raise file_error(folder, error) from error
    return sorted(names, key=_by_number)


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sort by the number a name begins with; names without one come last."""
    number = _NUMBER.match(name)
    return (number is None, int(number[0]) if number else 0, name)


def _no_labels(path: str | Path) -> DataError:
    """Return the error for a folder without labels, with the sub-folder that has them if there is one."""
    expected = "one sub-folder per label, such as pos and neg, with .txt files in it"
    for part in ("train", "test", "aclImdb"):
        inside = os.path.join(path, part)
        if os.path.isdir(inside) and any(_texts(os.path.join(inside, name)) for name in _subfolders(inside)):
            return DataError(f"expected {expected}", where=str(path), remedy=f"Did you mean {inside}?")
    return DataError(f"expected {expected}; there is none", where=str(path))
