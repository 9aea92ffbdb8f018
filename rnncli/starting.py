"""A config for data that was looked at: which settings, and why, in comments beside them.

What is recommended is what the configs that ship were found to train well with, the one for the data most alike; how
many epochs there are follows from how many steps those take.
"""

import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.config.schema import SCHEMA_FILE
from rnncli.config.yaml_text import dump_inline
from rnncli.data.rows import short_label
from rnncli.data.tagging.schemes import is_entity_tag
from rnncli.errors import shown_on_one_line
from rnncli.start_facts import Facts

COMMENTS = 46  # the column they begin in
LABELS_NAMED = 8
SHORT = 60  # tokens; texts of which half are longer get the recipe of IMDB, others that of single sentences
FEWEST_TOKENS, MOST_TOKENS = 100, 400  # that are kept of a text: new ones may be longer than any here; as for IMDB
CLASSIFIER_STEPS, TAGGER_STEPS = 1050, 2350  # of the configs that ship
FEW_TEXTS = 20_000
UNEVEN = 5  # times as many texts of the most frequent label as of the rarest


def config_text(facts: Facts, output: Path, group: str | None = None) -> str:
    """Write a config for some data.

    Parameters
    ----------
    facts : Facts
        What is in the data.
    output : Path
        The file it will be.
    group : str, optional
        A column whose values may be what the split should keep together; put into a comment.

    Returns
    -------
    str
        YAML with comments, which loads and trains.
    """
    body = {"classification": _classifier, "tagging": _tagger, "language_model": _language_model}[facts.task]
    lines = [
        f"# yaml-language-server: $schema={schema_reference(output)}",
        *(f"# {line}" for line in summary(facts)),
        shown_on_one_line(f"# Every key and its meaning: rnncli config show {shlex.quote(str(output))}"),
        "seed: 1",
        f"task: {facts.task}",
    ]
    for text, comment in [
        ("data:", ""),
        ("  train: " + _inline(facts.source), ""),
        *_validation(facts, group),
        *body(facts),
    ]:
        lines.append(f"{text:<{COMMENTS - 2}}  # {comment}" if comment else text)
    return "\n".join(lines) + "\n"


def summary(facts: Facts) -> list[str]:
    """Say in one or two lines what is in the data."""
    where = facts.source["path"]
    if facts.task == "language_model":
        return [shown_on_one_line(f"{where}: {facts.characters:,} characters, {len(facts.words):,} different ones")]
    kind, unit = ("sentences", "words") if facts.task == "tagging" else ("texts", _unit(facts))
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


def _inline(values: dict[str, Any]) -> str:
    return dump_inline(values)


def _unit(facts: Facts) -> str:
    return "characters" if facts.tokenizer == "character" else "words"


def _validation(facts: Facts, group: str | None) -> Iterator[tuple[str, str]]:
    """Yield the lines that say what is validated on and tested with."""
    if "valid" in facts.others:
        yield "  valid: " + _inline(facts.others["valid"]), ""
    else:
        few = facts.task != "language_model" and facts.texts < 1000
        fraction = 0.2 if few else 0.1
        part = (
            "its last characters" if facts.task == "language_model" else f"some {facts.texts * fraction:,.0f} of them"
        )
        yield f"  valid_fraction: {fraction}", f"held back for validation: {part}"
    if "test" in facts.others:
        yield "  test: " + _inline(facts.others["test"]), ""
    if group is not None and "valid" not in facts.others:
        yield f"  # group_by: {dump_inline(group)}", "rows with the same value stay on one side of the split"


def _classifier(facts: Facts) -> Iterator[tuple[str, str]]:
    lengths, unit = facts.lengths, _unit(facts)
    median, long = float(np.median(lengths)), math.ceil(np.percentile(lengths, 99))
    limit = min(max(FEWEST_TOKENS, _rounded_up(long)), MOST_TOKENS)
    cut = float(np.mean(lengths > limit))
    known = sum(count for count in facts.words.values() if count >= 2)
    kept = sum(count >= 2 for count in facts.words.values())
    share = known / max(sum(facts.words.values()), 1)
    tokenizer = {"kind": facts.tokenizer, "lowercase": True, "max_vocab": 20000, "min_count": 2}
    yield f"  tokenizer: {_inline(tokenizer)}", ""
    where = f", in {len(lengths):,} texts" if len(lengths) < facts.texts else ""
    yield f"  # {kept:,} different {unit} are there twice or more{where}; they are {share:.0%} of all", ""
    yield (
        f"  max_length: {limit}",
        f"{unit}; {cut:.1%} of the texts are longer" if cut else f"{unit}; no text is longer",
    )
    if cut:
        yield "  truncate: tail", "the end is kept; head keeps the beginning"
    few = facts.texts < FEW_TEXTS
    yield "model:", ""
    why = "few texts, so much of it" if few else "less with more texts"
    yield f"  embedding: {{dim: 128, dropout: {0.5 if few else 0.3}}}", why
    if median < SHORT:
        yield "  rnn: {cell: gru, hidden: 64, bidirectional: true}", "the texts are short"
        yield "  pooling: max", "the strongest sign anywhere in a text counts"
        learning = "{name: adam, lr: 4e-3, schedule: {name: linear}}"
    else:
        yield "  rnn: {cell: gru, hidden: 128}", "the texts are long; bidirectional costs twice the time"
        yield "  pooling: mean", "over all steps; last would have it all carried to the end"
        learning = "{name: adam, lr: 2e-3, schedule: {name: linear}}"
    if few:
        yield "  dropout: 0.3", ""
    yield f"optim: {learning}", ""
    yield "train:", ""
    yield from _epochs(facts.texts * (1 if "valid" in facts.others else 0.9), CLASSIFIER_STEPS, (64, 32, 16), 30)
    most, least = facts.labels.most_common()[0][1], facts.labels.most_common()[-1][1]
    if most > UNEVEN * least:
        yield "  best_metric: macro_f1", "labels are uneven: accuracy hides how the rare ones fare"
        yield "  # class_weights: balanced", "errors on rare labels count more"


def _tagger(facts: Facts) -> Iterator[tuple[str, str]]:
    once = sum(count == 1 for count in facts.words.values())
    yield "  words: {lowercase: true, min_count: 2}", f"{once:,} of {len(facts.words):,} words are there once only"
    yield "  spelling: {kind: characters}", "such words are known by their characters"
    yield "model:", ""
    yield "  embedding: {dim: 100, word_dropout: 0.1}", ""
    yield "  spelling: {dim: 32, hidden: 64}", ""
    yield "  input_dropout: 0.3", ""
    yield "  rnn: {cell: lstm, hidden: 128, bidirectional: true}", ""
    yield "  dropout: 0.3", ""
    yield "optim: {name: adam, lr: 3e-3, schedule: {name: cosine, warmup_steps: 50}}", ""
    yield "train:", ""
    yield from _epochs(facts.texts * (1 if "valid" in facts.others else 0.9), TAGGER_STEPS, (32, 16, 8), 30)
    if all(map(is_entity_tag, facts.labels)):
        yield "  best_metric: entity_f1", "the tags mark entities"


def _language_model(facts: Facts) -> Iterator[tuple[str, str]]:
    size = facts.characters * 0.9
    if Path(facts.source["path"]).is_dir():
        yield "  document_boundary: file", "each file is read from a fresh state"
    yield "  tokenizer: {kind: character}", "word and bpe are others; see docs/data.md"
    yield "model:", ""
    if size < 500_000:
        layer, dim, dropout, lr, forget, batch, steps = "gru, hidden: 192", 32, 0.4, "5e-3", 0.05, 16, 2300
        why = "a small text"
    elif size < 5_000_000:
        layer, dim, dropout, lr, forget, batch, steps = "lstm, hidden: 256", 64, 0.25, "6e-3", 0.02, 32, 5900
        why = "a text of some megabytes"
    else:
        layer, dim, dropout, lr, forget, batch, steps = "lstm, hidden: 320", 64, 0.0, "4e-3", 0.0, 32, 6000
        why = "a large text, which cannot be learned by heart"
    window = 64
    while batch > 1 and size < 20 * batch * window:
        batch, window = batch // 2, max(window // 2, 16)
    yield f"  embedding: {{dim: {dim}}}", ""
    yield f"  rnn: {{cell: {layer}}}", why
    if dropout:
        yield f"  dropout: {dropout}", ""
    yield f"optim: {{name: adam, lr: {lr}, schedule: {{name: cosine, warmup_steps: 20}}}}", ""
    yield "train:", ""
    epoch = max(1, int(size / (batch * window)))
    epochs = min(max(round(steps / epoch), 1), 30)
    yield f"  epochs: {epochs}", f"of some {epoch:,} steps"
    if epoch > steps:
        yield f"  max_steps: {steps}", f"some {steps * batch * window / 1e6:,.0f} million characters; null reads all"
    yield f"  batch_size: {batch}", "parts of the text that are read side by side"
    yield f"  window: {window}", "characters of each a step"
    if forget:
        yield f"  forget: {forget}", "now and then from a fresh state, as a sample begins"
    yield "  samples: 1", "to see at each validation what it writes"
    yield "  sample_length: 200", ""


def _epochs(texts: float, steps: int, sizes: tuple[int, int, int], most: int) -> Iterator[tuple[str, str]]:
    """Yield how many epochs and texts a step, so that there are about so many steps."""
    batch = sizes[0] if texts >= 2000 else sizes[1] if texts >= 500 else sizes[2]
    epoch = max(1, math.ceil(texts / batch))
    epochs = min(max(round(steps / epoch), 1), most)
    yield f"  epochs: {epochs}", f"of some {epoch:,} steps; about {steps:,} in all, as the configs that ship have"
    yield f"  batch_size: {batch}", ""
    if epoch > steps:
        yield f"  validate_every: {steps}", "steps; an epoch is long"


def _rounded_up(number: int) -> int:
    """Return a number with one or two digits that count, not below the one given."""
    step: int = 10 ** max(len(str(number)) - 2, 0) * (5 if number >= 20 else 1)
    return -(-number // step) * step
