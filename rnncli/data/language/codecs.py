"""The codec that a config asks for, and the codec that a checkpoint holds."""

import json
from collections.abc import Iterable
from typing import Any, Literal, Protocol

from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.word_codec import WordCodec, WordKind, count_tokens
from rnncli.data.readers import Source
from rnncli.data.vocabulary import Vocabulary, build_vocabulary
from rnncli.errors import DataError


class WordSettings(Source, Protocol):
    """A vocabulary of characters or of words."""

    @property
    def kind(self) -> WordKind: ...  # noqa: D102
    @property
    def lowercase(self) -> bool: ...  # noqa: D102
    @property
    def max_vocab(self) -> int: ...  # noqa: D102
    @property
    def min_count(self) -> int: ...  # noqa: D102


class BpeSettings(Source, Protocol):
    """A vocabulary of sub-words that is learned from the text."""

    @property
    def kind(self) -> Literal["bpe"]: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def min_count(self) -> int: ...  # noqa: D102


class FileSettings(Source, Protocol):
    """A tokenizer that somebody else has made."""

    @property
    def kind(self) -> Literal["file"]: ...  # noqa: D102
    @property
    def path(self) -> str: ...  # noqa: D102


CodecSettings = WordSettings | BpeSettings | FileSettings


def learn_codec(settings: CodecSettings, texts: Iterable[str], with_end: bool, where: str) -> TextCodec:
    """Return the codec that a config asks for, having learned from the training part what there is to learn.

    Parameters
    ----------
    settings : CodecSettings
        The ``data.tokenizer`` section of a config.
    texts : iterable of str
        The training part in blocks that end where words end.
    with_end : bool
        Whether documents are separated.
    where : str
        Name of the source, for messages.

    Returns
    -------
    TextCodec
        The same for the same text and settings.

    Raises
    ------
    DataError
        If no token occurs often enough, or a tokenizer's file cannot be used.
    RnncliError
        If sub-words are asked for and the tokenizers package is not installed.
    """
    if settings.kind == "bpe":
        from rnncli.data.language.bpe import train_bpe

        return train_bpe(texts, settings.size, settings.min_count, with_end)
    if settings.kind == "file":
        from rnncli.data.language.bpe import load_tokenizer_file

        return load_tokenizer_file(settings.path, with_end)
    counts = count_tokens(texts, settings.kind, settings.lowercase)
    vocabulary = build_vocabulary(counts, settings.min_count, settings.max_vocab)
    if len(vocabulary) == 1:
        raise DataError(
            f"no token occurs {settings.min_count} times in the training part",
            where=where,
            remedy="Lower data.tokenizer.min_count",
        )
    return WordCodec(settings.kind, settings.lowercase, vocabulary, with_end)


def codec_from_json(text: str) -> TextCodec:
    """Return the codec that :meth:`TextCodec.to_json` wrote.

    Parameters
    ----------
    text : str
        From a checkpoint or a cache.

    Returns
    -------
    TextCodec
        An equal one.

    Raises
    ------
    ValueError
        If the text is not a codec.
    RnncliError
        If it is one of sub-words and the tokenizers package is not installed.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        kind, with_end = fields["kind"], fields["with_end"]
        if type(with_end) is not bool:
            raise ValueError("with_end is neither true nor false")
        if kind == "subwords":
            from rnncli.data.language.bpe import SubwordCodec

            return SubwordCodec(fields["tokenizer"], with_end)
        if kind not in ("character", "word", "whitespace") or type(fields["lowercase"]) is not bool:
            raise ValueError(f"unknown kind {str(kind)[:60]!a}")
        if not all(isinstance(token, str) for token in fields["tokens"]):
            raise ValueError("a token is not text")
        return WordCodec(kind, fields["lowercase"], Vocabulary(fields["tokens"]), with_end)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"not a text codec ({error})") from error
