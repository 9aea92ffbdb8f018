"""What ``rnncli predict`` prints of its answers: for a terminal, for a pipe, as JSON lines, as csv."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import click
import numpy as np

from rnncli.cli.tables import columns
from rnncli.data.rows import short_label
from rnncli.data.tagging.conllu import ConlluColumn, write_conllu
from rnncli.data.unlabelled import Unlabelled
from rnncli.errors import shown_on_one_line
from rnncli.packing import Array
from rnncli.predicting import Cost, Prediction, Tags
from rnncli.thresholds import Threshold, predicted_classes

LEAST_TEXT = 16  # columns of a terminal, below which the text is left out beside its answer


class Wanted(NamedTuple):
    """What to say of each row.

    Attributes
    ----------
    style : {"screen", "tabs", "json", "csv", "conllu"}
        For whom; conllu is for taggers.
    every : bool
        The probability of every label; of a tagger, that of each tag.
    top : int or None
        So many of the likeliest labels.
    threshold : Threshold or None
        From which probability on one of two labels is predicted, and below it the other.
    width : int
        Columns of the terminal.
    column : {"upos", "xpos", "feats"}
        Of conllu: where the tags go.
    """

    style: str
    every: bool = False
    top: int | None = None
    threshold: Threshold | None = None
    width: int = 80
    column: ConlluColumn = "upos"


Render = Callable[[Sequence[Unlabelled], Sequence[Any]], str]


def renderer(task: str, labels: Sequence[str], wanted: Wanted) -> Render:
    """Return what turns rows and their predictions into text.

    Parameters
    ----------
    task : {"classification", "tagging", "language_model"}
        Of the model.
    labels : sequence of str
        The names of its classes; of a language model none.
    wanted : Wanted
        What to say.

    Returns
    -------
    callable
        Takes rows and predictions, in blocks, and returns lines; heads come before those of the first block.
    """
    if wanted.style in ("json", "csv"):
        return _records(FACTS[task], labels, wanted)
    lines = _conllu_lines if wanted.style == "conllu" else LINES[task]
    heads = _heads(task, labels, wanted)

    def render(rows: Sequence[Unlabelled], predictions: Sequence[Any]) -> str:
        found = [
            *heads,
            *(line for pair in zip(rows, predictions, strict=True) for line in lines(*pair, labels, wanted)),
        ]
        heads.clear()
        return "".join(f"{line}\n" for line in found)

    return render


def decided(probabilities: Array, wanted: Wanted) -> int:
    """Return the class that is predicted: the likeliest, or what the threshold says.

    Parameters
    ----------
    probabilities : ndarray of shape (C,)
        Of a text.
    wanted : Wanted
        Its ``threshold`` is used.

    Returns
    -------
    int
        From 0 to C - 1.
    """
    if wanted.threshold is None:
        return int(probabilities.argmax())
    return int(predicted_classes(probabilities[None], wanted.threshold)[0])


def _records(facts: Callable[..., dict[str, Any]], labels: Sequence[str], wanted: Wanted) -> Render:
    """Return what writes a record for each row, with the row's own fields first."""
    header: list[str] = []

    def render(rows: Sequence[Unlabelled], predictions: Sequence[Prediction]) -> str:
        found = (
            {**(row.fields or {"text": row.text}), **facts(row, prediction, labels, wanted)}
            for row, prediction in zip(rows, predictions, strict=True)
        )
        if wanted.style == "json":
            return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for record in map(_flat, found):
            if not header:
                header.extend(record)
                writer.writerow(header)
            writer.writerow(record.values())
        return out.getvalue()

    return render


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record whose values fit into cells."""
    out: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, dict) and key == "top":  # whose labels are others in each row
            for place, (name, p) in enumerate(value.items(), start=1):
                out |= {f"top {place}": name, f"top {place} probability": p}
        elif isinstance(value, dict):
            out |= {f"{key} {name}": one for name, one in value.items()}
        else:
            out[key] = " ".join(map(str, value)) if isinstance(value, list) else value
    return out


def _heads(task: str, labels: Sequence[str], wanted: Wanted) -> list[str]:
    """Return the line above all others, where columns would not say what they are."""
    if task == "language_model" and wanted.style == "screen":
        return [click.style(f"{'perplexity':>12} {'nats':>12} {'tokens':>7}  text", dim=True)]
    if task == "classification" and wanted.every:
        if wanted.style == "tabs":
            return ["\t".join(["predicted", *map(shown_on_one_line, labels)])]
        width = max(len("predicted"), *(columns(short_label(label)) for label in labels))
        heads = "".join(f"  {_right(short_label(label, 16), _cell(label))}" for label in labels)
        return [click.style(f"{'predicted':{width}}{heads}", dim=True)]
    return []


def _label_facts(row: Unlabelled, found: Array, labels: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    best = decided(found, wanted)
    facts: dict[str, Any] = {"predicted": labels[best], "probability": float(found[best])}
    if wanted.top is not None:
        facts["top"] = {labels[number]: float(found[number]) for number in _likeliest(found, wanted.top)}
    if wanted.every:
        facts["probabilities"] = {label: float(p) for label, p in zip(labels, found, strict=True)}
    return facts


def _label_lines(row: Unlabelled, found: Array, labels: Sequence[str], wanted: Wanted) -> Iterable[str]:
    best = decided(found, wanted)
    ranked = [best] if wanted.top is None else _likeliest(found, wanted.top)
    if wanted.style == "tabs":
        if wanted.every:
            return ["\t".join([shown_on_one_line(labels[best]), *(f"{p:.6f}" for p in found)])]
        return ["\t".join(f"{shown_on_one_line(labels[number])}\t{found[number]:.6f}" for number in ranked)]
    width = max(columns(short_label(label)) for label in labels)
    if wanted.every:
        width = max(width, len("predicted"))
        cells = "".join(f"  {_right(f'{p:.2%}', _cell(label))}" for label, p in zip(labels, found, strict=True))
        return [_with_text(_bold(labels[best], width) + cells, row, wanted)]
    cells = "  ".join(f"{_bold(labels[number], width)} {_right(f'{found[number]:.2%}', 7)}" for number in ranked)
    return [_with_text(cells, row, wanted)]


def _likeliest(found: Array, most: int) -> list[int]:
    """Return the classes of the highest probabilities, the highest first."""
    ranked: list[int] = np.argsort(-found, kind="stable")[:most].tolist()
    return ranked


def _tag_facts(row: Unlabelled, found: Tags, labels: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    facts: dict[str, Any] = {"words": list(row.words or ()), "tags": found.tags}
    if wanted.every:
        facts["probabilities"] = [float(p) for p in found.probabilities]
    return facts


def _tag_lines(row: Unlabelled, found: Tags, labels: Sequence[str], wanted: Wanted) -> Iterable[str]:
    """Yield a line for each word, and a blank one."""
    words = [shown_on_one_line(word) for word in row.words or ()]
    certain = [f"{p:.2%}" if wanted.style == "screen" else f"{p:.6f}" for p in found.probabilities]
    if wanted.style == "tabs":
        for word, tag, p in zip(words, found.tags, certain, strict=True):
            yield f"{word}\t{tag}\t{p}" if wanted.every else f"{word}\t{tag}"
    else:
        width = min(max(map(columns, words), default=0), wanted.width // 2)
        tags = max(map(columns, found.tags), default=0)
        for word, tag, p in zip(words, found.tags, certain, strict=True):
            line = f"{_left(word, width)}  {_bold(tag, tags)}"
            yield f"{line}  {p:>7}" if wanted.every else line.rstrip()
    yield ""


def _conllu_lines(row: Unlabelled, found: Tags, labels: Sequence[str], wanted: Wanted) -> Iterable[str]:
    """Yield the lines of a sentence with its tags, those of other columns as they were; and a blank one."""
    made = ("\t".join([str(number), word, *"_" * 8]) for number, word in enumerate(row.words or (), start=1))
    yield from write_conllu(row.lines or made, found.tags, wanted.column)
    yield from [""] if row.words else []


def _cost_facts(row: Unlabelled, found: Cost, labels: Sequence[str], wanted: Wanted) -> dict[str, Any]:
    return {**found._asdict(), "perplexity": found.perplexity}


def _cost_lines(row: Unlabelled, found: Cost, labels: Sequence[str], wanted: Wanted) -> Iterable[str]:
    if wanted.style == "tabs":
        each = "nan" if found.perplexity is None else f"{found.perplexity:.6g}"
        return [f"{each}\t{found.nats:.6f}\t{found.tokens}"]
    each = "-" if found.perplexity is None else f"{found.perplexity:,.3f}"
    return [_with_text(f"{each:>12} {found.nats:>12,.3f} {found.tokens:>7,}", row, wanted)]


def _cell(label: str) -> int:
    """Return how wide the column of a label's probability is."""
    return max(7, columns(short_label(label, 16)))


def _bold(text: str, width: int) -> str:
    return click.style(short_label(text), bold=True) + " " * (width - columns(short_label(text)))


def _left(text: str, width: int) -> str:
    return text + " " * (width - columns(text))


def _right(text: str, width: int) -> str:
    return " " * (width - columns(text)) + text


def _with_text(line: str, row: Unlabelled, wanted: Wanted) -> str:
    """Put as much of the text after a line as the terminal has room for."""
    room = wanted.width - columns(line) - 2
    text = shown_on_one_line(" ".join(row.text[: 4 * wanted.width].split()))
    if room < LEAST_TEXT:
        return line.rstrip()
    if columns(text) > room or len(row.text) > 4 * wanted.width:
        while columns(text) > room - 1:
            text = text[:-1]
        text += "\N{HORIZONTAL ELLIPSIS}"
    return f"{line}  {text}" if text else line.rstrip()


FACTS: dict[str, Callable[..., dict[str, Any]]] = {
    "classification": _label_facts,
    "tagging": _tag_facts,
    "language_model": _cost_facts,
}
LINES: dict[str, Callable[..., Iterable[str]]] = {
    "classification": _label_lines,
    "tagging": _tag_lines,
    "language_model": _cost_lines,
}
