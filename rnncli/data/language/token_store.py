"""Encoded texts as files of token ids: written while they are encoded, checked, and mapped into memory.

An entry of the cache is a folder with one file of ids per part and a ``corpus.json``, which has their digests and
whatever else is needed. It is made under another name and renamed when it is whole.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from rnncli.errors import DataError, elsewhere, unwritable

# Raised whenever an entry is laid out in another way.
STORE_VERSION = 1
# A folder in which nothing has been written for so long is no longer being written.
UNFINISHED_SECONDS = 600

_PREFIX = ".writing-corpus-"
_FACTS = "corpus.json"
_CHUNK = 2**20
_MAX_FACTS = 512 * 2**20


class Writer:
    """Takes token ids piece by piece and writes them in the smallest type that holds them.

    Parameters
    ----------
    file : binary file
        Open for writing.
    ids : int
        Different ids there are.
    """

    def __init__(self, file: IO[bytes], ids: int) -> None:
        self.dtype = smallest_type(ids)
        self.tokens = 0
        self._file, self._hasher = file, hashlib.blake2b(digest_size=16)

    def write(self, ids: npt.ArrayLike) -> None:
        """Add ids at the end.

        Parameters
        ----------
        ids : array-like of int, shape (n,)
            From 0 to one less than there are.
        """
        raw = np.ascontiguousarray(ids, dtype=self.dtype).tobytes()
        self._file.write(raw)
        self._hasher.update(raw)
        self.tokens += len(raw) // self.dtype.itemsize

    def facts(self) -> dict[str, Any]:
        """Return what :func:`open_entry` needs to know of the file: type, length and digest."""
        return {"dtype": self.dtype.str, "tokens": self.tokens, "digest": self._hasher.hexdigest()}


def smallest_type(ids: int) -> np.dtype[Any]:
    """Return the smallest unsigned integer type for so many different ids, little-endian on every machine."""
    for name in ("<u1", "<u2"):
        if ids <= np.iinfo(name).max + 1:
            return np.dtype(name)
    return np.dtype("<u4")


def make_entry(path: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Make an entry of the cache, whole or not at all; one that is there, and of no use, is replaced.

    Parameters
    ----------
    path : Path
        The folder it becomes.
    fill : callable
        Takes an empty folder and writes the files of the parts into it; returns the facts, ready for JSON, with
        ``parts``: the name of each file -> :meth:`Writer.facts`.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_unfinished(path.parent)
        temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
        facts = {"version": STORE_VERSION, **fill(temporary)}
        (temporary / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        # Another process may be making the same entry; whichever is renamed last stays, and both are whole.
        with contextlib.suppress(OSError):
            os.replace(path, temporary / "old")
        os.replace(temporary, path)
        shutil.rmtree(path / "old", ignore_errors=True)
        temporary = None
    except OSError as error:
        where = str(error.filename or path.parent)
        raise DataError(
            f"the encoded text {unwritable(where, error)}", where=where, remedy=elsewhere(error, "write elsewhere")
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def open_entry(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]] | None:
    """Return what an entry holds, or None when there is none or it is damaged.

    Parameters
    ----------
    path : Path
        Its folder.

    Returns
    -------
    facts : dict
        As :func:`make_entry` was given them.
    parts : dict of str to ndarray of shape (tokens,)
        The ids of each part, mapped from its file and read-only.
    """
    try:
        with open(path / _FACTS, "rb") as file:
            facts = json.loads(file.read(_MAX_FACTS))
        if facts["version"] != STORE_VERSION:
            return None
        parts: dict[str, npt.NDArray[Any]] = {}
        for name, known in facts["parts"].items():
            dtype = np.dtype(known["dtype"])
            file_path = path / name
            if dtype.kind != "u" or os.path.getsize(file_path) != known["tokens"] * dtype.itemsize:
                return None
            if _digest(file_path) != known["digest"]:
                return None
            parts[name] = np.memmap(file_path, dtype=dtype, mode="r", shape=(known["tokens"],))
        return facts, parts
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # whatever a damaged entry leads to
        return None


def _digest(path: Path) -> str:
    """Return the digest of a file, read rather than mapped: what is mapped would count as this process's memory."""
    hasher = hashlib.blake2b(digest_size=16)
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def _clear_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left; a younger folder may be one that is being written."""
    for unfinished in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            newest = max(file.stat().st_mtime for file in [unfinished, *unfinished.iterdir()])
            if time.time() - newest > UNFINISHED_SECONDS:
                shutil.rmtree(unfinished, ignore_errors=True)
