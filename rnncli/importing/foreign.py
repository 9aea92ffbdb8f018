"""Weights of people's own modules: what the file does not say is given, and what it says is checked against that."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.config import AnyConfig, Config, LanguageConfig, TaggingConfig, loading, parse_config, usable_name
from rnncli.data.vocabulary import UNKNOWN
from rnncli.errors import CheckpointError, ConfigError, DataError, shown_on_one_line
from rnncli.importing.exported import Found
from rnncli.importing.matching import Recurrent, find_attention, find_recurrent, find_tables
from rnncli.importing.reading import read_texts
from rnncli.packing import Array, IntArray
from rnncli.tasks.base import Stored


class Given(NamedTuple):
    """What is known of a model besides its weights.

    Attributes
    ----------
    config : Path or None
        A config as for training: the tokenizer, the pooling. Without one a classifier with the defaults.
    overrides : tuple of str
        ``key=value``, laid over the config.
    vocabulary : Path or None
        The tokens in the order of the embedding's rows, as :func:`rnncli.importing.reading.read_texts` reads them.
    labels : tuple of str
        Of a classifier or a tagger, in the order of the output layer's rows.
    unknown : str or None
        The token that stands for unknown ones, where it is not ``<unk>``.
    """

    config: Path | None = None
    overrides: tuple[str, ...] = ()
    vocabulary: Path | None = None
    labels: tuple[str, ...] = ()
    unknown: str | None = None


def read_foreign(path: Path, tensors: Mapping[str, Array], given: Given) -> Found:
    """Make a model of somebody's own state dict.

    Parameters
    ----------
    path : Path
        Its file.
    tensors : mapping of str to ndarray
        The state dict.
    given : Given
        What it does not say.

    Returns
    -------
    Found
        With a config whose sizes are those of the tensors.

    Raises
    ------
    RnncliError
        If something is missing or does not fit.
    """
    loaded = _config(path, given)
    config = parse_config(loaded.data, loaded.origin)
    tokens, rows = _vocabulary(given)
    labels = _labels(config, given)
    if isinstance(config, LanguageConfig):
        if config.data.document_boundary is not None:  # the end-of-text token, which has no text, is the last
            rows = np.append(rows, len(rows))
        outputs = [len(rows)]
    else:
        outputs = [1, 2] if config.task == "classification" and len(labels) == 2 else [len(labels)]
    found = find_recurrent(tensors, str(path))
    poolings = config.model.poolings if isinstance(config, Config) else ("each state",)
    attention: dict[str, Array] = {}
    if "attention" in poolings:
        attention["attention.w"], names = find_attention(tensors, found, str(path))
        tensors = {name: array for name, array in tensors.items() if name not in names}
    embedding, output, bias = find_tables(tensors, found, len(rows), outputs, str(path), len(poolings))
    tied = embedding == output or np.array_equal(tensors[embedding], tensors[output])
    _lay_sizes(loaded, config, found, str(path), binary=len(tensors[output]) == 1, tied=tied)
    w, b = tensors[output], np.zeros(len(tensors[output]), np.float32) if bias is None else tensors[bias]
    params = {"embedding.W": tensors[embedding][rows]}
    for prefix, weights in found.weights.items():
        params |= {f"{prefix}.{part}": array for part, array in zip(("Wx", "Wh", "b", "bhn"), weights, strict=False)}
    params |= attention
    if isinstance(config, LanguageConfig):
        w, b = w[rows], b[rows]
    if not (tied and isinstance(config, LanguageConfig)):
        params["output.w"] = np.ascontiguousarray(w.T)
    params["output.b"] = b
    config = parse_config(loaded.data, loaded.origin)
    return Found(config, _stored(config, tokens, labels), params, step=0)


def _config(path: Path, given: Given) -> loading.Loaded:
    """Return the values of the config, with what weights cannot say said."""
    if given.config is not None:
        loaded = loading.read(given.config, given.overrides)
        loaded.data.setdefault("name", usable_name(given.config.stem))
    else:
        base = {"name": usable_name(path.stem), "data": {"train": {"format": "imported", "path": str(path)}}}
        loaded = loading.from_values(base, "command line", given.overrides)
    model = loaded.data.get("model") or {}
    is_section = isinstance(model, dict)  # what else it may be is refused with the config
    if loaded.data.get("task", "classification") == "classification" and is_section and "pooling" not in model:
        raise ConfigError(
            "is what weights do not say: how the states of a text become one vector",
            where="model.pooling",
            remedy="Add --set model.pooling=last, or mean, max, attention, or a list such as [mean,max]",
        )
    return loaded


def _vocabulary(given: Given) -> tuple[list[str], IntArray]:
    """Return the tokens with the unknown one first, and the row of each in the embedding as it is."""
    if given.vocabulary is None:
        raise ConfigError(
            "is missing, and the weights do not have it: tokens in the order of the embedding's rows",
            where="--vocabulary",
            remedy="Give a file with a token a line, or a .json with a list or with an object of token to row",
        )
    where = str(given.vocabulary)
    tokens = read_texts(given.vocabulary, "vocabulary")
    if given.unknown is not None:
        if given.unknown not in tokens:
            raise DataError(f"has no token {given.unknown!r}, which --unknown names", where=where)
        if given.unknown != UNKNOWN and UNKNOWN in tokens:
            raise DataError(f"has both {given.unknown!r} and {UNKNOWN}", where=where, remedy="Leave --unknown out")
        tokens = [UNKNOWN if token == given.unknown else token for token in tokens]
    if UNKNOWN not in tokens:
        raise DataError(
            f"has no token {UNKNOWN} for words that are not in it",
            where=where,
            remedy="Name the one that stands for them with --unknown, such as --unknown '[UNK]'",
        )
    seen: dict[str, int] = {}
    for number, token in enumerate(tokens):
        if seen.setdefault(token, number) != number:
            raise DataError(f"has {token[:60]!a} twice, as rows {seen[token]} and {number}", where=where)
    first = seen[UNKNOWN]
    rows = np.array([first, *(row for row in range(len(tokens)) if row != first)], np.int64)
    return [tokens[row] for row in rows.tolist()], rows


def _labels(config: AnyConfig, given: Given) -> tuple[str, ...]:
    """Return the labels, having checked that there are some exactly where they are needed."""
    labels = given.labels
    if isinstance(config, LanguageConfig):
        if labels:
            raise ConfigError("has no effect on a language model", where="--labels", remedy="Leave it out")
        return ()
    whole = all(label and shown_on_one_line(label) == label for label in labels)
    if len(labels) < 2 or len(set(labels)) < len(labels) or not whole:
        what = "is missing, and the weights do not have them" if not labels else f"gives {', '.join(labels)}"
        raise ConfigError(
            f"{what}: two or more different labels, in the order of the output layer's rows",
            where="--labels",
            remedy="Such as --labels neg,pos, or a file with a label a line",
        )
    return labels


def _lay_sizes(
    loaded: loading.Loaded, config: AnyConfig, found: Recurrent, where: str, *, binary: bool, tied: bool
) -> None:
    """Put the sizes of the tensors into the config, having compared with those that it gives."""
    sizes: dict[tuple[str, ...], Any] = {
        ("embedding", "dim"): found.inputs,
        ("rnn", "cell"): found.cell,
        ("rnn", "hidden"): found.hidden,
        ("rnn", "layers"): found.layers,
    }
    if found.cell == "gru":
        sizes["rnn", "reset"] = "after"
    if isinstance(config, LanguageConfig):
        sizes[("tied",)] = tied
        if found.both:
            raise CheckpointError(
                f"{found.prefix} reads in both directions, and a language model must not see what comes", where=where
            )
        if config.model.rnn.sizes == (found.hidden,) * found.layers:
            del sizes["rnn", "hidden"], sizes["rnn", "layers"]  # perhaps said as a list
    else:
        sizes["rnn", "bidirectional"] = found.both
    if isinstance(config, TaggingConfig):
        if config.data.spelling is not None:
            raise ConfigError(
                "words seen by their characters can be imported from files of rnncli export alone",
                where="data.spelling",
                remedy="Leave it out",
            )
    elif not isinstance(config, LanguageConfig):
        sizes[("loss",)] = "binary" if binary else "softmax"
    for (*sections, key), value in sizes.items():
        section = loaded.data.setdefault("model", {})
        for name in sections:
            section = section.setdefault(name, {})
        if section.get(key) not in (None, value):
            raise ConfigError(
                f"{loaded.where(('model', *sections, key))} says {section[key]}, the tensors of {where} say {value}",
                where=".".join(("model", *sections, key)),
                remedy="Correct it, or leave it out",
            )
        section[key] = value


def _stored(config: AnyConfig, tokens: Sequence[str], labels: tuple[str, ...]) -> Stored:
    """Return vocabulary and labels as a checkpoint of the task keeps them."""
    if isinstance(config, TaggingConfig):
        codec: dict[str, Any] = {"words": tokens, "tags": labels, "characters": None, "seen": ""}
    elif isinstance(config, LanguageConfig):
        tokenizer = config.data.tokenizer
        if tokenizer.kind == "bpe" or tokenizer.kind == "file":
            raise ConfigError(
                "sub-words have no vocabulary of texts that could be given",
                where="data.tokenizer.kind",
                remedy="Only models of characters, words or white space can be imported",
            )
        end = config.data.document_boundary is not None
        codec = {"kind": tokenizer.kind, "lowercase": tokenizer.lowercase, "tokens": tokens, "with_end": end}
    else:
        return Stored({"labels": list(labels)}, tuple(tokens))
    return Stored({}, (json.dumps(codec, ensure_ascii=False),))
