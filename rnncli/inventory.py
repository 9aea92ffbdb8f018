"""What a model, its training and its data can be made of, from the schema and from the code itself."""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rnncli import layers, schedules, wide_models
from rnncli.assembly import update_rule
from rnncli.config import TASKS
from rnncli.config.keys import Key, default_variant, keys_below
from rnncli.config.sections import Model, choices, tag_key, tag_value, variants
from rnncli.data import readers
from rnncli.data.language.codecs import learn_codec
from rnncli.data.language.sources import read_documents
from rnncli.data.tagging import readers as sentence_readers
from rnncli.data.tagging.spelling import spell
from rnncli.data.tokenizers import make_tokenizer
from rnncli.ngram_counts import count_ngrams, log_count_ratios
from rnncli.ngram_inputs import cross_fitted
from rnncli.ngrams import bag_of

# The key that chooses, without [variants], and what is chosen.
KINDS = {
    "model.rnn.cell": "cells",
    "model.pooling": "poolings",
    "model.ngrams": "branches",
    "model.loss": "losses",
    "optim.name": "optimizers",
    "optim.schedule.name": "schedules",
    "data.train.format": "readers",
    "data.tokenizer.kind": "tokenizers",
    "data.spelling.kind": "spellings",
}
# Schedules that do not go by their name in the code.
_SCHEDULES = {"step": "drops", "plateau": "Plateau"}


@dataclass(frozen=True)
class Function:
    """A function of the package, as one would call it.

    Attributes
    ----------
    call : str
        Such as ``gru_forward(x, h0, Wx, Wh, b, *, reset='before') -> h, cache``.
    module : str
        Where it is.
    meaning : str
        The first line of its docstring.
    """

    call: str
    module: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """One thing to choose.

    Attributes
    ----------
    name : str
        As a config says it.
    kind : str
        Such as ``cells``.
    key : str
        The key that it is a value of.
    tasks : tuple of str
        Those that have it, with these keys.
    default : bool
        Whether it is what there is when nothing is chosen.
    meaning : str
        One line.
    keys : tuple of Key
        What it can be given, besides the key that chooses it.
    functions : tuple of Function
        What computes it.
    explanation : str
        The docstring that has its equations; empty where there is none.
    """

    name: str
    kind: str
    key: str
    tasks: tuple[str, ...]
    default: bool
    meaning: str
    keys: tuple[Key, ...]
    functions: tuple[Function, ...]
    explanation: str


def inventory() -> list[Part]:
    """List everything that can be chosen, by kind.

    Returns
    -------
    list of Part
        Those of one kind together, once for all tasks that have the same of them, with the same keys.
    """
    parts = []
    for kind in KINDS:
        of_task: dict[str, tuple[list[str], list[_Choice]]] = {}
        for task, schema in TASKS.items():
            found = [choice for choice in _choices(schema) if choice.key == kind]
            alike = repr([(choice.name, choice.default, choice.keys) for choice in found])
            of_task.setdefault(alike, ([], found))[0].append(task)
        parts += [_part(choice, tuple(tasks)) for tasks, found in of_task.values() for choice in found]
    return parts


class _Choice(NamedTuple):
    """A value of a key that chooses; ``section`` is what it leads to, if that has keys."""

    key: str
    name: str
    default: bool
    section: Model | None
    keys: tuple[Key, ...]


def _choices(model: Model, path: str = "", passed: str | None = None) -> Iterator[_Choice]:
    """Yield the values of every key that chooses, below a section; not of the one that has chosen the section."""
    for name, info in model.model_fields.items():
        if name == passed:
            continue
        models, here = variants(info.annotation), path + name
        tag = tag_key(models)
        if tag and f"{here}.{tag}" in KINDS:
            for inner in models:
                value = tag_value(inner, tag)
                direct = [key for key in keys_below(inner, f"{here}.") if key.path.count(".") == here.count(".") + 1]
                keys = tuple(key for key in direct if not key.path.endswith(f".{tag}"))
                yield _Choice(f"{here}.{tag}", value, value == default_variant(info), inner, keys)
        elif models and here in KINDS:  # a section that is there or not
            yield _Choice(here, name, info.default is not None, models[0], tuple(keys_below(models[0], f"{here}.")))
        elif not models and here in KINDS:
            beside = [key for key in keys_below(model, path) if name == "kind" and key.path != here]
            for value in choices(info):
                yield _Choice(here, str(value), value == info.default, None, tuple(beside))
        if models:  # what all of its variants have is in the first
            yield from _choices(models[0], f"{here}.", tag)


def _part(choice: _Choice, tasks: tuple[str, ...]) -> Part:
    """Add what the code says of a choice."""
    functions = _functions(choice)
    if choice.section is not None:
        meaning = _first_line(choice.section)
    else:
        meaning = _TOKENIZERS.get(choice.name, "") if choice.key == "data.tokenizer.kind" else _first_line(functions[0])
    return Part(
        name=choice.name,
        kind=KINDS[choice.key],
        key=choice.key,
        tasks=tasks,
        default=choice.default,
        meaning=meaning,
        keys=choice.keys,
        functions=tuple(_described(function) for function in functions),
        explanation=_explanation(choice, functions),
    )


def _functions(choice: _Choice) -> list[Callable[..., Any]]:
    """Return what computes a choice."""
    name = choice.name
    if choice.key == "model.rnn.cell":
        ways = ("forward", "backward", "step_forward", "step_backward")
        return [getattr(layers, f"{name}_{way}") for way in ways]
    if choice.key == "model.pooling":
        return [getattr(layers, f"{name}_pooling_{way}") for way in ("forward", "backward")]
    if choice.key == "model.ngrams":
        return [count_ngrams, log_count_ratios, cross_fitted, bag_of, layers.bag_forward, layers.bag_backward]
    if choice.key == "model.loss":
        return [getattr(layers, f"{name}_loss")]
    if choice.key == "optim.name" and choice.section is not None:
        return [type(update_rule(choice.section())).update]  # type: ignore[arg-type]
    if choice.key == "optim.schedule.name":
        return [getattr(schedules, _SCHEDULES.get(name, name))]
    if choice.key == "data.train.format":
        return [(readers.READERS | sentence_readers.READERS).get(name, read_documents)]
    if choice.key == "data.spelling.kind":
        return [spell]
    return [make_tokenizer if choice.section is None else learn_codec]


def _explanation(choice: _Choice, functions: list[Callable[..., Any]]) -> str:
    """Return the docstring with the equations, where it stands in one place."""
    if choice.key == "model.rnn.cell":
        return inspect.getdoc(inspect.getmodule(functions[0])) or ""
    if choice.key == "model.ngrams":
        return _summary(wide_models)
    if choice.key == "optim.name":
        return _summary(type(update_rule(choice.section())))  # type: ignore[arg-type, misc]
    return _summary(functions[0])


def _described(function: Callable[..., Any]) -> Function:
    """Return how a function is called, without the types, and what it gives."""
    signature = inspect.signature(function)
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    given = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    section = re.search(
        r"^Returns\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", inspect.getdoc(function) or "", re.DOTALL | re.MULTILINE
    )
    heads = [line for line in section[1].splitlines() if line and not line.startswith(" ")] if section else []
    named = any(" : " in head for head in heads)  # else only a type is given
    arrow = f" -> {', '.join(head.partition(' : ')[0] for head in heads)}" if named else ""
    return Function(f"{function.__qualname__}{given}{arrow}", function.__module__, _first_line(function))


def _summary(documented: Any) -> str:
    """Return what a docstring says before its sections."""
    return re.split(r"\n\n\w+\n-{3,}\n", inspect.getdoc(documented) or "")[0]


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


# What a classifier's tokenizers are called is what a language model's are: there each has a section with a meaning.
_TOKENIZERS = {
    choice.name: _first_line(choice.section)
    for choice in _choices(TASKS["language_model"])
    if choice.key == "data.tokenizer.kind"
}
