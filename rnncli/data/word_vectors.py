"""Word vectors as text: GloVe, word2vec and fastText files, of which only the rows that are wanted are kept.

A line is a word and its numbers, separated by single spaces. word2vec and fastText put a line of two numbers before,
how many vectors there are and how long they are. What is before a line's last numbers is the word, spaces included.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.compressed_files import open_bytes
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import ConfigError, DataError

_FASTTEXT_BINARY = (793712314).to_bytes(4, "little")
_HEAD = 2**16  # bytes in which a binary file shows itself
_SHOWN = 40  # characters of what a message quotes


class WordVectors(NamedTuple):
    """The vectors of a file that a vocabulary has use for.

    Attributes
    ----------
    ids : ndarray of int, shape (F,)
        The tokens that were found, rising.
    values : ndarray of float32, shape (F, D)
        The vector of each.
    lowered : int
        How many of them were found in lower case only.
    read : int
        Vectors in the file.
    unreadable : int
        Those whose word is not UTF-8, which no token can be; passed over.
    """

    ids: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    lowered: int
    read: int
    unreadable: int


def check_word_vectors(path: str | Path, dim: int) -> int | None:
    """Look at the beginning of a file of word vectors.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    dim : int
        How long its vectors have to be.

    Returns
    -------
    int or None
        How many vectors it says that it has; None if it has no line for that.

    Raises
    ------
    DataError
        If it cannot be read, or is of another kind.
    ConfigError
        If its vectors are of another length.
    """
    with open_bytes(path) as file:
        head = file.read(_HEAD)
    numbers = head.split(b"\n", 1)[0].split()
    header = len(numbers) == 2 and all(number.isdigit() and len(number) < 19 for number in numbers)
    # Behind the header of a binary file come numbers of four bytes, some of which text does not have.
    if head.startswith(_FASTTEXT_BINARY) or (header and b"\0" in head):
        raise DataError(
            "is the binary form of word vectors, not the text form",
            where=str(path),
            remedy="Take fastText's .vec; a .bin of word2vec gensim can save as text: "
            "KeyedVectors.load_word2vec_format('OLD.bin', binary=True).save_word2vec_format('NEW.txt')",
        )
    first = next(read_lines(path))
    if header:
        _refuse_other_length(int(numbers[1]), path, dim)
        return int(numbers[0])
    fields = _fields(first.text)
    length = len(fields) - 1
    if length < 1 or not _is_number(fields[-1]):
        raise _malformed(first, path, dim)
    if length < dim or (length > dim and _is_number(fields[-dim - 1])):  # else its word has spaces in it
        _refuse_other_length(length, path, dim)
    return None


def read_word_vectors(path: str | Path, tokens: Sequence[str], dim: int) -> WordVectors:
    """Read the vectors of some tokens; the file may be much larger than the memory.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    tokens : sequence of str
        By id. One that the file does not have gets the vector of its lower case, if the file has that.
    dim : int
        D, how long the vectors have to be.

    Returns
    -------
    WordVectors
        Of a word that the file has twice, the first.

    Raises
    ------
    DataError
        If the file cannot be read or is damaged; names the line.
    ConfigError
        If its vectors are of another length.
    """
    wanted = {token: number for number, token in enumerate(tokens)}
    lowered: dict[str, list[int]] = {}
    for token, number in wanted.items():
        if (lower := token.lower()) != token:
            lowered.setdefault(lower, []).append(number)
    count = check_word_vectors(path, dim)
    values = np.zeros((len(tokens), dim), np.float32)
    found = np.zeros(len(tokens), np.int8)  # 1: in lower case, 2: as it is
    read = unreadable = 0
    for line in islice(read_lines(path), 0 if count is None else 1, None):
        read += 1
        word = _word(line, path, dim)
        if line.problem is not None:
            unreadable += 1
            continue
        own = wanted.get(word)
        better = [number for number in lowered.get(word, ()) if found[number] < 1]
        if own is not None and found[own] < 2:
            better.append(own)
        if better:
            values[better] = _vector(line, path, dim)
            found[better] = 1
            if own is not None:
                found[own] = 2
    if count is not None and read < count:
        raise DataError(
            f"its first line says {count:,} vectors, and it has {read:,}",
            where=str(path),
            remedy="It is cut short; fetch it again",
        )
    ids = np.flatnonzero(found)
    return WordVectors(ids, values[ids], int(np.count_nonzero(found == 1)), read, unreadable)


def _fields(text: str) -> list[str]:
    """Return what single spaces separate; other white space may be part of a word."""
    return text.rstrip(" \r\n").split(" ")


def _word(line: Line, path: str | Path, dim: int) -> str:
    """Return the word of a line, which has the right number of numbers behind it."""
    text = line.text.rstrip(" \r\n")
    spaces = text.count(" ")
    if spaces < dim:
        raise _malformed(line, path, dim)
    return text[: text.index(" ")] if spaces == dim else text.rsplit(" ", dim)[0]


def _vector(line: Line, path: str | Path, dim: int) -> npt.NDArray[np.float32]:
    """Return the numbers of a line."""
    numbers, where = _fields(line.text)[-dim:], f"{path}:{line.number}"
    try:
        with np.errstate(over="ignore"):  # an infinity is refused below
            vector = np.array(numbers, np.float64).astype(np.float32)
    except ValueError:
        bad = next((text for text in numbers if not _is_number(text)), numbers[0])
        raise DataError(
            f"{bad[:_SHOWN]!r} is not a number", where=where, remedy=f"A line is a word and {dim} numbers"
        ) from None
    if not np.isfinite(vector).all():
        bad = next(text for text, number in zip(numbers, vector, strict=True) if not np.isfinite(number))
        raise DataError(f"{bad[:_SHOWN]!r} is not a finite number", where=where, remedy="Fetch or make the file again")
    return vector


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _malformed(line: Line, path: str | Path, dim: int) -> DataError:
    parts = len(_fields(line.text))
    return DataError(
        f"a word and {dim} numbers belong on a line, single spaces between them: {dim + 1} parts, and not {parts}",
        where=f"{path}:{line.number}",
        remedy="Check that the file is of word vectors, one a line, and whole",
    )


def _refuse_other_length(length: int, path: str | Path, dim: int) -> None:
    if length != dim:
        raise ConfigError(
            f"the vectors of {path} have {length} numbers, model.embedding.dim is {dim}",
            where="model.embedding.vectors",
            remedy=f"To have theirs: --set model.embedding.dim={length}",
        )
