"""What lies beside a source to learn from: what to validate on and to test with, by the names of files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnncli.config import AnyConfig, parse_config
from rnncli.data.readers import read_rows
from rnncli.data.sight import look
from rnncli.data.tagging.readers import read_sentences
from rnncli.errors import DataError

_PART = re.compile(r"(?i)(?<![a-z])(train)(ing)?(?![a-z])")
_VALID, _TEST = ("valid", "dev", "val", "validation"), ("test",)


def minimal(task: str, source: dict[str, Any]) -> AnyConfig:
    """Return the config of a task on a source, with every default."""
    return parse_config({"task": task, "data": {"train": source}}, "rnncli init")


def parts_beside(task: str, source: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is to be validated on and tested with, where the names of files say so: train, dev, test."""
    path = Path(source["path"])
    if not _PART.search(path.name):
        return
    for part, names in (("valid", _VALID), ("test", _TEST)):
        for name in names:
            other = path.with_name(_PART.sub(name, path.name, count=1))
            if other.exists() and _reads_alike(task, {**source, "path": str(other)}):
                yield part, {**source, "path": str(other)}
                break


def _reads_alike(task: str, source: dict[str, Any]) -> bool:
    """Tell whether a source is of the same format, with the same columns: its first row is read."""
    try:
        sight = look(Path(source["path"]))
        if (sight.format, str(sight.path)) != (source["format"], source["path"]):
            return False
        section = minimal(task, source).data.train
        if task == "classification":
            return next(read_rows(section), None) is not None
        return task != "tagging" or next(read_sentences(section), None) is not None
    except DataError:
        return False
