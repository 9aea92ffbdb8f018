"""Text by character or by word, with a vocabulary."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnncli.data.language.text_codec import IntArray, TextCodec
from rnncli.data.tokenizers import Tokenizer, make_tokenizer
from rnncli.data.vocabulary import UNKNOWN_ID, Vocabulary

WordKind = Literal["character", "word", "whitespace"]
LINE_END = "\n"

_CODE_POINTS = 0x110000
_NO_SPACE_BEFORE = frozenset(".,!?;:)]}%'\u2019\u201d\u2026") | {"n't", "'s", "'m", "'d", "'re", "'ve", "'ll"}
_NO_SPACE_AFTER = frozenset("([{\u201c\u2018")


class WordCodec(TextCodec):
    """Characters or words, those of a vocabulary with an id of their own.

    Words of a line are decoded with single spaces between, but for punctuation, which is put where English has it; a
    line end is a token.

    Parameters
    ----------
    kind : {"character", "word", "whitespace"}
        As for :func:`rnncli.data.tokenizers.make_tokenizer`.
    lowercase : bool
        Whether the text is lower-cased first.
    vocabulary : Vocabulary
        The tokens.
    with_end : bool
        As for :class:`TextCodec`.
    """

    def __init__(
        self,
        kind: WordKind,
        lowercase: bool,
        vocabulary: Vocabulary,
        with_end: bool,
    ) -> None:
        super().__init__(len(vocabulary), with_end, UNKNOWN_ID)
        self.kind, self.lowercase, self.vocabulary = kind, lowercase, vocabulary
        self._tokenize = make_tokenizer(kind, lowercase)
        self._ids_by_code: IntArray | None = None

    def encode(self, text: str) -> IntArray:
        """Return the ids of a text."""
        if self.kind == "character":
            return self._table()[_codes(text.lower() if self.lowercase else text)]
        return self.vocabulary.encode(_words_and_line_ends(text, self._tokenize)).astype(np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids."""
        return "".join(self.stream(ids))

    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of ids while they come."""
        tokens = self.vocabulary.tokens
        before = LINE_END
        for number in ids:
            if number == self.end_of_text:
                before = LINE_END
                continue
            token = tokens[number]
            if self.kind == "character":
                yield "\N{REPLACEMENT CHARACTER}" if number == UNKNOWN_ID else token
                continue
            joined = LINE_END in (before, token) or (
                self.kind == "word" and (token in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER)
            )
            yield token if joined else f" {token}"
            before = token

    def to_json(self) -> str:
        """Return the codec as JSON."""
        fields = {
            "kind": self.kind,
            "lowercase": self.lowercase,
            "tokens": self.vocabulary.tokens,
            "with_end": self.end_of_text is not None,
        }
        return json.dumps(fields, ensure_ascii=False)

    def _table(self) -> IntArray:
        """Return the id of each code point."""
        if self._ids_by_code is None:
            table = np.full(_CODE_POINTS, UNKNOWN_ID, dtype=np.int64)
            for number, token in enumerate(self.vocabulary.tokens):
                if len(token) == 1:
                    table[ord(token)] = number
            self._ids_by_code = table
        return self._ids_by_code


def count_tokens(texts: Iterable[str], kind: WordKind, lowercase: bool) -> Counter[str]:
    """Return how often each token of a text occurs.

    Parameters
    ----------
    texts : iterable of str
        The text in blocks that end where words end.
    kind, lowercase
        As for :class:`WordCodec`.

    Returns
    -------
    Counter of str
        Line ends included.
    """
    if kind == "character":
        return _count_characters(texts, lowercase)
    counts: Counter[str] = Counter()
    tokenize = make_tokenizer(kind, lowercase)
    for text in texts:
        counts.update(_words_and_line_ends(text, tokenize))
    return counts


def _words_and_line_ends(text: str, tokenize: Tokenizer) -> Sequence[str]:
    r"""Return the words of a text with a ``\n`` for each of its line ends."""
    first, *others = text.split(LINE_END)
    tokens = tokenize(first)
    for line in others:
        tokens.append(LINE_END)
        tokens += tokenize(line)
    return tokens


def _count_characters(texts: Iterable[str], lowercase: bool) -> Counter[str]:
    """Return how often each character occurs."""
    counts = np.zeros(_CODE_POINTS, dtype=np.int64)
    for text in texts:
        found = np.bincount(_codes(text.lower() if lowercase else text))
        counts[: len(found)] += found
    return Counter({chr(code): int(counts[code]) for code in np.flatnonzero(counts).tolist()})


def _codes(text: str) -> npt.NDArray[np.uint32]:
    """Return the code point of each character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
