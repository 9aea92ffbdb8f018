"""What travels in an ONNX file besides the graph: all it takes to make ids of a text and to name what comes out."""

import json
from typing import Any

from rnncli import __version__
from rnncli.config import Config, TaggingConfig
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.word_codec import WordCodec
from rnncli.data.tokenizers import tokenizer_rules
from rnncli.trained import Trained


def metadata_of(trained: Trained) -> dict[str, str]:
    """Return the metadata of a model's graph.

    Parameters
    ----------
    trained : Trained
        Of any task.

    Returns
    -------
    dict of str to str
        Each value is JSON. All have ``rnncli_version``, ``name`` and ``task``; ids are places in ``vocabulary``, the
        first of which stands for everything unknown. A classifier has ``labels``, ``tokenizer``
        (:func:`rnncli.data.tokenizers.tokenizer_rules`), ``max_length`` and ``truncate``; a tagger ``tags``,
        ``lowercase``, ``spelling`` and ``characters``; a language model ``tokenizer``, ``unknown`` and
        ``end_of_text``.
    """
    config, learned = trained.config, trained.learned
    facts: dict[str, Any] = {"rnncli_version": __version__, "name": config.name, "task": config.task}
    if isinstance(config, Config):
        data = config.data
        facts |= {
            "labels": learned.labels,
            "vocabulary": learned.vocabulary.tokens,
            "tokenizer": tokenizer_rules(data.tokenizer.kind, data.tokenizer.lowercase),
            "max_length": data.max_length,
            "truncate": data.truncate,
        }
    elif isinstance(config, TaggingConfig):
        spelling = config.data.spelling
        facts |= {
            "tags": learned.tags,
            "vocabulary": learned.words.tokens,
            "lowercase": learned.lowercase,
            "spelling": None if spelling is None else spelling.model_dump(mode="json"),
            "characters": None if learned.characters is None else learned.characters.tokens,
        }
    else:
        facts |= codec_facts(learned) | {"unknown": learned.unknown, "end_of_text": learned.end_of_text}
    return {key: json.dumps(value) for key, value in facts.items()}


def codec_facts(codec: TextCodec) -> dict[str, Any]:
    """Return how a language model makes ids of a text.

    Parameters
    ----------
    codec : TextCodec
        Any.

    Returns
    -------
    dict
        ``tokenizer``: for sub-words the contents of a ``tokenizer.json``, otherwise rules, with ``line_ends`` if the
        lines of a text are cut one by one and a token for the line end is put between; then also ``vocabulary``.
    """
    if isinstance(codec, WordCodec):
        rules = tokenizer_rules(codec.kind, codec.lowercase)
        return {"vocabulary": codec.vocabulary.tokens, "tokenizer": {**rules, "line_ends": codec.kind != "character"}}
    return {"tokenizer": json.loads(json.loads(codec.to_json())["tokenizer"])}
