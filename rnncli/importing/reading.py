"""The files that an import reads: torch weights in safetensors, a vocabulary, labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from rnncli.checkpoint import KEY
from rnncli.data.text_files import read_lines, read_text
from rnncli.errors import CheckpointError, DataError
from rnncli.packing import Array

MOST_LIST_BYTES = 2**28
_FLOATS = {"F64", "F32", "F16"}


def read_weights(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """Read a safetensors file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tensors : dict of str to ndarray
        In float32, whatever they were in; sorted by name.
    metadata : dict of str to str
        Of the file.

    Raises
    ------
    CheckpointError
        If it is missing, damaged or something else, above all a pickle, which is never opened.
    """
    try:
        with path.open("rb") as file:
            _refuse_pickle(path, file.read(9))
        with safe_open(path, framework="np") as opened:
            metadata = dict(opened.metadata() or {})
            if KEY in metadata:
                raise CheckpointError("is a checkpoint of rnncli already, which needs no import", where=str(path))
            tensors = {name: _as_float32(path, name, opened.get_slice(name)) for name in sorted(opened.keys())}
            return tensors, metadata
    except FileNotFoundError:
        raise CheckpointError("there is no such file", where=str(path), remedy="Check the path") from None
    except IsADirectoryError:
        raise CheckpointError("is a folder", where=str(path), remedy="Name a .safetensors file in it") from None
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    except SafetensorError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"is not a whole safetensors file ({reason})", where=str(path), remedy="Write or copy it again"
        ) from None


def read_texts(path: Path, what: str) -> list[str]:
    """Read a list of texts.

    Parameters
    ----------
    path : Path
        A ``.json`` file with a list of texts, or with an object of text to number, from 0; any other file has a text a
        line.
    what : str
        What they are, for messages: ``vocabulary``.

    Returns
    -------
    list of str
        In order.

    Raises
    ------
    DataError
        If it cannot be read or is no such list.
    """
    if path.suffix != ".json":
        lines = []
        for line in read_lines(path):
            if line.problem is not None:
                raise line.problem
            lines.append(line.text.rstrip("\r\n"))
        return lines
    try:
        found: Any = json.loads(read_text(path, MOST_LIST_BYTES))
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not JSON ({error})", where=str(path)) from None
    if isinstance(found, dict):
        numbers = list(found.values())
        if not all(type(number) is int for number in numbers) or sorted(numbers) != list(range(len(numbers))):
            raise DataError(
                f"does not number its {what} from 0 to {len(numbers) - 1}, each once",
                where=str(path),
                remedy="Give a list in the order of the rows, or an object of text to row",
            )
        found = sorted(found, key=found.__getitem__)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise DataError(f"is no list of texts, as a {what} is", where=str(path))
    return found


def _refuse_pickle(path: Path, start: bytes) -> None:
    # A safetensors file begins with the length of its header, 8 bytes that may be any, and the header's first brace.
    if start[8:] != b"{" and (start[:1] == b"\x80" or start[:2] == b"PK"):
        kind = "pickle" if start[:1] == b"\x80" else "zip archive"
        safe = path.with_suffix(".safetensors").name
        raise CheckpointError(
            f"is a {kind}, as torch.save writes it, which rnncli never opens: it can run anything",
            where=str(path),
            remedy="If you trust it, type in Python: import torch, safetensors.torch; safetensors.torch.save_file("
            f"torch.load({path.name!r}, weights_only=True), {safe!r})",
        )


def _as_float32(path: Path, name: str, piece: Any) -> Array:
    """Return a tensor in float32."""
    kind = piece.get_dtype()
    if kind not in _FLOATS:
        raise CheckpointError(
            f"tensor {name} is {kind}; weights are of F32, or F16 and F64, which are converted",
            where=str(path),
            remedy="Save it with tensor.float()",
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold is refused below
        array = np.array(piece[:] if piece.get_shape() else piece[...], dtype=np.float32)
    if not np.isfinite(array).all():
        raise CheckpointError(f"tensor {name} has numbers that are not finite in float32", where=str(path))
    return array
