"""A config for data that was looked at: the settings that were chosen, and why, in comments beside them."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.budgets import Choice, Start
from rnncli.config.schema import SCHEMA_FILE
from rnncli.config.yaml_text import dump_inline
from rnncli.data.rows import short_label
from rnncli.errors import shown_on_one_line
from rnncli.start_facts import Facts
from rnncli.start_sizes import valid_fraction

COMMENTS = 46  # the column they begin in
LABELS_NAMED = 8


def config_text(facts: Facts, choice: Choice, output: Path, group: str | None = None) -> str:
    """Write a config for some data.

    Parameters
    ----------
    facts : Facts
        What is in the data.
    choice : Choice
        What was chosen for it.
    output : Path
        The file it will be.
    group : str, optional
        A column whose values may be what the split should keep together; put into a comment.

    Returns
    -------
    str
        YAML with comments, which loads and trains.
    """
    start = choice.start
    if choice.pace.processes > 1:
        why = {"train.workers": f"a step takes {1000 * choice.pace.step:.0f} ms, which is worth sharing"}
        start = start.with_values("train", why, workers="auto")
    lines = [
        f"# yaml-language-server: $schema={schema_reference(output)}",
        *(f"# {line}" for line in summary(facts)),
        f"# {recommended(choice)}{'; see docs/recipes.md' * (facts.task == 'classification')}",
        shown_on_one_line(f"# Every key and its meaning: rnncli config show {shlex.quote(str(output))}"),
        "seed: 1",
        f"task: {facts.task}",
    ]
    train = f"  train: {_inline(facts.source)}"
    for text, comment in [("data:", ""), (train, ""), *_validation(facts, group), *_section("data", start)]:
        lines.append(_commented(text, comment))
    if facts.task == "classification":
        lines.append(_known_words(facts))
    lines.append("model:")
    lines += [_commented(*line) for line in _section("model", start)]
    lines += [f"optim: {_inline(start.values['optim'])}", "train:"]
    lines += [_commented(*line) for line in _section("train", start)]
    if start.values["train"].get("best_metric") == "macro_f1":
        lines.append(_commented("  # class_weights: balanced", "errors on rare labels count more"))
    return "\n".join(lines) + "\n"


def recommended(choice: Choice) -> str:
    """Say in one line what was chosen."""
    return f"recipe: {choice.start.brief}"


def summary(facts: Facts) -> list[str]:
    """Say in one or two lines what is in the data."""
    where = facts.source["path"]
    if facts.task == "language_model":
        return [shown_on_one_line(f"{where}: {facts.characters:,} characters, {len(facts.words):,} different ones")]
    kind, unit = ("sentences", "words") if facts.task == "tagging" else ("texts", facts.unit)
    named = [f"{short_label(label)} {count:,}" for label, count in facts.labels.most_common(LABELS_NAMED)]
    more = f", {len(facts.labels) - LABELS_NAMED:,} more" if len(facts.labels) > LABELS_NAMED else ""
    lengths = f"median {np.median(facts.lengths):,.0f} {unit}, the longest {facts.lengths.max():,}"
    if len(facts.lengths) < facts.texts:
        lengths += f" (of {len(facts.lengths):,} that were measured)"
    return [
        shown_on_one_line(f"{where}: {facts.texts:,} {kind}, {lengths}"),
        f"{'tags' if facts.task == 'tagging' else 'labels'}: {', '.join(named)}{more}",
    ]


def schema_reference(output: Path) -> str:
    """Return how a config names the schema: by a relative path where the package lies below its folder."""
    folder = Path(os.path.abspath(output)).parent
    relative = os.path.relpath(SCHEMA_FILE, folder)
    if not relative.startswith("..") and " " not in relative:
        return relative.replace(os.sep, "/")
    return SCHEMA_FILE.as_uri()


def _inline(values: Any) -> str:
    return dump_inline(values)


def _commented(text: str, comment: str) -> str:
    return f"{text:<{COMMENTS - 2}}  # {comment}" if comment else text


def _validation(facts: Facts, group: str | None) -> Iterator[tuple[str, str]]:
    """Yield the lines that say what is validated on and tested with."""
    if "valid" in facts.others:
        yield "  valid: " + _inline(facts.others["valid"]), ""
    else:
        fraction = valid_fraction(facts)
        part = (
            "its last characters" if facts.task == "language_model" else f"some {facts.texts * fraction:,.0f} of them"
        )
        yield f"  valid_fraction: {fraction}", f"held back for validation: {part}"
    if "test" in facts.others:
        yield "  test: " + _inline(facts.others["test"]), ""
    if group is not None and "valid" not in facts.others:
        yield f"  # group_by: {dump_inline(group)}", "rows with the same value stay on one side of the split"


def _section(name: str, start: Start) -> Iterator[tuple[str, str]]:
    """Yield the lines of a section, one key each."""
    for key, value in start.values[name].items():
        yield f"  {key}: {_inline(value)}", start.why.get(f"{name}.{key}", "")


def _known_words(facts: Facts) -> str:
    """Say how many of the words can be learned something of."""
    counts = [count for count in facts.words.values() if count >= 2]
    share = sum(counts) / max(sum(facts.words.values()), 1)
    where = f", in {len(facts.lengths):,} texts" if len(facts.lengths) < facts.texts else ""
    return f"  # {len(counts):,} different {facts.unit} are there twice or more{where}; they are {share:.0%} of all"
