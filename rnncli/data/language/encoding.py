"""A text as token ids, block by block."""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.data.language.blocks import Block
from rnncli.data.language.sources import language_source_name, read_documents
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.token_store import Writer
from rnncli.data.readers import Source
from rnncli.errors import DataError


@dataclass(frozen=True, eq=False)
class EncodedText:
    """A text as token ids.

    Parameters
    ----------
    tokens : ndarray of shape (total,), unsigned integers
        Its ids in the smallest type that holds them, mapped from a file and read-only. Where documents are separated,
        an end-of-text token stands before the first, between two, and after the last.
    characters : int
        The characters of all tokens but the first, which is what a model predicts.
    unknown : int
        How many tokens but the first are the unknown one.
    """

    tokens: npt.NDArray[Any]
    characters: int
    unknown: int

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.tokens)


def encode_text(source: Source, boundary: str | None, codec: TextCodec) -> EncodedText:
    """Return a text encoded with a codec that is given, held in memory.

    Parameters
    ----------
    source : Source
        Where the text is.
    boundary : {"file", "blank_line", "line"} or None
        What ends a document, as in the config; without effect where the codec has no end-of-text token.
    codec : TextCodec
        From a checkpoint.

    Returns
    -------
    EncodedText
        At least two tokens.

    Raises
    ------
    DataError
        If the source cannot be read, or is too short.
    """
    file = io.BytesIO()
    writer = Writer(file, codec.size)
    facts = encode_blocks(read_documents(source, boundary), codec, writer, language_source_name(source))
    tokens = np.frombuffer(file.getvalue(), dtype=writer.dtype)
    return EncodedText(tokens, facts["characters"], facts["unknown"])


def encode_blocks(blocks: Iterable[Block], codec: TextCodec, writer: Writer, where: str) -> dict[str, Any]:
    """Write the ids of a text, with end-of-text tokens before, between and after documents where the codec has one.

    Parameters
    ----------
    blocks : iterable of Block
        The text.
    codec : TextCodec
        Gives it ids.
    writer : Writer
        Takes them.
    where : str
        Name of the source, for messages.

    Returns
    -------
    dict
        ``characters`` and ``unknown``, as in :class:`EncodedText`.

    Raises
    ------
    DataError
        If there is nothing to predict in the text.
    """
    end = codec.end_of_text
    characters = unknown = 0
    first: int | None = end
    if end is not None:
        writer.write([end])
    for block in blocks:
        ids = codec.encode(block.text)
        writer.write(ids)
        if first is None and len(ids):
            first = int(ids[0])
        characters += len(block.text)
        if codec.unknown is not None:
            unknown += int(np.count_nonzero(ids == codec.unknown))
        if block.ends and end is not None:
            writer.write([end])
    if writer.tokens < 2 or first is None or (end is not None and not characters):
        raise DataError(
            f"the text has {characters:,} characters, which is too short to predict anything in it", where=where
        )
    return {
        "characters": max(characters - len(codec.decode([first])), 0),
        "unknown": unknown - (first == codec.unknown),
    }
