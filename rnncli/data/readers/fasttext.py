"""Lines as fastText reads them: ``__label__pos some text``. Blank lines are passed over.

As in fastText a word that begins with ``__label__`` is a label wherever it stands. A classifier here gives one label,
so a line with several is refused rather than read as its first.
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from rnncli.data.readers.columns import shown, usable_label
from rnncli.data.rows import OnBad, Row, report_bad
from rnncli.data.text_files import Line, read_lines
from rnncli.errors import DataError

PREFIX = "__label__"

# fastText separates words at ASCII white space only; a no-break space belongs to the word.
_LABEL = re.compile(r"__label__([^ \t\v\f\r\n]*)")
_ANY_LABEL = re.compile(r"(?:^|(?<=[ \t\v\f\r\n]))__label__[^ \t\v\f\r\n]*[ \t\v\f\r\n]*")
_SPACE = " \t\v\f\r\n"


def read_fasttext(
    path: str | Path,
    skip_labels: Collection[str] = (),
    on_bad: OnBad | None = None,
) -> Iterator[Row]:
    """Yield the rows of a fastText file.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.
    skip_labels : collection of str
        Rows with one of these labels, named without the prefix, are left out.
    on_bad : callable, optional
        Takes the error of each bad row, and reading goes on; None raises it.

    Returns
    -------
    iterator of Row
        In the order of the file; labels without the prefix.

    Raises
    ------
    DataError
        An unreadable or empty file; without `on_bad` also a line with no label, several, or an empty one.
    """
    skipped = frozenset(skip_labels)
    for line in read_lines(path):
        if not line.text.strip(_SPACE):
            continue
        where = f"{path}:{line.number}"
        try:
            text, name = _split(line, where)
        except DataError as error:
            report_bad(error, on_bad)
            continue
        if name not in skipped:
            yield Row(text, name, where)


def read_fasttext_texts(path: str | Path) -> Iterator[str]:
    """Yield the lines of a file without their labels, whether they have none, one or several.

    Parameters
    ----------
    path : str or Path
        The file, plain or compressed.

    Returns
    -------
    iterator of str
        Of the lines that are not blank.

    Raises
    ------
    DataError
        An unreadable or empty file, a line that is not UTF-8 or holds a NUL.
    """
    for line in read_lines(path):
        if line.problem is not None:
            raise line.problem
        words = line.text.strip(_SPACE)
        if words:
            yield _ANY_LABEL.sub("", words).strip(_SPACE)


def _split(line: Line, where: str) -> tuple[str, str]:
    """Return the text of a line and its one label."""
    if line.problem is not None:
        raise line.problem
    found = [m for m in _LABEL.finditer(line.text) if m.start() == 0 or line.text[m.start() - 1] in _SPACE]
    if not found:
        raise DataError(
            "the line has no label",
            where=where,
            remedy=f"Begin it with {PREFIX} and the label: {PREFIX}pos some text",
        )
    if len(found) > 1:
        names = ", ".join(shown(match[1]) for match in found[:5]) + (", ..." if len(found) > 5 else "")
        raise DataError(
            f"the line has {len(found)} labels ({names}), only one is allowed",
            where=where,
            remedy="Keep one, or write one line for each",
        )
    name = found[0][1].strip()
    if not name:
        raise DataError(f"nothing follows {PREFIX}", where=where, remedy=f"Write the label after it: {PREFIX}pos")
    name = usable_label(name, where)
    before, after = line.text[: found[0].start()].strip(_SPACE), line.text[found[0].end() :].strip(_SPACE)
    return f"{before} {after}" if before and after else before or after, name
