"""One labelled text, as every reader yields it, and how a bad one is reported."""

from collections.abc import Callable
from typing import NamedTuple

from rnncli.errors import DataError

# Called with each bad row when reading is to go on after it; None stands for "raise".
OnBad = Callable[[DataError], None]

# Joins letters or keeps them apart, as Persian, Hindi and emoji are written; no terminal shows it by itself.
_JOINERS = "\u200c\u200d"


class Row(NamedTuple):
    """One labelled text.

    Parameters
    ----------
    text : str
        The text as the file has it; it may be empty, it never holds a NUL character or a lone surrogate.
    label : str
        The name of its class, not empty, without white space around it.
    where : str
        ``file:line``, or the file where one file is one text.
    group : str, optional
        The group that a split must keep on one side. None where the source has no group column or the row's is
        empty: such a row stands alone.
    """

    text: str
    label: str
    where: str
    group: str | None = None


def report_bad(error: DataError, on_bad: OnBad | None) -> None:
    """Raise ``error``, or hand it to ``on_bad`` so that reading can go on with the next row.

    Parameters
    ----------
    error : DataError
        What is wrong with one row.
    on_bad : callable, optional
        Takes the error; None raises it.

    Raises
    ------
    DataError
        ``error`` itself, when ``on_bad`` is None.
    """
    if on_bad is None:
        raise error
    on_bad(error)


def short_label(label: str, most: int = 40) -> str:
    """Return a label that fits on a line and shows what in it cannot be seen.

    Parameters
    ----------
    label : str
        Any label.
    most : int
        The most characters to return.

    Returns
    -------
    str
        The label, what in it cannot be seen escaped, with an ellipsis at its end where some of it is left out.
    """
    label = "".join(c if c.isprintable() or c in _JOINERS else ascii(c)[1:-1] for c in label)
    return label if len(label) <= most else f"{label[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
