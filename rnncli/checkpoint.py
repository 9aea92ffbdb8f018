"""One self-contained .safetensors file: tensors, vocabulary and everything else a run needs to go on.

The file's header holds, under the one key ``rnncli``, canonical JSON with the format's version, the caller's metadata
and a SHA-256 digest of metadata and tensors, which is compared before anything is handed out. The vocabulary is kept
as two tensors, because a header is limited to 100 MB. Equal contents give equal bytes.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from rnncli.errors import CheckpointError

FORMAT_VERSION = 1
MAX_METADATA_BYTES = 16 * 1024 * 1024
KEY = "rnncli"

Array = NDArray[Any]

_VOCABULARY_BYTES = "vocabulary.bytes"
_VOCABULARY_OFFSETS = "vocabulary.offsets"
_DTYPES = {np.dtype(code).name for code in "efdbhilqBHILQ?"}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")
_MAX_HEADER_BYTES = 100_000_000
_COPY_AGAIN = "Copy it again, or use an earlier checkpoint"
# What safetensors and json raise for bytes that are not what they expect.
_UNREADABLE = (
    SafetensorError, ValueError, KeyError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Arrays by name, writable.
    metadata : dict
        What was given to :func:`save_checkpoint`, as JSON gives it back.
    vocabulary : tuple of str
        Tokens by id.
    digest : str
        SHA-256 of all of the above, in hexadecimal: equal for equal contents.
    """

    tensors: dict[str, Array]
    metadata: dict[str, Any]
    vocabulary: tuple[str, ...]
    digest: str


def save_checkpoint(
    path: str | Path, tensors: Mapping[str, Array], metadata: Mapping[str, Any], vocabulary: Sequence[str] = ()
) -> str:
    """Write a checkpoint so that the file under this name is always a whole one.

    It is written beside its place under another name, flushed to the disk, read back and then renamed.

    Parameters
    ----------
    path : str or Path
        File to write or replace; its folder must exist.
    tensors : mapping of str to ndarray
        Arrays by name, of numbers or truth values.
    metadata : mapping
        Anything JSON can hold; numbers must be finite.
    vocabulary : sequence of str, optional
        Tokens by id.

    Returns
    -------
    str
        The digest of the contents.

    Raises
    ------
    CheckpointError
        If the contents cannot be stored or the file cannot be written; an earlier file is then as it was.
    """
    path = Path(path)
    arrays = {name: _storable(path, name, array) for name, array in tensors.items()}
    arrays |= _pack_vocabulary(path, vocabulary)
    try:
        text = _canonical(dict(metadata))
        digest = _digest(text, arrays)
        header = _canonical({"digest": digest, "format": FORMAT_VERSION, "metadata": dict(metadata)})
    except (TypeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"the metadata cannot be stored as JSON ({reason})", where=str(path)) from None
    if len(header.encode()) > MAX_METADATA_BYTES:
        raise CheckpointError(f"the metadata is larger than {MAX_METADATA_BYTES} bytes", where=str(path))
    _write_whole(path, save_tensors(arrays, {KEY: header}))
    return digest


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, having compared its digest.

    Parameters
    ----------
    path : str or Path
        A file that :func:`save_checkpoint` wrote.

    Returns
    -------
    Checkpoint
        Its contents.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, of another kind or of another format.
    """
    path = Path(path)
    raw = _read_whole(path)
    header = _header(path, raw)
    try:
        text = header["__metadata__"][KEY]
    except (KeyError, TypeError):
        remedy = "Name a checkpoint that rnncli train wrote, or make one of torch weights: rnncli import"
        raise CheckpointError("is a safetensors file, but not of rnncli", where=str(path), remedy=remedy) from None
    try:
        envelope = json.loads(text, parse_constant=_refuse_constant)
        version, digest, metadata = envelope["format"], envelope["digest"], envelope["metadata"]
    except _UNREADABLE:
        _damaged(path, "its metadata cannot be read")
    if version != FORMAT_VERSION:
        what = f"has the checkpoint format {str(version)[:20]}; this rnncli reads {FORMAT_VERSION}"
        raise CheckpointError(what, where=str(path), remedy="Use the version of rnncli that wrote it")
    try:
        arrays = dict(load_tensors(raw))
        whole = isinstance(metadata, dict) and text == _canonical(envelope)
        whole = whole and digest == _digest(_canonical(metadata), arrays)
    except _UNREADABLE:
        whole = False
    if not whole:
        _damaged(path, "its contents do not match its digest")
    vocabulary = _unpack_vocabulary(path, arrays)
    tensors = {name: array if array.flags.writeable else array.copy() for name, array in arrays.items()}
    return Checkpoint(tensors, metadata, vocabulary, digest)


def _digest(metadata: str, arrays: Mapping[str, Array]) -> str:
    """Return the SHA-256 of metadata and of every array's name, dtype, shape and bytes, whatever their order."""
    hashed = hashlib.sha256(metadata.encode() + b"\n")
    for name in sorted(arrays):
        array = arrays[name]
        hashed.update(f"{json.dumps([name, array.dtype.name, array.shape])}\n".encode())
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()


def _canonical(value: Any) -> str:
    """Return the one JSON text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which are not JSON."""
    raise ValueError(name)


def _storable(path: Path, name: str, array: Array) -> Array:
    """Return the array as it is stored, little-endian and contiguous, or say why it cannot be."""
    if not _NAME.fullmatch(name) or name in (_VOCABULARY_BYTES, _VOCABULARY_OFFSETS):
        raise CheckpointError(f"{name[:60]!r} cannot be the name of a tensor", where=str(path))
    stored = np.asarray(array)
    if stored.dtype.name not in _DTYPES:
        raise CheckpointError(f"the tensor {name} has the type {stored.dtype}, which is not stored", where=str(path))
    return np.asarray(stored, dtype=stored.dtype.newbyteorder("<"), order="C")


def _pack_vocabulary(path: Path, tokens: Sequence[str]) -> dict[str, Array]:
    """Return the tokens' UTF-8 bytes in a row, and where each begins."""
    try:
        encoded = [token.encode() for token in tokens]
    except UnicodeEncodeError:
        raise CheckpointError("a token of the vocabulary is not valid Unicode", where=str(path)) from None
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(token) for token in encoded], out=offsets[1:])
    return {_VOCABULARY_BYTES: np.frombuffer(b"".join(encoded), dtype=np.uint8), _VOCABULARY_OFFSETS: offsets}


def _unpack_vocabulary(path: Path, arrays: dict[str, Array]) -> tuple[str, ...]:
    """Take the vocabulary's two tensors out of the arrays and return the tokens."""
    try:
        joined = arrays.pop(_VOCABULARY_BYTES).tobytes()
        offsets = arrays.pop(_VOCABULARY_OFFSETS).tolist()
        if offsets[0] != 0 or offsets[-1] != len(joined) or sorted(offsets) != offsets:
            raise ValueError
        return tuple(joined[start:end].decode() for start, end in pairwise(offsets))
    except (*_UNREADABLE, IndexError):
        _damaged(path, "its vocabulary cannot be read")


def _read_whole(path: Path) -> bytes:
    """Return the bytes of a file that begins like a safetensors file."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
            size = os.fstat(file.fileno()).st_size
            _check_start(path, start, size)
            return start + file.read()
    except FileNotFoundError:
        raise CheckpointError("there is no such file", where=str(path), remedy="Check the path") from None
    except IsADirectoryError:
        remedy = "Name the file in it, such as best.safetensors"
        raise CheckpointError("is a folder", where=str(path), remedy=remedy) from None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "out of memory"
        raise CheckpointError(f"cannot be read ({reason})", where=str(path)) from None


def _check_start(path: Path, start: bytes, size: int) -> None:
    """Refuse other kinds of files by their first bytes, before the rest is read."""
    if not start:
        raise CheckpointError("is empty", where=str(path), remedy=_COPY_AGAIN)
    length = int.from_bytes(start[:8], "little")
    if len(start) == 9 and start[8:] == b"{" and length <= _MAX_HEADER_BYTES:
        if length > size - 8:
            _damaged(path, "it is cut short")
        return
    kind = "is a pickle" if start[:1] == b"\x80" else "is a zip archive" if start[:2] == b"PK" else ""
    what = f"{kind}, which is never opened, and not a safetensors file" if kind else "is not a safetensors file"
    remedy = "Name a checkpoint that rnncli train wrote, or copy it again if it is one"
    raise CheckpointError(what, where=str(path), remedy=remedy)


def _header(path: Path, raw: bytes) -> Any:
    """Return the file's JSON header, which must be followed by nothing but the spaces that safetensors pads with."""
    text = raw[8 : 8 + int.from_bytes(raw[:8], "little")]
    try:
        if not text.rstrip(b" ").endswith(b"}"):
            raise ValueError
        return json.loads(text.decode(), parse_constant=_refuse_constant)
    except _UNREADABLE:
        _damaged(path, "its header cannot be read")


def _damaged(path: Path, what: str) -> NoReturn:
    """Refuse a file that was a checkpoint once."""
    raise CheckpointError(f"is damaged: {what}", where=str(path), remedy=_COPY_AGAIN)


def _write_whole(path: Path, data: bytes) -> None:
    """Put the bytes in place all at once, or leave what is there and say why."""
    try:
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if beside.read_bytes() != data:
                raise OSError("what was written reads back differently")
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "Free some space or choose another folder; an earlier checkpoint of this name is untouched"
        raise CheckpointError(f"cannot be written ({reason})", where=str(path), remedy=remedy) from None


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
