"""Reading metrics.jsonl: the rows that :mod:`rnncli.recording` writes, of a run that may still go on."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnncli.errors import RnncliError

# A row with texts that a model made up may be long; what is longer than this is no row.
_LONGEST = 10_000_000


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a metrics.jsonl.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    dict
        With ``kind`` (``step``, ``validation``, ``sample``, ``resumed``) and ``step``. A last line without its end is
        left out: it is being written, or the run was killed there.

    Raises
    ------
    RnncliError
        If the file cannot be read, or a line is not such a row.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST):
                number += 1
                if not line.endswith(b"\n") and len(line) < _LONGEST:
                    return
                yield _row(line, path, number)
    except OSError as error:
        remedy = "Name the folder of a run, such as runs/NAME" if isinstance(error, FileNotFoundError) else None
        raise RnncliError(f"cannot be read ({error.strerror or error})", where=str(path), remedy=remedy) from None


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    """Return a row, of which kind and step can be relied on."""
    try:
        row = json.loads(line, parse_constant=_refuse, parse_int=_small)
        if isinstance(row, dict) and isinstance(row["kind"], str) and type(row["step"]) is int:
            return row
    except (ValueError, KeyError, RecursionError):
        pass
    raise RnncliError(
        "is not a row that rnncli wrote", where=f"{path}:{number}", remedy="Mend or remove that line"
    ) from None


def _refuse(constant: str) -> None:
    """Refuse NaN and the infinities, which rnncli writes as null."""
    raise ValueError(constant)


def _small(digits: str) -> int:
    """Refuse a whole number that no count reaches and no float holds."""
    if len(digits) > 18:
        raise ValueError(digits)
    return int(digits)


def numbers(rows: Iterator[dict[str, Any]] | list[dict[str, Any]], kind: str, key: str) -> list[tuple[int, float]]:
    """Return a figure as it went.

    Parameters
    ----------
    rows : iterable of dict
        From :func:`read_metrics`.
    kind, key : str
        Which rows, and what of them.

    Returns
    -------
    list of (int, float)
        Step and value, where there is one.
    """
    found = ((row["step"], row.get(key)) for row in rows if row["kind"] == kind)
    return [(step, float(value)) for step, value in found if isinstance(value, int | float) and math.isfinite(value)]
