"""What a tagger learned from its training part, as the text that a checkpoint keeps."""

import base64
import binascii
import json
from typing import Any

import numpy as np

from rnncli.data.tagging.codec import TaggingCodec, WordSettings
from rnncli.data.tagging.spelling import SpellingSettings
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import shown_on_one_line


def tagging_codec_to_json(codec: TaggingCodec) -> str:
    """Return a codec as JSON, without the settings, which are in the config beside it.

    Parameters
    ----------
    codec : TaggingCodec
        Any.

    Returns
    -------
    str
        For :func:`tagging_codec_from_json`.
    """
    fields = {
        "words": codec.words.tokens,
        "tags": codec.tags,
        "characters": None if codec.characters is None else codec.characters.tokens,
        "seen": base64.b64encode(codec.seen.astype("<u8").tobytes()).decode("ascii"),
    }
    return json.dumps(fields, ensure_ascii=False)


def tagging_codec_from_json(text: str, words: WordSettings, spelling: SpellingSettings | None) -> TaggingCodec:
    """Return the codec that :func:`tagging_codec_to_json` wrote.

    Parameters
    ----------
    text : str
        From a checkpoint.
    words, spelling
        The settings of the config it was made with.

    Returns
    -------
    TaggingCodec
        An equal one.

    Raises
    ------
    ValueError
        If the text is not such a codec, or is not one of these settings.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        tags, characters = _texts(fields["tags"]), fields["characters"]
        if len(set(tags)) < max(len(tags), 2) or not all(tags):
            raise ValueError("its tags are fewer than two, repeated or empty")
        if any(shown_on_one_line(tag) != tag for tag in tags):
            raise ValueError("its tags hold control characters")
        if (characters is not None) != (spelling is not None and spelling.kind == "characters"):
            raise ValueError("its characters are not those of its config")
        seen = np.frombuffer(base64.b64decode(fields["seen"], validate=True), dtype="<u8").astype(np.uint64)
        seen.setflags(write=False)
        return TaggingCodec(
            words=Vocabulary(_texts(fields["words"])),
            tags=tuple(tags),
            characters=None if characters is None else Vocabulary(_texts(characters)),
            seen=seen,
            lowercase=words.lowercase,
            spelling=spelling,
        )
    except (KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise ValueError(f"not what a tagger learned ({error})") from error


def _texts(value: Any) -> list[str]:
    """Return a list of texts, having checked that it is one."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of texts is something else")
    return value
