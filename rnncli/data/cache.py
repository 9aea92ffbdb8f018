"""Encoded texts on disk, so that a second start on the same data reads arrays instead of texts.

An entry is a .safetensors file named by a hash of everything that made it: the bytes of the data files, the settings
and the version of the code. It holds a digest of its own contents. An entry that is missing, damaged or cannot be
written costs time and nothing else, and the folder may be deleted whenever one likes.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import time
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.compressed_files import open_regular
from rnncli.data.readers import Source
from rnncli.data.settings import DataSettings
from rnncli.data.tokenizers import TOKENIZERS_VERSION

# Raised whenever the same files and settings give other arrays, or an entry is laid out in another way.
CACHE_VERSION = 1
# A file of which no more has been written for so long is no longer being written.
UNFINISHED_SECONDS = 600

_log = logging.getLogger(__name__)
_DIGEST = "digest"
_CHUNK = 2**20


class Entry(NamedTuple):
    """What one file of the cache holds.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Any numeric arrays, by name.
    strings : mapping of str to sequence of str
        Any lists of strings, by other names.
    """

    arrays: Mapping[str, npt.NDArray[Any]]
    strings: Mapping[str, Sequence[str]]


def entry_path(data: DataSettings, seed: int, cache_dir: Path) -> Path | None:
    """Return the file that an encoded data set is cached in.

    The name changes with every byte of the files that ``data.train`` and ``data.valid`` name, with every setting that
    shapes the arrays, and with the seed where it decides the split. It does not change when the files move.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    seed : int
        The seed of the split.
    cache_dir : Path
        Folder of the cache.

    Returns
    -------
    Path or None
        None when a data file cannot be read, which is for its reader to report.
    """
    split = None if data.valid is not None else (data.valid_fraction, seed, data.group_by)
    tokenizer = data.tokenizer
    settings = (
        *(CACHE_VERSION, TOKENIZERS_VERSION, unicodedata.unidata_version),
        *(tokenizer.kind, tokenizer.lowercase, tokenizer.max_vocab, tokenizer.min_count),
        *(data.max_length, data.truncate, split),
    )
    hasher = hashlib.blake2b(json.dumps(settings).encode(), digest_size=16)
    try:
        for source in (data.train, data.valid):
            hasher.update(b"none" if source is None else _source_digest(source))
    except (OSError, ValueError):
        return None
    return cache_dir / f"{hasher.hexdigest()}.safetensors"


def load_entry(path: Path) -> Entry | None:
    """Return what a file of the cache holds, or None when there is no such file or it is damaged.

    Parameters
    ----------
    path : Path
        As :func:`entry_path` gave it.

    Returns
    -------
    Entry or None
        Arrays and strings as they were saved; the arrays are read-only.
    """
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
        digest = arrays.pop(_DIGEST).tobytes()
        if digest != _arrays_digest(arrays):
            raise ValueError("digest does not match")
        strings = json.loads(arrays.pop("strings").tobytes())
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever a damaged file leads to, the answer is to encode the texts again
        _log.info("ignored the cache file %s: %s", path, error)
        return None
    for array in arrays.values():
        array.setflags(write=False)
    return Entry(arrays, strings)


def save_entry(path: Path, entry: Entry) -> None:
    """Write a file of the cache, whole or not at all; a folder that cannot be written to is no error.

    Parameters
    ----------
    path : Path
        As :func:`entry_path` gave it; its folder is made.
    entry : Entry
        What to save.
    """
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array) for name, array in entry.arrays.items()}
    arrays["strings"] = np.frombuffer(json.dumps(dict(entry.strings)).encode(), dtype=np.uint8)
    arrays[_DIGEST] = np.frombuffer(_arrays_digest(arrays), dtype=np.uint8)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear_unfinished(path.parent)
        handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(save(arrays))
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        _log.info("did not write the cache file %s: %s", path, error)
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _clear_unfinished(folder: Path) -> None:
    """Remove what writers that were killed have left; a younger file may be one that is being written."""
    for file in folder.glob(".writing-*"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > UNFINISHED_SECONDS:
                file.unlink()


def _arrays_digest(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return a digest of names, types, shapes and contents."""
    hasher = hashlib.blake2b(digest_size=16)
    for name, array in sorted(arrays.items()):
        hasher.update(f"{name} {array.dtype} {array.shape}\n".encode())
        hasher.update(array.data)
    return hasher.digest()


def _source_digest(source: Source) -> bytes:
    """Return a digest of a source's settings and of all it reads, not of where that is."""
    settings = source.model_dump()
    files = {key: Path(str(settings.pop(key))) for key in ("path", "word_index") if key in settings}
    hasher = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=32)
    for key, path in sorted(files.items()):
        if settings["format"] == "aclimdb":
            _hash_tree(hasher, path)
        else:
            hash_file(hasher, path, f"{key}{path.suffix}")
    return hasher.digest()


def _hash_tree(hasher: "hashlib.blake2b", folder: Path) -> None:
    """Add every text that the aclimdb reader may read; a few more than it reads do no harm."""
    with os.scandir(folder) as entries:
        labels = sorted(entry.name for entry in entries if entry.name != "unsup" and entry.is_dir())
    for label in labels:
        with os.scandir(folder / label) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".txt"))
        hasher.update(f"{label}\0{len(names)}\0".encode("utf-8", "surrogateescape"))
        for name in names:
            hash_file(hasher, f"{folder}/{label}/{name}", name)


def hash_file(hasher: "hashlib.blake2b", path: str | Path, name: str) -> None:
    """Add a file's name, size and bytes."""
    with open(path, "rb", buffering=0, opener=open_regular) as file:
        size = os.fstat(file.fileno()).st_size
        hasher.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
