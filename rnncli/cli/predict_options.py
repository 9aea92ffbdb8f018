"""What the options of ``rnncli predict`` come to, and which do not go together."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from rnncli.data.readers.columns import nearest
from rnncli.data.unlabelled import DEFAULT_COLUMN
from rnncli.errors import ConfigError, DataError
from rnncli.run_dir import find_checkpoint
from rnncli.trained import Trained

CHECKPOINT = ".safetensors"
FORMATS = ["text", "csv", "tsv", "jsonl"]
SENTENCE_FORMATS = ["conllu", "columns"]
BY_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".conllu": "conllu"}
COMPRESSED = (".gz", ".bz2", ".xz")


class Options(NamedTuple):
    """The options as they were given; ``kind`` is the format, guessed where it was not."""

    kind: str
    column: str | None
    pretokenized: bool
    proba: bool
    top: int | None
    threshold: float | None
    positive: str | None
    output: Path | None
    as_json: bool


def told_apart(first: Path, rest: Sequence[Path], ensemble: bool) -> tuple[list[Path], Path | None]:
    """Return the checkpoints among the arguments, and the file to predict on, if there is one.

    Parameters
    ----------
    first : Path
        A checkpoint.
    rest : sequence of Path
        What comes after it; of an ensemble folders of runs and what ends in .safetensors are checkpoints too.
    ensemble : bool
        Whether there may be several checkpoints.

    Returns
    -------
    checkpoints : list of Path
        One, or those of the ensemble.
    file : Path or None
        None for standard input.

    Raises
    ------
    ConfigError
        If there are more arguments than that.
    """
    others = [path for path in rest if path.suffix == CHECKPOINT or (ensemble and os.path.isdir(path))]
    files = [path for path in rest if path not in others]
    if others and not ensemble:
        raise ConfigError("is a second checkpoint", where=str(others[0]), remedy="Add --ensemble to average the two")
    if ensemble and not others:
        raise ConfigError(
            "needs several checkpoints",
            where="--ensemble",
            remedy=f"Name others: folders of runs, or files that end in {CHECKPOINT}",
        )
    if len(files) > 1:
        raise ConfigError("is a second file to predict on", where=str(files[1]), remedy="Give one at a time")
    return [first, *map(find_checkpoint, others)], files[0] if files else None


def guess_format(path: Path, trained: Trained) -> str:
    """Return the format that the ending of a file tells; text where it tells none."""
    if os.path.isdir(path):  # which of a text that is too long for a name says no
        raise DataError("is a folder where a file is expected", where=str(path), remedy="Name the file inside it")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    guessed = BY_SUFFIX.get(suffixes[-1], "text") if suffixes else "text"
    return guessed if guessed != "conllu" or trained.config.task == "tagging" else "text"


def style_of(trained: Trained, options: Options) -> str:
    """Return what the answers look like; ConfigError where the ending of the output file does not fit the rest."""
    output, as_json, proba, kind = options.output, options.as_json, options.proba, options.kind
    suffix = "" if output is None else output.suffix.lower()
    if suffix in COMPRESSED:
        raise ConfigError(
            "what is written is not compressed", where=f"--output {output}", remedy=f"Leave {suffix} out, pack it then"
        )
    if suffix == ".csv":
        if as_json:
            raise ConfigError("is not for csv", where="--json", remedy="Leave it out, or name a .jsonl file")
        if kind == "jsonl":
            raise ConfigError(
                "rows of jsonl may have any keys, csv the same columns in each",
                where=f"--output {output}",
                remedy="Name a .jsonl file",
            )
        return "csv"
    if suffix == ".conllu":
        if as_json or proba or trained.config.task != "tagging":
            raise ConfigError(
                "CoNLL-U holds the tags of a tagger and nothing else",
                where=f"--output {output}",
                remedy="Name a .jsonl file",
            )
        return "conllu"
    if as_json or suffix in (".jsonl", ".ndjson"):
        return "json"
    return "screen" if output is None and is_terminal(sys.stdout) else "tabs"


def is_terminal(stream: IO[Any] | None) -> bool:
    """Return whether somebody sits there; of a stream that is closed (None), nobody."""
    return stream is not None and stream.isatty()


def text_column(trained: Trained, kind: str) -> str:
    """Return the column of the text: that of the training data, where it was of the same format."""
    train = trained.config.data.train.model_dump()
    return str(train["text"]) if train["format"] == kind and "text" in train else DEFAULT_COLUMN


def word_columns(trained: Trained) -> dict[str, Any]:
    """Return where the words of a file of columns are: where they are in the training data, if it is such a file."""
    train = trained.config.data.train.model_dump()
    return {key: train[key] for key in ("word", "separator", "comment")} if train["format"] == "columns" else {}


def class_of(trained: Trained, label: str | None) -> int:
    """Return the class of a label that was given; the second one without, which is that of the ROC AUC of eval."""
    if label is None:
        return 1
    labels = trained.learned.labels
    if label in labels:
        return int(labels.index(label))
    near = nearest(label, labels)
    raise ConfigError(
        f"{label!r} is not a label of the model ({', '.join(labels)})",
        where="--positive",
        remedy=f"Did you mean {near!r}?" if near else None,
    )


def refuse_what_does_not_fit(trained: Trained, options: Options) -> None:
    """Raise ConfigError for options that would have no effect, or that contradict each other."""
    kind, column, pretokenized = options.kind, options.column, options.pretokenized
    proba, top, threshold, positive = options.proba, options.top, options.threshold, options.positive
    task = trained.config.task
    classifies = task == "classification"
    labels = trained.learned.labels if classifies else ()
    no_effect = f"has no effect on task {task}"
    leave_out = "Leave it out"
    faults = [
        (kind in SENTENCE_FORMATS and task != "tagging", f"--format {kind}", "is for taggers", "Give another"),
        (
            column is not None and kind not in ("csv", "tsv", "jsonl"),
            "--column",
            f"has no effect on format {kind}, which has no named columns",
            "Leave it out, or give --format",
        ),
        (pretokenized and task != "tagging", "--pretokenized", no_effect, leave_out),
        (pretokenized and kind in SENTENCE_FORMATS, "--pretokenized", f"has no effect on format {kind}", leave_out),
        (proba and task == "language_model", "--proba", no_effect, leave_out),
        (top is not None and not classifies, "--top", no_effect, leave_out),
        (threshold is not None and not classifies, "--threshold", no_effect, leave_out),
        (positive is not None and threshold is None, "--positive", "belongs to --threshold", "Add --threshold P"),
        (
            threshold is not None and len(labels) != 2,
            "--threshold",
            f"is for two labels, and the model has {len(labels)}",
            "Leave it out; --top K gives the likeliest labels",
        ),
        (top is not None and proba, "--top", "excludes --proba, which gives every label", "Leave one of them out"),
        (top is not None and threshold is not None, "--top", "excludes --threshold", "Leave one of them out"),
    ]
    for wrong, option, what, remedy in faults:
        if wrong:
            raise ConfigError(what, where=option, remedy=remedy)
