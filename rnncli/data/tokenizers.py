"""Three ways to cut a text into tokens: words, white space, characters."""

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any, Literal

Tokenizer = Callable[[str], list[str]]
TokenizerKind = Literal["word", "whitespace", "character"]

# Raised whenever a tokenizer gives other tokens for the same text, so that encoded texts in a cache are made anew.
TOKENIZERS_VERSION = 1


def make_tokenizer(kind: TokenizerKind, lowercase: bool) -> Tokenizer:
    r"""Return the function that cuts a text into tokens.

    ``whitespace`` cuts at white space and nothing else, ``character`` makes every character a token, white space
    included. ``word`` works as follows, in this order:

    - The text is lower-cased if asked for; a letter followed by a combining accent becomes the accented letter
      (Unicode NFC); a curly apostrophe is read as a straight one; ``<br>``, ``<br/>`` and ``<br />`` are a space.
    - White space separates tokens and is never part of one.
    - Digits joined by single points or commas are one token: ``3.5``, ``1,000,000``.
    - A run of letters and digits, with the combining marks on them, is a token.
    - Contractions are split off as the Penn Treebank does: ``n't`` at the end of a word, and ``'s``, ``'m``,
      ``'d``, ``'re``, ``'ve``, ``'ll``. Any other apostrophe between letters stays in its word: ``o'brien``.
    - ``<unk>`` is a token: it stands for an unknown word in texts that were made from numbers.
    - Every other character is a token, and a run of the same character is one token: ``...``, ``!!``, ``--``.

    Parameters
    ----------
    kind : {"word", "whitespace", "character"}
        What a token is.
    lowercase : bool
        Whether the text is lower-cased first.

    Returns
    -------
    callable
        Takes a text, returns its list of tokens, in order, none of them empty. Any string is a text.

    Examples
    --------
    >>> words = make_tokenizer("word", lowercase=True)
    >>> words("I don't think it's 3.5 stars!!")
    ['i', 'do', "n't", 'think', 'it', "'s", '3.5', 'stars', '!!']
    >>> words("We'll see... O'Brien can\u2019t act.<br /><br />The end")
    ['we', "'ll", 'see', '...', "o'brien", 'ca', "n't", 'act', '.', 'the', 'end']
    >>> words("A well-made 10/10 (the 80's), _really_ 'good'")
    ['a', 'well', '-', 'made', '10', '/', '10', '(', 'the', '80', "'s", ')', ',', '_', 'really', '_', "'", 'good', "'"]
    >>> make_tokenizer("word", lowercase=False)("DON'T say <unk>, ok!?")
    ['DO', "N'T", 'say', '<unk>', ',', 'ok', '!', '?']
    >>> make_tokenizer("whitespace", lowercase=True)("Not  bad, \n isn't it?")
    ['not', 'bad,', "isn't", 'it?']
    >>> make_tokenizer("character", lowercase=False)("Hi\n!")
    ['H', 'i', '\n', '!']
    """
    split = _SPLITTERS[kind]
    if not lowercase:
        return split
    return lambda text: split(text.lower())


def end_tokenizer(tokenizer: Tokenizer, most: int | None, end: Literal["head", "tail"]) -> Tokenizer:
    """Return a tokenizer for texts of which one end is kept, which does not cut all of a long text into tokens.

    Parameters
    ----------
    tokenizer : callable
        From :func:`make_tokenizer`.
    most : int or None
        The tokens that are kept of a text; None keeps all.
    end : {"head", "tail"}
        Which: the first or the last.

    Returns
    -------
    callable
        Takes a text and returns at least those tokens, and maybe some that stand beside them.
    """
    if most is None:
        return tokenizer

    def cut(text: str) -> list[str]:
        width = CHARACTERS_A_TOKEN * most
        while width < len(text):
            gap = _GAP.search(text, width if end == "head" else len(text) - width)
            if gap is not None:
                tokens = tokenizer(text[: gap.start()] if end == "head" else text[gap.start() :])
                if len(tokens) >= most:
                    return tokens
            width *= 4
        return tokenizer(text)

    return cut


def tokenizer_rules(kind: TokenizerKind, lowercase: bool) -> dict[str, Any]:
    """Return what a tokenizer does in a form that programs without rnncli can follow.

    Parameters
    ----------
    kind, lowercase
        As for :func:`make_tokenizer`.

    Returns
    -------
    dict
        Ready for JSON, to be done in this order: ``lowercase``, whether to lower-case the text; ``normalize``, a
        Unicode normal form or None; ``replace``, pairs of a pattern and what to put in its place; ``token``, the
        pattern whose matches are the tokens. Patterns are those of Python's :mod:`re`.
    """
    rules: dict[str, Any] = {"kind": kind, "lowercase": lowercase, "normalize": None, "replace": []}
    if kind != "word":
        return {**rules, "token": {"whitespace": r"\S+", "character": r"(?s)."}[kind]}
    replace = [["\u2019", "'"], [f"(?i){LINE_BREAK.pattern}", " "], [_NOT.pattern, " "]]
    return {**rules, "normalize": "NFC", "replace": replace, "token": _word_pattern().pattern}


def _split_words(text: str) -> list[str]:
    """Cut a text into words, numbers, contractions and punctuation marks."""
    # Each guard spares most texts a pass; together the passes cost a tenth of the tokenizing.
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("\u2019", "'")
    if "<" in text:
        text = LINE_BREAK.sub(" ", text)
    if "'" in text:
        text = _NOT.sub(" ", text)
    return [match[0] for match in _word_pattern().findall(text)]


LINE_BREAK = re.compile(r"<br\s*(?:/\s*)?>", re.IGNORECASE)
# White space that is in no line break: what stands before it and from it on have the tokens of the whole. Only the
# first of a run, else a long one would be gone through once for each.
_GAP = re.compile(r"(?<=\S)\s(?!\s*(?:/\s*)?>)")
CHARACTERS_A_TOKEN = 8  # that are looked through at first for the tokens to keep
# The place before n't at the end of a word; a space put there makes it a token of its own.
_NOT = re.compile(r"(?=[nN]'[tT](?![^\W_]))")


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return the pattern whose first group is a token; white space is what it does not match."""
    # Python's \w leaves out combining marks, without which words of many scripts (Hindi, Thai, ...) fall apart. Those
    # beyond U+FFFF are left out: with them the set is no longer a table in the re module, and four times slower.
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code)).startswith("M"))
    letters = r"[^\W_]"
    contraction = rf"'(?:[sS]|[mM]|[dD]|[rR][eE]|[vV][eE]|[lL][lL])(?!{letters})"
    return re.compile(
        rf"(\d+(?:[.,]\d+)+"
        rf"|{letters}+(?:(?:[{marks}]|(?!{contraction})'(?={letters})){letters}*)*"
        rf"|{contraction}"
        rf"|<unk>"
        rf"|([^\w\s]|_)\2*)"
    )


_SPLITTERS: dict[TokenizerKind, Tokenizer] = {"word": _split_words, "whitespace": str.split, "character": list}
