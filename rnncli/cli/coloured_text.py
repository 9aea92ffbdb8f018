"""A text on a terminal, its words in the colours of their pushes, wrapped, and cut down to what fits."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click
import numpy as np

from rnncli.cli.tables import columns
from rnncli.coloured_words import Piece, decimals, largest
from rnncli.errors import shown_on_one_line

UNREAD_WORDS = 8  # shown of what was not read, on either side
_LEVELS = (0.6, 0.25, 0.08)  # of the largest push
# Background and letters of each level, from the 256 colours that terminals have; readable on light and on dark.
_FOR = ((25, 231), (75, 16), (153, 16))
_AGAINST = ((166, 231), (215, 16), (223, 16))


class Look(NamedTuple):
    """What there is to print on.

    Attributes
    ----------
    width : int
        Columns.
    height : int or None
        Lines; None for as many as it takes.
    colours : bool
        Whether colours are shown.
    top : int
        Words in the table.
    """

    width: int
    height: int | None
    colours: bool
    top: int


def text_lines(pieces: Sequence[Piece], look: Look, *, mark: float = 0.0) -> list[str]:
    """Lay out a text in pieces, each word with the colour of its push.

    Parameters
    ----------
    pieces : sequence of Piece
        The text.
    look : Look
        Where the height does not suffice, the lines with the strongest words are shown.
    mark : float
        Where there are no colours, pushes from this on stand in brackets behind their words.

    Returns
    -------
    list of str
        Lines that fit the width.
    """
    pieces = [_trimmed(piece, n == 0) if piece.unread else piece for n, piece in enumerate(pieces)]
    full = largest(pieces)
    lines: list[str] = []
    peaks: list[float] = []  # the strongest push of each line
    line, used, peak, blanks = "", 0, 0.0, 0
    for chunk in _chunks(pieces):
        if chunk is None:
            lines.append(line)
            peaks.append(peak)
            line, used, peak, blanks = "", 0, 0.0, 0
            continue
        styled = "".join(_styled(piece, full, mark, look) for piece in chunk)
        size = columns(styled)
        if used and used + blanks + size > look.width:
            lines.append(line)
            peaks.append(peak)
            line, used, peak, blanks = "", 0, 0.0, 0
        line += " " * blanks + styled
        used, blanks = used + blanks + size, 0 if _is_blank(chunk[-1]) else 1
        peak = max(peak, *(abs(piece.push or 0) for piece in chunk))
    lines.append(line)
    peaks.append(peak)
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return _shortened(lines, peaks, look.height)


def _trimmed(piece: Piece, before: bool) -> Piece:
    """Leave of what was not read only what stands next to what was."""
    words = piece.text.split()
    if len(words) <= UNREAD_WORDS:
        return piece
    kept = " ".join(words[-UNREAD_WORDS:] if before else words[:UNREAD_WORDS])
    dots = "\N{HORIZONTAL ELLIPSIS}"
    blanks = [" " if piece.text[end].isspace() else "" for end in (0, -1)]
    return piece._replace(text=f"{dots} {kept}{blanks[1]}" if before else f"{blanks[0]}{kept} {dots}")


def _chunks(pieces: Iterable[Piece]) -> Iterator[list[Piece] | None]:
    """Yield what stands between white space, and None for the end of a line; many empty lines are one."""
    chunk: list[Piece] = []
    ends = 2
    for piece in pieces:
        for number, part in enumerate(piece.text.split("\n")):
            if number:
                if chunk:
                    yield chunk
                    chunk, ends = [], 0
                if ends < 2:
                    yield None
                ends += 1
            if piece.push is not None:
                chunk.append(piece._replace(text=part))
                if part.isspace():  # a character of its own
                    yield chunk
                    chunk, ends = [], 0
                continue
            words = part.split()
            if chunk and (not words or part[0].isspace()):
                yield chunk
                chunk, ends = [], 0
            for place, word in enumerate(words):
                chunk.append(piece._replace(text=word))
                if place + 1 < len(words) or part[-1].isspace():
                    yield chunk
                    chunk, ends = [], 0
    if chunk:
        yield chunk


def _is_blank(piece: Piece) -> bool:
    return piece.push is not None and piece.text.isspace()


def _styled(piece: Piece, full: float, mark: float, look: Look) -> str:
    push = ""
    if piece.push is not None and not look.colours and abs(piece.push) >= mark:
        push = f"[{piece.push:+.{decimals(full, 2)}f}]"
    text = _cut(shown_on_one_line(piece.text), look.width - len(push)) + push
    if piece.unread:
        return click.style(text, dim=True)
    if piece.push is None or not look.colours:
        return text
    size = abs(piece.push) / full
    level = next((number for number, least in enumerate(_LEVELS) if size >= least), None)
    underline = True if piece.unknown else None
    if level is None:
        return click.style(text, underline=underline) if underline else text
    background, ink = (_FOR if piece.push > 0 else _AGAINST)[level]
    return click.style(text, bg=background, fg=ink, bold=True if level == 0 else None, underline=underline)


def _cut(text: str, width: int) -> str:
    """Return a text, or what of it fits with dots behind it."""
    if len(text) <= width and columns(text) <= width:
        return text
    text = text[: width - 1]
    while columns(text) > width - 1:
        text = text[:-1]
    return text + "\N{HORIZONTAL ELLIPSIS}"


def _shortened(lines: list[str], peaks: list[float], height: int | None) -> list[str]:
    """Keep the lines with the strongest words, in order, where there are more than fit."""
    if height is None or len(lines) <= height:
        return lines
    by_peak = np.argsort(-np.array(peaks), kind="stable").tolist()
    for count in range(height - 1, 0, -1):
        kept = sorted(by_peak[:count])
        left = counted(len(lines) - count, "line")
        out = [f"({left} with weaker words left out; --html FILE has the whole text)"]
        after = len(lines)
        for number in reversed(kept):
            out = [lines[number], *(["\N{HORIZONTAL ELLIPSIS}"] if number + 1 < after else []), *out]
            after = number
        out = [*(["\N{HORIZONTAL ELLIPSIS}"] if after else []), *out]
        if len(out) <= height:
            break
    return out


def counted(count: int, noun: str) -> str:
    """Return ``1 word``, ``2,000 words``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def fitted(line: str, width: int, indent: int = 12) -> list[str]:
    """Wrap a line of prose, with what is wrapped indented."""
    return textwrap.wrap(line, max(width, 40), subsequent_indent=" " * indent, break_on_hyphens=False)
