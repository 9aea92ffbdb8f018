"""Columns of text for a terminal."""

from collections.abc import Sequence
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
    widths = [max(map(columns, cells)) for cells in zip(heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            blanks = " " * (width - columns(cell))
            padded.append(cell + blanks if number < left else blanks + cell)
        return "  ".join(padded).rstrip()

    return [line(heads), *map(line, rows)]


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes; colours take none, Chinese characters two each."""
    plain = click.unstyle(text)
    return len(plain) + sum(east_asian_width(character) in "WF" for character in plain)
