"""Texts that are apart from the start, each a document of its own: what classifiers read, with or without labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnncli.data.readers import Source
from rnncli.data.readers.aclimdb import read_all_texts, text_paths
from rnncli.data.readers.fasttext import read_fasttext_texts
from rnncli.data.text_files import read_lines
from rnncli.data.unlabelled import read_unlabelled

SEPARATE = ("aclimdb", "csv", "tsv", "jsonl", "fasttext")


def are_separate(source: Source | None) -> bool:
    """Say whether the texts of a source are apart from the start."""
    return source is not None and source.model_dump()["format"] in SEPARATE


def read_separate_texts(source: Source) -> Iterator[str]:
    """Yield the texts of a source.

    Parameters
    ----------
    source : Source
        Its format is one of ``SEPARATE``.

    Returns
    -------
    iterator of str
        In the order of the source; some may be empty.

    Raises
    ------
    DataError
        The source cannot be read, or a row in it is bad.
    """
    keys = source.model_dump()
    name, path = keys["format"], keys["path"]
    if name == "aclimdb":
        yield from read_all_texts(path)
    elif name == "fasttext":
        yield from read_fasttext_texts(path)
    else:
        for row in read_unlabelled(read_lines(path), path, name, keys["text"], option="text of the source"):
            yield row.text


def separate_files(source: Source) -> list[Path]:
    """Return the files of a source in the order in which they are read."""
    keys = source.model_dump()
    return text_paths(keys["path"]) if keys["format"] == "aclimdb" else [Path(keys["path"])]


def shaping(source: Source) -> dict[str, Any]:
    """Return the keys of a source that say how its files are read."""
    return {key: value for key, value in source.model_dump().items() if key != "path"}
