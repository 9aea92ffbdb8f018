"""A text whose words are coloured by how far each pushed a score, as HTML for :func:`rnncli.pages.page`."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from rnncli.errors import shown_on_one_line

# For the page that the words are put into. Below a word that counts there is a line, drawn through for and broken
# against, so that nobody needs to tell the colours apart.
STYLE = """
.words { white-space: pre-wrap; line-height: 1.9; }
.words span { padding: 0.1em 0.05em; border-radius: 0.2em; border-bottom: 2px solid transparent; }
.words .for { background: rgba(var(--for), var(--size)); }
.words .against { background: rgba(var(--against), var(--size)); }
.words .for.much { border-bottom: 2px solid rgb(var(--for)); }
.words .against.much { border-bottom: 2px dashed rgb(var(--against)); }
.words .unknown { font-style: italic; text-decoration: underline dotted; }
.words .unread { opacity: 0.5; }
"""

MUCH = 0.3  # of the largest push: what gets a line below it
_LEAST = 0.04  # below which a word has no colour
_FULL = 0.6  # how opaque the full colour is: ink on it has a contrast of 4.5, in the dark too


class Piece(NamedTuple):
    """A piece of a text.

    Attributes
    ----------
    text : str
        As its author wrote it.
    push : float or None
        How far it pushed the score; None for what lies between the words, and for what the model did not read.
    unknown : bool
        Whether it is a word that the model does not know.
    unread : bool
        Whether it is cut off before the model reads it.
    attention : float or None
        How much of a model's attention, 1 in all, lies on it; None where the model has none.
    """

    text: str
    push: float | None = None
    unknown: bool = False
    unread: bool = False
    attention: float | None = None


def words_html(tokens: Sequence[str], scores: Sequence[float], *, scale: float | None = None) -> str:
    """Return tokens as HTML, each with the colour of its score.

    Parameters
    ----------
    tokens : sequence of str
        The words, shown with a blank between them.
    scores : sequence of float
        How far each pushed a score; positive for it.
    scale : float, optional
        The score that gets the full colour; the largest when not given.

    Returns
    -------
    str
        A ``div`` for a page with ``STYLE``.
    """
    pieces = []
    for token, score in zip(tokens, scores, strict=True):
        pieces += [Piece(token, float(score)), Piece(" ")]
    return pieces_html(pieces[:-1], scale=scale)


def pieces_html(pieces: Iterable[Piece], *, scale: float | None = None) -> str:
    """Return a text in pieces as HTML.

    Parameters
    ----------
    pieces : iterable of Piece
        In order.
    scale : float, optional
        The push that gets the full colour; the largest when not given.

    Returns
    -------
    str
        A ``div`` for a page with ``STYLE``; line ends stay, other control characters are shown escaped.
    """
    pieces = list(pieces)
    full = scale or largest(pieces)
    return f'<div class="words">{"".join(_html(piece, full) for piece in pieces)}</div>'


def largest(pieces: Iterable[Piece]) -> float:
    """Return the size of the largest push, 1 if there is none."""
    return max((abs(piece.push) for piece in pieces if piece.push is not None), default=0) or 1.0


def decimals(full: float, least: int) -> int:
    """Return how many decimals give the largest push two digits, ``least`` or more."""
    return max(least, 1 - math.floor(math.log10(full)))


def _html(piece: Piece, full: float) -> str:
    text = escape("\n".join(shown_on_one_line(line) for line in piece.text.split("\n")))
    if piece.unread:
        return f'<span class="unread">{text}</span>'
    if piece.push is None:
        return text
    size = min(abs(piece.push) / full, 1)
    title = f"{piece.push:+.{decimals(full, 3)}f}" + (", unknown to the model" if piece.unknown else "")
    title += "" if piece.attention is None else f", attention {piece.attention:.1%}"
    classes = []
    if size >= _LEAST:
        classes.append("for" if piece.push > 0 else "against")
    if size >= MUCH:
        classes.append("much")
    if piece.unknown:
        classes.append("unknown")
    names = f' class="{" ".join(classes)}"' if classes else ""
    style = f' style="--size: {_FULL * size:.2f}"' if size >= _LEAST else ""
    return f'<span{names}{style} title="{title}">{text}</span>'
