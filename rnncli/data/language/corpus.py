"""The training and the validation part of a language model's text as token ids, however long the text is.

Everything is done in passes over blocks of the text, so that memory does not grow with it.
"""

import hashlib
import json
import os
import unicodedata
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

from rnncli.data.cache import hash_file
from rnncli.data.language.blocks import Block, part_of
from rnncli.data.language.codecs import CodecSettings, codec_from_json, learn_codec
from rnncli.data.language.encoding import EncodedText, encode_blocks
from rnncli.data.language.separate_texts import are_separate, shaping
from rnncli.data.language.sources import language_source_name, read_documents, source_files
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.token_store import Writer, make_entry, open_entry
from rnncli.data.readers import Source
from rnncli.data.tokenizers import TOKENIZERS_VERSION
from rnncli.errors import DataError

# Raised whenever the same files and settings give other ids.
CORPUS_VERSION = 1

Blocks = Callable[[], Iterator[Block]]


class LanguageSettings(Protocol):
    """Where the text is and how it becomes ids; ``rnncli.config.language`` says what each key means."""

    @property
    def train(self) -> Source: ...  # noqa: D102
    @property
    def valid(self) -> Source | None: ...  # noqa: D102
    @property
    def valid_fraction(self) -> float: ...  # noqa: D102
    @property
    def document_boundary(self) -> str | None: ...  # noqa: D102
    @property
    def tokenizer(self) -> CodecSettings: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Corpus:
    """What training a language model needs.

    Parameters
    ----------
    train, valid : EncodedText
        The two parts.
    codec : TextCodec
        Text to ids and back; learned from the training part where there is something to learn.
    """

    train: EncodedText
    valid: EncodedText
    codec: TextCodec


def load_corpus(data: LanguageSettings, cache_dir: Path) -> Corpus:
    """Return the encoded training and validation parts, from the cache where it has them.

    Without ``data.valid`` the last characters of the training source, a share of ``valid_fraction``, are held back: the
    same text whatever the tokens are. Of texts that are apart from the start whole ones are: those that begin among
    these characters.

    Parameters
    ----------
    data : LanguageSettings
        The ``data`` section of a config.
    cache_dir : Path
        Folder of the cache. What does not fit into memory has to be written somewhere, so there is no way without.

    Returns
    -------
    Corpus
        The same whether it was in the cache or not.

    Raises
    ------
    DataError
        If the text cannot be read, a part is too short to predict anything in, no token occurs often enough, or the
        cache cannot be written.
    RnncliError
        If sub-words are asked for and the tokenizers package is not installed.
    """
    path = cache_dir / corpus_key(data)
    found = open_corpus(path)
    if found is None:
        make_entry(path, partial(_encode_parts, data))
        found = open_corpus(path)
    if found is None:
        raise DataError("what was just written cannot be read back", where=str(path), remedy="Check the disk")
    return found


def corpus_key(data: LanguageSettings) -> str:
    """Return the name of a corpus in the cache.

    It changes with every byte of the files that the text comes from, and with every setting that shapes the ids; not
    when the files move.

    Parameters
    ----------
    data : LanguageSettings
        The ``data`` section of a config.

    Returns
    -------
    str
        The name of a folder.

    Raises
    ------
    DataError
        If there are no files to read.
    """
    tokenizer: dict[str, Any] = data.tokenizer.model_dump()
    version = ""
    if tokenizer["kind"] in ("bpe", "file"):
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as version_of

        with suppress(PackageNotFoundError):
            version = version_of("tokenizers")
    settings: tuple[Any, ...] = (
        *(CORPUS_VERSION, TOKENIZERS_VERSION, unicodedata.unidata_version, version),
        *({key: value for key, value in tokenizer.items() if key != "path"}, data.document_boundary),
        None if data.valid is not None else data.valid_fraction,
    )
    apart = [shaping(source) if source and are_separate(source) else None for source in (data.train, data.valid)]
    settings += (apart,) if any(apart) else ()
    hasher = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    files = [("train", path) for path in source_files(data.train)]
    files += [] if data.valid is None else [("valid", path) for path in source_files(data.valid)]
    files += [("tokenizer", Path(tokenizer["path"]))] if tokenizer["kind"] == "file" else []
    for name, path in files:
        # A file that cannot be read is for its reader to report.
        with suppress(OSError, ValueError):
            hash_file(hasher, path, f"{name}{path.suffix}")
    return f"{hasher.hexdigest()}.corpus"


def _encode_parts(data: LanguageSettings, folder: Path) -> dict[str, Any]:
    """Write both parts into a folder and return the facts about them."""
    train, valid = _parts(data)
    names = {"train": language_source_name(data.train), "valid": language_source_name(data.valid or data.train)}
    with_end = data.document_boundary is not None
    codec = learn_codec(data.tokenizer, (block.text for block in train()), with_end, names["train"])
    parts = {}
    for name, blocks in (("train", train), ("valid", valid)):
        with open(folder / name, "wb") as file:
            writer = Writer(file, codec.size)
            parts[name] = {**encode_blocks(blocks(), codec, writer, names[name]), **writer.facts()}
            file.flush()
            os.fsync(file.fileno())
    return {"codec": codec.to_json(), "parts": parts}


def _parts(data: LanguageSettings) -> tuple[Blocks, Blocks]:
    """Return what starts reading each part from its beginning."""
    whole = partial(read_documents, data.train, data.document_boundary)
    if data.valid is not None:
        return whole, partial(read_documents, data.valid, data.document_boundary)
    ends = array("q", accumulate(len(block.text) for block in whole()))
    characters = ends[-1]
    cut = int(characters * (1 - data.valid_fraction))
    if are_separate(data.train):
        if len(ends) == 1:
            raise DataError(
                "there is one text only, and whole ones are held back to validate on",
                where=language_source_name(data.train),
                remedy="Add texts, or name others in data.valid",
            )
        cut = min(ends[bisect_left(ends, cut)], ends[-2])
    if not 0 < cut < characters:
        raise DataError(
            f"valid_fraction {data.valid_fraction:g} of {characters:,} characters leaves a part empty",
            where=language_source_name(data.train),
            remedy="Change data.valid_fraction or name a text of its own in data.valid",
        )
    return lambda: part_of(whole(), 0, cut), lambda: part_of(whole(), cut, None)


def open_corpus(path: Path) -> Corpus | None:
    """Return a corpus that is in the cache.

    Parameters
    ----------
    path : Path
        Its folder.

    Returns
    -------
    Corpus or None
        None where there is none, or it is damaged.
    """
    entry = open_entry(path)
    if entry is None:
        return None
    facts, tokens = entry
    try:
        codec = codec_from_json(facts["codec"])
        train, valid = (
            EncodedText(tokens[name], facts["parts"][name]["characters"], facts["parts"][name]["unknown"])
            for name in ("train", "valid")
        )
    except (KeyError, ValueError, TypeError):
        return None
    return Corpus(train, valid, codec)
