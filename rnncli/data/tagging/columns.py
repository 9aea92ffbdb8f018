"""Words and tags in columns, as in the shared tasks of CoNLL-2000 to 2003: a word a line, blank lines between.

A line whose word is ``-DOCSTART-`` begins a document and is no word. There are no comments unless a beginning is given
that marks them: in a text a word may well be ``#``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

from rnncli.data.rows import OnBad, report_bad
from rnncli.data.tagging.schemes import SCHEMES, Scheme, convert_tags, first_fault, is_entity_tag
from rnncli.data.tagging.sentences import Sentence, blocks_of_lines, usable_word
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import DataError

DOCUMENT_START = "-DOCSTART-"
FileScheme = Literal["auto", "none", "iob1", "iob2", "iobes"]

# Not all white space: a no-break space belongs to a word.
_SPACES = re.compile(r"[ \t]+")


def read_columns(
    path: str | Path,
    word: int = 1,
    tag: int = -1,
    separator: str | None = None,
    comment: str | None = None,
    scheme: FileScheme = "auto",
    convert_to: Scheme | None = None,
    by_document: bool = False,
    on_bad: OnBad | None = None,
) -> Iterator[Sentence]:
    """Yield the sentences of a file of columns; the whole file is read before the first.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    word, tag : int
        Which columns hold the word and the tag: from 1, or from the last one, -1.
    separator : str, optional
        What stands between two columns; None for any run of spaces and tabs.
    comment : str, optional
        Lines that begin with it are passed over; None for no comments.
    scheme : {"auto", "none", "iob1", "iob2", "iobes"}
        How the file marks entities. "auto" finds out; "none" takes tags as they are.
    convert_to : {"iob1", "iob2", "iobes"}, optional
        The scheme of the tags to return; None for the file's own. Tags that mark no entities stay as they are.
    by_document : bool
        Whether the sentences after each ``-DOCSTART-`` get a group of their own.
    on_bad : callable, optional
        Takes the error of each bad sentence, which is left out; None raises it.

    Returns
    -------
    iterator of Sentence
        In the order of the file.

    Raises
    ------
    DataError
        An unreadable or empty file; without `on_bad` also a line with too few columns or another number of them than
        the first one, an empty word or tag, bytes that are not UTF-8, a tag that breaks the rules of the scheme.
    """
    sentences = list(_sentences(path, word, tag, separator, comment, by_document, on_bad))
    found = find_scheme(sentences) if scheme == "auto" else None if scheme == "none" else scheme
    for sentence in sentences:
        if found is None:
            yield sentence
            continue
        try:
            _check_scheme(sentence, found, scheme == "auto")
        except DataError as error:
            report_bad(error, on_bad)
            continue
        yield sentence if convert_to is None else sentence._replace(tags=tuple(convert_tags(sentence.tags, convert_to)))


def find_scheme(sentences: Sequence[Sentence]) -> Scheme | None:
    """Return the scheme that sentences mark entities in.

    Parameters
    ----------
    sentences : sequence of Sentence
        All sentences of a file.

    Returns
    -------
    {"iob1", "iob2", "iobes"} or None
        None where a tag is not one of an entity, such as NOUN. Where no scheme fits all sentences, the one that fits
        the most.
    """
    different = {sentence.tags for sentence in sentences}
    if not all(is_entity_tag(tag) for tag in {tag for tags in different for tag in tags}):
        return None
    faults = {scheme: sum(first_fault(tags, scheme) is not None for tags in different) for scheme in SCHEMES}
    return min(SCHEMES, key=lambda scheme: faults[scheme])


def write_columns(
    lines: Iterable[str], tags: Iterable[str], word: int = 1, separator: str | None = None, comment: str | None = None
) -> Iterator[str]:
    """Yield the lines of a file of columns with one more column at the end.

    Parameters
    ----------
    lines : iterable of str
        All lines of the file, with their line ends.
    tags : iterable of str
        A tag for each word, in the order of the file.
    word, separator, comment
        As for :func:`read_columns`. Without a separator the new column comes after a tab where the line has one, else
        after a space.

    Returns
    -------
    iterator of str
        As many lines; blank ones, comments and beginnings of documents as they were.

    Raises
    ------
    ValueError
        If there are fewer or more tags than words.
    """
    left = iter(tags)
    for line in lines:
        text = line.rstrip("\r\n")
        if _is_word(text, word, separator, comment):
            tag = next(left, None)
            if tag is None:
                raise ValueError("there are fewer tags than words")
            between = separator or ("\t" if "\t" in text else " ")
            # White space at the end of a line separates nothing.
            kept = text.rstrip() if separator is None else text
            line = f"{kept}{between}{tag}{line[len(text) :]}"
        yield line
    if next(left, None) is not None:
        raise ValueError("there are more tags than words")


def words_in_columns(
    block: Sequence[Line], path: str | Path, word: int = 1, separator: str | None = None, comment: str | None = None
) -> list[str]:
    """Return the words among the lines of a sentence; they need no tags.

    Parameters
    ----------
    block : sequence of Line
        From :func:`rnncli.data.tagging.sentences.blocks_of_lines`.
    path : str or Path
        The file, for errors.
    word, separator, comment
        As for :func:`read_columns`.

    Returns
    -------
    list of str
        None where there are comments and beginnings of documents alone.

    Raises
    ------
    DataError
        A line without that column, an empty word, bytes that are not UTF-8.
    """
    words = []
    for line in block:
        if line.problem is not None:
            raise line.problem
        if not _is_word(line.text, word, separator, comment):
            continue
        found, where = _at(_fields(line.text, separator), word), f"{path}:{line.number}"
        if found is None:
            raise DataError(f"there is no column {word}", where=where, remedy="Check what is between the columns")
        words.append(usable_word(found, where))
    return words


def _sentences(
    path: str | Path,
    word: int,
    tag: int,
    separator: str | None,
    comment: str | None,
    by_document: bool,
    on_bad: OnBad | None,
) -> Iterator[Sentence]:
    """Yield the sentences with the tags of the file."""
    document, width = 0, 0
    for block in blocks_of_lines(read_lines(path)):
        words, tags, lines = [], [], []
        try:
            for line in block:
                if line.problem is not None:
                    raise line.problem
                if comment is not None and line.text.startswith(comment):
                    continue
                fields = _fields(line.text, separator)
                if _at(fields, word) == DOCUMENT_START:
                    document += 1
                    continue
                where = f"{path}:{line.number}"
                width = width or len(fields)
                _check_width(fields, width, word, tag, where)
                words.append(usable_word(fields[_index(word)], where))
                tags.append(usable_word(fields[_index(tag)], where))
                lines.append(line.number)
        except DataError as error:
            report_bad(error, on_bad)
            continue
        if words:
            group = f"document {document}" if by_document else None
            yield Sentence(tuple(words), tuple(tags), f"{path}:{lines[0]}", tuple(lines), group)


def _is_word(text: str, word: int, separator: str | None, comment: str | None) -> bool:
    """Whether the reader takes a line for a word."""
    if not text.strip() or (comment is not None and text.startswith(comment)):
        return False
    return _at(_fields(text, separator), word) != DOCUMENT_START


def _fields(text: str, separator: str | None) -> list[str]:
    """Cut a line into its columns."""
    if separator is not None:
        return text.split(separator)
    return [field for field in _SPACES.split(text) if field]


def _index(column: int) -> int:
    """Return where a column of the config is in a list."""
    return column - 1 if column > 0 else column


def _at(fields: Sequence[str], column: int) -> str | None:
    """Return a column, None where the line has no such column."""
    index = _index(column)
    return fields[index] if -len(fields) <= index < len(fields) else None


def _check_width(fields: Sequence[str], width: int, word: int, tag: int, where: str) -> None:
    """Raise for a line whose columns are not those of the lines before it."""
    if len(fields) != width:
        raise DataError(
            f"the line has {len(fields)} column{'s' * (len(fields) != 1)}, the first word of the file {width}",
            where=where,
            remedy="Correct the line; blank lines go between sentences, and the key separator says what is between "
            "columns",
        )
    for key, column in (("word", word), ("tag", tag)):
        if _at(fields, column) is None:
            raise DataError(
                f"there is no column {column}, the line has {len(fields)}",
                where=where,
                remedy=f"Name another with the key {key}, or say with the key separator what is between columns",
            )
    if _index(word) % width == _index(tag) % width:
        raise DataError(
            f"word {word} and tag {tag} are the same column",
            where=where,
            remedy="Say with the key separator what is between columns, with word and tag which they are",
        )


def _check_scheme(sentence: Sentence, scheme: Scheme, guessed: bool) -> None:
    """Raise for the first tag that breaks the rules of a scheme."""
    place = first_fault(sentence.tags, scheme)
    if place is None:
        return
    found = ", which most of the file follows" if guessed else ""
    raise DataError(
        f"the tag {sentence.tags[place][:60]!a} cannot stand here in {scheme}{found}",
        where=sentence.place(place),
        remedy="Correct it, name the scheme with the key scheme, or take tags as they are with scheme: none",
    )
