"""CoNLL-U, the format of Universal Dependencies: ten columns with a tab between, a word a line.

Lines that are no word of their own are passed over and left alone when a file is written back: comments, the written
form of several words (``1-2``) and words that were left out in writing (``1.1``, empty nodes). A blank line ends a
sentence.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from rnncli.data.rows import OnBad, report_bad
from rnncli.data.tagging.sentences import Sentence, blocks_of_lines, usable_word
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import DataError

ConlluColumn = Literal["upos", "xpos", "feats"]
COLUMNS: dict[str, int] = {"upos": 3, "xpos": 4, "feats": 5}

_FIELDS = 10
_WORD_ID = re.compile(r"[0-9]{1,9}")
_OTHER_ID = re.compile(r"[0-9]{1,9}[-.][0-9]{1,9}")
_NEW_DOCUMENT = re.compile(r"#\s*newdoc\b")


def read_conllu(
    path: str | Path, column: ConlluColumn = "upos", by_document: bool = False, on_bad: OnBad | None = None
) -> Iterator[Sentence]:
    """Yield the sentences of a CoNLL-U file.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    column : {"upos", "xpos", "feats"}
        The column that is the tag. ``_`` is the tag of a word without features, and refused in the other two, where
        it says that nobody has filled the column in.
    by_document : bool
        Whether the sentences after each ``# newdoc`` get a group of their own.
    on_bad : callable, optional
        Takes the error of each bad sentence, which is left out; None raises it.

    Returns
    -------
    iterator of Sentence
        In the order of the file.

    Raises
    ------
    DataError
        An unreadable or empty file; without `on_bad` also a line without ten columns, a number that is out of order,
        an empty word or tag, bytes that are not UTF-8.
    """
    document = 0
    for block in blocks_of_lines(read_lines(path)):
        document += any(_NEW_DOCUMENT.match(line.text) for line in block)
        try:
            words = words_of_block(block, path)
            tags = tuple(_tag(fields[COLUMNS[column]], column, f"{path}:{line}") for line, _, fields in words)
        except DataError as error:
            report_bad(error, on_bad)
            continue
        if words:
            yield Sentence(
                words=tuple(fields[1] for _, _, fields in words),
                tags=tags,
                where=f"{path}:{words[0][0]}",
                lines=tuple(line for line, _, _ in words),
                group=f"document {document}" if by_document else None,
            )


def write_conllu(lines: Iterable[str], tags: Iterable[str], column: ConlluColumn) -> Iterator[str]:
    """Yield the lines of a CoNLL-U file with other tags.

    Parameters
    ----------
    lines : iterable of str
        All lines of the file, with their line ends.
    tags : iterable of str
        A tag for each word, in the order of the file.
    column : {"upos", "xpos", "feats"}
        The column that the tags go to.

    Returns
    -------
    iterator of str
        As many lines, alike but for that column of the lines of words.

    Raises
    ------
    ValueError
        If there are fewer or more tags than words.
    """
    left = iter(tags)
    for line in lines:
        fields = line.split("\t")
        if len(fields) == _FIELDS and _WORD_ID.fullmatch(fields[0]):
            tag = next(left, None)
            if tag is None:
                raise ValueError("there are fewer tags than words")
            fields[COLUMNS[column]] = tag
            line = "\t".join(fields)
        yield line
    if next(left, None) is not None:
        raise ValueError("there are more tags than words")


def words_of_block(block: Sequence[Line], path: str | Path) -> list[tuple[int, int, list[str]]]:
    """Return the words among the lines of a sentence.

    Parameters
    ----------
    block : sequence of Line
        From :func:`blocks_of_lines`.
    path : str or Path
        The file, for errors.

    Returns
    -------
    list of (int, int, list of str)
        Of each word its line, its number and its ten columns; none where there are comments alone.

    Raises
    ------
    DataError
        A line without ten columns, a number that is out of order, an empty word, bytes that are not UTF-8.
    """
    words = [(line.number, *_word(line, path)) for line in block if _is_line_of_word(line, path)]
    _check_numbers(words, path)
    return words


def _is_line_of_word(line: Line, path: str | Path) -> bool:
    """Whether a line is a word of its own; what cannot be told is passed on to be refused."""
    if line.problem is not None:
        raise line.problem
    return not line.text.startswith("#") and not _OTHER_ID.fullmatch(line.text.partition("\t")[0])


def _word(line: Line, path: str | Path) -> tuple[int, list[str]]:
    """Return the number and the columns of a word."""
    where = f"{path}:{line.number}"
    fields = line.text.split("\t")
    if len(fields) != _FIELDS:
        raise DataError(
            f"the line has {len(fields)} column{'s' * (len(fields) != 1)}, a word of CoNLL-U has {_FIELDS}, "
            "with a tab between",
            where=where,
            remedy="If the file is of another kind, read it with format: columns",
        )
    if not _WORD_ID.fullmatch(fields[0]):
        raise DataError(f"{fields[0][:60]!a} is not the number of a word", where=where, remedy="Number words from 1")
    usable_word(fields[1], where)
    return int(fields[0]), fields


def _check_numbers(words: list[tuple[int, int, list[str]]], path: str | Path) -> None:
    """Raise for the first word that is not numbered one more than the word before it."""
    for expected, (line, number, _) in enumerate(words, start=1):
        if number != expected:
            raise DataError(
                f"the word has the number {number} where {expected} is expected",
                where=f"{path}:{line}",
                remedy="Put a blank line between sentences; number their words from 1",
            )


def _tag(field: str, column: ConlluColumn, where: str) -> str:
    """Return a tag that means something."""
    if field == "_" and column != "feats":
        raise DataError(
            f"the word has no {column} (_)",
            where=where,
            remedy=f"Choose another column ({', '.join(name for name in COLUMNS if name != column)}) or fill it in",
        )
    return usable_word(field, where)
