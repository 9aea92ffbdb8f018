"""A folder with a model's weights, vocabulary and labels, and a ``predict.py`` that needs NumPy alone.

``predict.py`` has what this very model computes and nothing else: it is cut out of ``predict.py.txt``, which has all
variants, each between lines like ``#: if lstm`` and ``#: end``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from rnncli.errors import ConfigError
from rnncli.exporting import Fact
from rnncli.exporting.differences import facts_of_difference
from rnncli.exporting.learned import facts_of, lists_of, travelling
from rnncli.exporting.samples import sample_of
from rnncli.exporting.verify_numpy import verify_folder
from rnncli.trained import Trained
from rnncli.wide_models import BIAS, WideModel

TEMPLATE = "predict.py.txt"
TEXTS = 32  # to compare on; the program reads one at a time
CELLS = {"rnn": "plain RNN", "lstm": "LSTM", "gru": "GRU"}
# What each pooling makes of h (T, K), as the template says it.
_POOLED = {"mean": "h.mean(axis=0)", "max": "h.max(axis=0)", "last": "last", "attention": "attention @ h"}


def export(trained: Trained, path: Path) -> list[Fact]:
    """Write a model as a folder that needs nothing of rnncli, run its program and compare.

    Parameters
    ----------
    trained : Trained
        Of any task; not a language model of sub-words.
    path : Path
        The folder.

    Returns
    -------
    list of Fact
        The files, vocabulary and labels, and the largest difference found.

    Raises
    ------
    RnncliError
        If the tokens are sub-words, which only the tokenizers package cuts, or the program computes something else.
    """
    names = write_folder(trained, path)
    sample = sample_of(trained, TEXTS)
    difference = verify_folder(path, trained, sample.texts)
    return [
        Fact("files", names, ", ".join(names)),
        *facts_of(trained),
        *facts_of_difference(sample.name, difference),
    ]


def write_folder(trained: Trained, path: Path) -> list[str]:
    """Write the folder.

    Parameters
    ----------
    trained, path
        As for :func:`export`.

    Returns
    -------
    list of str
        The names of its files.
    """
    texts = _texts(trained)
    path.mkdir()
    np.savez(path / "weights.npz", **trained.model.params)
    for name, text in texts.items():
        (path / name).write_text(text, encoding="utf-8", newline="\n")
    return sorted([*texts, "weights.npz"])


def predict_source(trained: Trained) -> str:
    """Return the program that computes what a model does.

    Parameters
    ----------
    trained : Trained
        As for :func:`export`.

    Returns
    -------
    str
        Python.
    """
    template = files("rnncli.exporting").joinpath(TEMPLATE).read_text(encoding="utf-8")
    flags, values = _variant(trained)
    return Template(select(template, flags)).substitute(values)


def select(template: str, flags: Iterable[str]) -> str:
    """Return the lines of a template that are for some flags.

    Parameters
    ----------
    template : str
        A line ``#: if a or b``, ``#: if not a``, ``#: elif a``, ``#: else`` or ``#: end`` says for which flags those
        after it are; blocks may lie in each other.
    flags : iterable of str
        What holds.

    Returns
    -------
    str
        Without those lines, and with no more than two empty lines in a row.
    """
    known = set(flags)
    open_blocks: list[tuple[bool, bool]] = []  # whether its lines are kept now, and whether some were before
    kept = []
    for line in template.splitlines(keepends=True):
        if not line.startswith("#: "):
            if all(now for now, _ in open_blocks):
                kept.append(line)
            continue
        word, _, condition = line[3:].strip().partition(" ")
        if word == "if":
            open_blocks.append((_holds(condition, known), False))
            continue
        now, before = open_blocks.pop()
        if word != "end":
            before = before or now
            open_blocks.append((not before and (word == "else" or _holds(condition, known)), before))
    return re.sub(r"\n{4,}", "\n\n\n", "".join(kept))


def _holds(condition: str, flags: set[str]) -> bool:
    if condition.startswith("not "):
        return condition[4:] not in flags
    return any(flag in flags for flag in condition.split(" or "))


def _texts(trained: Trained) -> dict[str, str]:
    """Return the folder's files but for the weights."""
    learned = travelling(trained)
    lists = lists_of(trained)
    if "vocabulary" not in lists:
        raise ConfigError(
            "cuts no sub-words: this model's tokenizer needs a package of its own",
            where="--to numpy",
            remedy="Use --to torch, or train with data.tokenizer.kind word, whitespace or character",
        )
    config = {key: learned[key] for key in ("rnncli_version", "step", "config")}
    return {
        "predict.py": predict_source(trained),
        "config.json": json.dumps(config, ensure_ascii=False, indent=1) + "\n",
        **{f"{name}.json": json.dumps(items, ensure_ascii=False, indent=0) + "\n" for name, items in lists.items()},
    }


def _variant(trained: Trained) -> tuple[set[str], Mapping[str, Any]]:
    """Return which parts of the template a model needs, and the numbers in them."""
    config, model = trained.config, trained.model
    rnn, cell = config.model.rnn, model.cell.name
    flags = {
        {"classification": "classification", "tagging": "tagging", "language_model": "language"}[config.task],
        f"{cell}-{rnn.reset}" if rnn.cell == "gru" else cell,
        "both" if "rnn0.bwd.Wx" in model.params else "forward",
    }
    values = {"name": config.name, "cell": CELLS[cell], "layers": model.layers}
    if config.task == "tagging":
        flags |= _spelling(config.data.spelling, values) | ({"lowercase"} if config.data.words.lowercase else set())
        return flags, values
    if config.task == "classification":
        tokenizer = config.data.tokenizer
        flags |= {*config.model.poolings, config.model.loss}
        pooled = [_POOLED[name] for name in config.model.poolings]
        values["pooled"] = pooled[0] if len(pooled) == 1 else f"np.concatenate([{', '.join(pooled)}])"
        if config.data.max_length is not None:
            flags.add(config.data.truncate)
            values["max_length"] = config.data.max_length
        if config.model.ngrams is not None:
            flags |= _ngrams(model)
            share = model.wide.share
            rest = float(f"{1 - share:.12g}")  # 0.3, not 0.30000000000000004: the same in float32
            values |= {"orders": model.wide.orders, "wide_share": share, "share": rest}
    else:
        tokenizer = trained.learned
        flags |= {"tied"} if model.tied else set()
        flags |= {"ends"} if tokenizer.end_of_text is not None else set()
    return flags | {tokenizer.kind} | ({"lowercase"} if tokenizer.lowercase else set()), values


def _ngrams(model: WideModel) -> set[str]:
    """Return what a model's n-grams need."""
    params, flags = model.params, {"wide"}
    if model.wide.own_loss:
        flags |= {"own_losses"} if model.wide.share == 0.5 else {"own_losses", "shared"}
    flags |= {"ratios"} if model.wide.weighted else set()
    flags |= {"inputs"} if model.wide.inputs else set()
    return flags | ({"one_sum"} if len(params[BIAS]) == 1 else set())


def _spelling(settings: Any, values: dict[str, Any]) -> set[str]:
    """Return what of a word's spelling a tagger sees, and add its numbers to the values."""
    if settings is None:
        return set()
    if settings.kind == "ngrams":
        values |= {"shortest": settings.shortest, "longest": settings.longest, "buckets": settings.buckets}
    else:
        length = settings.max_length
        values |= {"spelling_length": length, "spelling_start": (length + 1) // 2, "spelling_end": length // 2}
    return {"spelled", settings.kind}
