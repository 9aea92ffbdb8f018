"""Where the tokens of a text lie in it, so that people can be shown their own text."""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rnncli.data.tokenizers import LINE_BREAK, TokenizerKind

Span = tuple[int, int]


class _Read(NamedTuple):
    """Characters as the tokenizer reads them."""

    text: str
    span: Span  # of the original


def token_spans(text: str, tokens: Sequence[str], kind: TokenizerKind, lowercase: bool) -> list[Span] | None:
    """Find each token of a text in the text.

    Parameters
    ----------
    text : str
        The text.
    tokens : sequence of str
        All its tokens, as :func:`rnncli.data.tokenizers.make_tokenizer` cuts them.
    kind, lowercase
        As for the tokenizer.

    Returns
    -------
    list of (start, end) or None
        One for each token, ``text[start:end]``, rising. Two tokens share a character only where the tokenizer made two
        out of it. None where the text cannot be followed through the tokenizer's changes.
    """
    seen, origin = _as_read(text, kind, lowercase)
    if kind == "word":
        seen = LINE_BREAK.sub(lambda match: " " * len(match[0]), seen)
    spans = []
    place = 0
    for token in tokens:
        if kind != "character":
            while place < len(seen) and seen[place].isspace():
                place += 1
        end = place + len(token)
        if not token or seen[place:end] != token:
            return None
        spans.append((place, end) if origin is None else (origin[place][0], origin[end - 1][1]))
        place = end
    return spans


def _as_read(text: str, kind: TokenizerKind, lowercase: bool) -> tuple[str, list[Span] | None]:
    """Return a text as the tokenizer reads it, and where each character comes from; None where it is the same place."""
    seen = text.lower() if lowercase else text
    normal = kind != "word" or unicodedata.is_normalized("NFC", seen)
    if len(seen) == len(text) and normal:
        return seen.replace("\u2019", "'") if kind == "word" else seen, None
    read = list(_lowered(text)) if lowercase else [_Read(c, (i, i + 1)) for i, c in enumerate(text)]
    if kind == "word":
        read = [
            _Read(unicodedata.normalize("NFC", piece.text).replace("\u2019", "'"), piece.span)
            for piece in _clusters(read)
        ]
    return "".join(piece.text for piece in read), [piece.span for piece in read for _ in piece.text]


def _lowered(text: str) -> Iterator[_Read]:
    """Yield what each character becomes in ``text.lower()``, where a few become two."""
    lower, place = text.lower(), 0
    for i, character in enumerate(text):
        length = len(character.lower())  # what a sigma becomes depends on its place, its length does not
        yield _Read(lower[place : place + length], (i, i + 1))
        place += length


def _clusters(read: Sequence[_Read]) -> Iterator[_Read]:
    """Join each letter with the marks after it: what normalization may turn into one character."""
    text, start, end = "", 0, 0
    for piece in read:
        joins = unicodedata.category(piece.text[0])[0] == "M" or "\u1160" <= piece.text[0] <= "\u11ff"
        if text and not joins:
            yield _Read(text, (start, end))
            text = ""
        if not text:
            start = piece.span[0]
        text, end = text + piece.text, piece.span[1]
    if text:
        yield _Read(text, (start, end))
