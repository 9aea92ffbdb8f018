"""Sub-words, through the tokenizers package, which is imported when one of these functions is called."""

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rnncli.data.language.text_codec import IntArray, TextCodec
from rnncli.data.text_files import read_text
from rnncli.errors import ConfigError, DataError

MAX_FILE_BYTES = 256 * 2**20
# The package takes 256 texts at a time to learn from; of this many characters they are small beside the rest.
_PIECE = 2**13


class SubwordCodec(TextCodec):
    """A tokenizer of the tokenizers package.

    Parameters
    ----------
    serialized : str
        Its JSON, as in a ``tokenizer.json``.
    with_end : bool
        As for :class:`rnncli.data.language.text_codec.TextCodec`.

    Raises
    ------
    ValueError
        If the package cannot make a tokenizer of it.
    """

    def __init__(self, serialized: str, with_end: bool) -> None:
        package = _package()
        try:
            tokenizer = package.Tokenizer.from_str(serialized)
        except Exception as error:  # the package raises Exception itself
            raise ValueError(f"not a tokenizer ({error})") from error
        # What a file says of special tokens, cutting and padding is meant for other models' inputs.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        ids = tokenizer.get_vocab(with_added_tokens=True).values()
        if not ids:
            raise ValueError("not a tokenizer (it has no tokens)")
        unknown = getattr(tokenizer.model, "unk_token", None)
        super().__init__(max(ids) + 1, with_end, None if unknown is None else tokenizer.token_to_id(unknown))
        self._tokenizer, self._package, self._serialized = tokenizer, package, serialized

    def encode(self, text: str) -> IntArray:
        """Return the ids of a text."""
        # As encode() of one text, without the places of the tokens in it, which take a quarter of the time.
        (found,) = self._tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return np.array(found.ids, dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids."""
        parts: list[list[int]] = [[]]
        for number in ids:
            if number == self.end_of_text:
                parts.append([])
            else:
                parts[-1].append(int(number))
        return "".join(self._tokenizer.decode(part, skip_special_tokens=False) for part in parts)

    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of ids while they come."""
        part: list[int] = []
        shown = ""
        for number in ids:
            if number == self.end_of_text:
                if rest := self.decode(part)[len(shown) :]:
                    yield rest
                part, shown = [], ""
                continue
            part.append(int(number))
            text = self.decode(part)
            if text.endswith("\N{REPLACEMENT CHARACTER}") or len(text) <= len(shown):
                continue
            yield text[len(shown) :]
            # What is decoded next depends on what came before by a space at most: keep the last token alone.
            part = part[-1:]
            shown = self.decode(part)
        if rest := self.decode(part)[len(shown) :]:
            yield rest

    def to_json(self) -> str:
        """Return the codec as JSON."""
        fields = {"kind": "subwords", "tokenizer": self._serialized, "with_end": self.end_of_text is not None}
        return json.dumps(fields, ensure_ascii=False)


def train_bpe(texts: Iterable[str], size: int, min_count: int, with_end: bool) -> SubwordCodec:
    """Return a byte-level BPE learned from texts: any text can be encoded, and is decoded exactly.

    Parameters
    ----------
    texts : iterable of str
        What to learn from, in blocks.
    size : int
        Tokens to have, at least 256 for the bytes; fewer where the texts have no more pairs to merge.
    min_count : int
        Times a pair must occur to become a token.
    with_end : bool
        As for :class:`rnncli.data.language.text_codec.TextCodec`; its token comes on top of ``size``.

    Returns
    -------
    SubwordCodec
        The same for the same texts.

    Raises
    ------
    ConfigError
        If the tokenizers package is not installed.
    """
    package = _package()
    from tokenizers import decoders, models, pre_tokenizers, trainers

    tokenizer = package.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_short_pieces(texts), trainer=trainer)
    return SubwordCodec(tokenizer.to_str(), with_end)


def load_tokenizer_file(path: str, with_end: bool) -> SubwordCodec:
    """Return the codec of a ``tokenizer.json``.

    Parameters
    ----------
    path : str
        The file.
    with_end : bool
        As for :class:`rnncli.data.language.text_codec.TextCodec`.

    Returns
    -------
    SubwordCodec
        Encodes as the file says, without its special tokens.

    Raises
    ------
    DataError
        If the file cannot be read or is no tokenizer.
    ConfigError
        If the tokenizers package is not installed.
    """
    serialized = read_text(path, MAX_FILE_BYTES)
    try:
        return SubwordCodec(serialized, with_end)
    except ValueError as error:
        raise DataError(
            f"is {error}", where=path, remedy="Name a tokenizer.json as the tokenizers package writes it"
        ) from error


def _short_pieces(texts: Iterable[str]) -> Iterator[str]:
    """Yield texts in pieces that end with a line."""
    for text in texts:
        start = 0
        while start < len(text):
            stop = text.find("\n", start + _PIECE) + 1 or len(text)
            yield text[start:stop]
            start = stop


def _package() -> Any:
    """Return the tokenizers package."""
    # Its threads and a later fork of this process do not go together, which it would say on standard error.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        import tokenizers
    except ImportError as error:
        raise ConfigError(
            "sub-words need the tokenizers package, which is not installed",
            where="data.tokenizer.kind",
            remedy="Type: python -m pip install 'tokenizers>=0.21'",
        ) from error
    return tokenizers
