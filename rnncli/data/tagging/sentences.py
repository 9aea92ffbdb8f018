"""Sentences of tagged words, as both readers give them, and the lines of a file they come from."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rnncli.data.text_files import Line
from rnncli.errors import DataError, shown_on_one_line


class Sentence(NamedTuple):
    """The words of one sentence with a tag each.

    Parameters
    ----------
    words, tags : tuple of str
        As many of each, at least one.
    where : str
        ``file:line`` of the first word.
    lines : tuple of int
        The line of each word, from 1.
    group : str, optional
        The document, where a split must keep the documents whole; else None.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    where: str
    lines: tuple[int, ...]
    group: str | None = None

    @property
    def text(self) -> str:
        """Return the words with spaces between: two sentences of the same words count as the same text."""
        return " ".join(self.words)

    def place(self, word: int) -> str:
        """Return ``file:line`` of a word, counted from 0."""
        return f"{self.where.rpartition(':')[0]}:{self.lines[word]}"


def blocks_of_lines(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield the lines between blank ones, without the blank ones.

    Parameters
    ----------
    lines : iterable of Line
        Of a file.

    Returns
    -------
    iterator of list of Line
        None of them empty; lines without their ends.
    """
    block: list[Line] = []
    for line in lines:
        text = line.text.rstrip("\r\n")
        if text.strip():
            block.append(line._replace(text=text))
        elif block:
            yield block
            block = []
    if block:
        yield block


def usable_word(field: str, where: str) -> str:
    """Return a word or a tag as it is.

    Parameters
    ----------
    field : str
        What stands in its column.
    where : str
        ``file:line``.

    Returns
    -------
    str
        The same.

    Raises
    ------
    DataError
        It is empty, white space alone, or holds a control character or a line end.
    """
    if not field.strip():
        raise DataError("a word or its tag is empty", where=where, remedy="Fill the column in or remove the line")
    if shown_on_one_line(field) != field:
        raise DataError(f"{field[:60]!a} holds a control character or a line end", where=where, remedy="Remove it")
    return field
