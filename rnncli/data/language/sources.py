"""Where texts without labels come from: a file, a folder, the standard library of the running Python, rows of texts."""

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnncli.data.compressed_files import file_error
from rnncli.data.language.blocks import Block, document_blocks
from rnncli.data.language.separate_texts import are_separate, read_separate_texts, separate_files
from rnncli.data.readers import Source
from rnncli.errors import DataError

# Not read in the standard library: what others have installed, and tests, some of which are not meant to be valid text.
_NOT_LIBRARY = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})


def read_documents(source: Source, boundary: str | None) -> Iterator[Block]:
    """Yield the text of a source in blocks.

    Parameters
    ----------
    source : Source
        Its ``format`` is "text", "python_stdlib" or one whose texts are apart from the start.
    boundary : {"file", "blank_line", "line"} or None
        As for :func:`rnncli.data.language.blocks.document_blocks`; texts that are apart are documents all the same.

    Returns
    -------
    iterator of Block
        File by file, or text by text.

    Raises
    ------
    DataError
        The source cannot be read, or there is no text in it.
    """
    some = False
    for block in _blocks(source, boundary):
        some = True
        yield block
    if not some:
        raise DataError("there is no text", where=language_source_name(source))


def _blocks(source: Source, boundary: str | None) -> Iterator[Block]:
    """Yield the blocks of a source."""
    if are_separate(source):
        yield from (Block(text, True) for text in read_separate_texts(source) if text.strip())
        return
    for path in source_files(source):
        yield from document_blocks(path, boundary)


def source_files(source: Source) -> list[Path]:
    """Return the files of a source in the order in which they are read.

    Parameters
    ----------
    source : Source
        As for :func:`read_documents`.

    Returns
    -------
    list of Path
        One for a file; for a folder all its .txt files (also those named .txt.gz, .txt.bz2 and .txt.xz) and those of
        its sub-folders, sorted by their path; for "python_stdlib" its .py files, likewise; for "aclimdb" its texts.

    Raises
    ------
    DataError
        A folder that cannot be read or has no such file.
    """
    if are_separate(source):
        return separate_files(source)
    keys = source.model_dump()
    if keys["format"] == "python_stdlib":
        return _files_below(Path(sysconfig.get_path("stdlib")), (".py",), _NOT_LIBRARY)
    path = Path(keys["path"])
    if not path.is_dir():
        return [path]
    return _files_below(path, (".txt", ".txt.gz", ".txt.bz2", ".txt.xz"), frozenset())


def language_source_name(source: Source) -> str:
    """Return how messages call a source: its path, or its format where it has none."""
    keys: dict[str, Any] = source.model_dump()
    return str(keys.get("path") or keys["format"])


def _files_below(folder: Path, endings: tuple[str, ...], left_out: frozenset[str]) -> list[Path]:
    """Return the files with one of these endings, in the same order on every system."""

    def refuse(error: OSError) -> None:
        raise file_error(error.filename or folder, error) from error

    found = []
    for inside, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if name not in left_out and not name.startswith(".")]
        found += [Path(inside, name) for name in names if name.endswith(endings) and not name.startswith(".")]
    if not found:
        raise DataError(f"there is no {endings[0]} file in the folder", where=str(folder), remedy="Name a text file")
    return sorted(found, key=lambda path: path.relative_to(folder).parts)
