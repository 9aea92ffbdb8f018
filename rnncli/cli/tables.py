"""Columns of text for a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from unicodedata import east_asian_width

import click


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Lay out rows in columns.

    Parameters
    ----------
    heads : sequence of str
        The name of each column; may be empty.
    rows : sequence of sequence of str
        The cells; they may hold the colours of ``click.style``.
    left : int
        So many columns from the left begin where their heads do (words); the others end there (numbers).

    Returns
    -------
    list of str
        The heads, then a line for each row, with two blanks between columns and none at the end.
    """
    everything = [heads, *rows]
    return list(padded(everything, widths_of(everything), left=left))


def widths_of(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return how wide each column of some rows is, at least one row."""
    widths: list[int] = []
    for cells in rows:
        found = list(map(columns, cells))
        widths = list(map(max, widths, found)) if widths else found
    return widths


def padded(rows: Iterable[Sequence[str]], widths: Sequence[int], *, left: int) -> Iterator[str]:
    """Yield a line of :func:`table` for each row."""
    for cells in rows:
        line = []
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            blanks = " " * (width - columns(cell))
            line.append(cell + blanks if number < left else blanks + cell)
        yield "  ".join(line).rstrip()


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes; colours take none, Chinese characters two each."""
    plain = click.unstyle(text) if "\x1b" in text else text
    wide = 0 if plain.isascii() else sum(east_asian_width(character) in "WF" for character in plain)
    return len(plain) + wide
