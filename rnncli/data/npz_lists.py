"""Integers, and lists of integers, out of an ``.npz`` file, without unpickling."""

import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnncli.data.compressed_files import open_bytes
from rnncli.data.pickled_lists import MAX_LISTS, REMEDY, unpickled_lists
from rnncli.errors import DataError

# The members of Keras's imdb.npz that hold the reviews have some 15 MB.
MAX_MEMBER_BYTES = 256 * 2**20


def read_integer_lists(path: str | Path, name: str) -> list[NDArray[np.int32]]:
    """Return an array of lists of integers from an ``.npz`` file.

    Parameters
    ----------
    path : str or Path
        The file, as written by ``numpy.savez``.
    name : str
        The array's name, such as ``x_train``: dtype object, one-dimensional, every item a list of integers from 0
        to 2**31 - 1.

    Returns
    -------
    list of ndarray of shape (length of the list,), int32
        One for each list. A list that the file has twice by reference is one array.

    Raises
    ------
    DataError
        No such file or array, a damaged file, or anything in it but lists of integers.
    """
    raw = _member(path, name)
    where = f"{path}:{name}"
    shape, dtype, start = _npy_header(raw, where)
    if not dtype.hasobject:
        raise DataError(f"is an array of {str(dtype)[:60]}, not of lists", where=where, remedy=REMEDY)
    if dtype != np.dtype(object) or len(shape) != 1:
        raise DataError(f"has shape {shape} and dtype {str(dtype)[:60]}, expected one dimension of lists", where=where)
    if shape[0] > min(MAX_LISTS, len(raw)):
        raise DataError(f"claims {shape[0]:,} lists, more than it can hold or is allowed", where=where, remedy=REMEDY)
    return unpickled_lists(raw[start:], shape[0], where)


def read_integers(path: str | Path, name: str) -> NDArray[np.int64]:
    """Return a one-dimensional array of integers from an ``.npz`` file.

    Parameters
    ----------
    path : str or Path
        The file, as written by ``numpy.savez``.
    name : str
        The array's name, such as ``y_train``.

    Returns
    -------
    ndarray of shape (items,), int64
        Its values.

    Raises
    ------
    DataError
        No such file or array, a damaged file, another dtype or shape.
    """
    raw = _member(path, name)
    where = f"{path}:{name}"
    shape, dtype, start = _npy_header(raw, where)
    if dtype.kind not in "iu" or len(shape) != 1:
        raise DataError(
            f"has shape {shape} and dtype {str(dtype)[:60]}, expected one dimension of integers", where=where
        )
    if shape[0] * dtype.itemsize != len(raw) - start:
        raise DataError(f"claims {shape[0]:,} integers, which is not what it holds", where=where, remedy=REMEDY)
    values: NDArray[Any] = np.load(BytesIO(raw), allow_pickle=False)
    return values.astype(np.int64)


def _member(path: str | Path, name: str) -> bytes:
    """Return the bytes of one array's ``.npy`` file."""
    try:
        with open_bytes(path) as opened, zipfile.ZipFile(opened) as archive:
            known = [item.filename.removesuffix(".npy") for item in archive.infolist()]
            if name not in known:
                listed = ", ".join(repr(item) for item in known[:10])
                raise DataError(f"there is no array {name!r} (there is {listed or 'none'})", where=str(path))
            with archive.open(f"{name}.npy") as file:
                raw = file.read(MAX_MEMBER_BYTES + 1)
    except DataError:
        raise
    except Exception as error:  # whatever zipfile and its decompressors make of damaged bytes: they document no list
        raise DataError(f"is not a whole .npz file ({error})", where=str(path), remedy="Fetch it again") from error
    if len(raw) > MAX_MEMBER_BYTES:
        raise DataError(f"is larger than {MAX_MEMBER_BYTES // 2**20} MiB", where=f"{path}:{name}")
    return raw


def _npy_header(raw: bytes, where: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and the dtype that the header claims, and where the contents start."""
    file = BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header written by Python 2 is as good
            version = np.lib.format.read_magic(file)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
            elif version == (2, 0):
                shape, _, dtype = np.lib.format.read_array_header_2_0(file)
            else:
                raise ValueError(f"format version {version}")
    except Exception as error:  # the header is parsed as a Python literal, which can fail in many ways
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"has no readable .npy header ({reason})", where=where, remedy="Fetch the file again"
        ) from error
    if any(length < 0 for length in shape):
        raise DataError(f"claims the shape {shape}", where=where)
    return shape, dtype, file.tell()
