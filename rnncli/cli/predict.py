"""``rnncli predict``."""

import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click

from rnncli.cli.answers import Wanted, renderer
from rnncli.cli.completing import complete_checkpoint
from rnncli.cli.outputs import output_file, refuse_to_overwrite, told
from rnncli.data.readers.columns import nearest
from rnncli.data.streams import STANDARD_INPUT, is_stream, lines_as_they_come
from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.unlabelled import DEFAULT_COLUMN, Unlabelled, read_unlabelled
from rnncli.errors import ConfigError, DataError
from rnncli.predicting import BLOCK, BLOCK_CHARACTERS, characters, predict
from rnncli.thresholds import Threshold
from rnncli.trained import Trained, load_trained

FORMATS = ["text", "csv", "tsv", "jsonl"]
SENTENCE_FORMATS = ["conllu", "columns"]
BY_SUFFIX = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".conllu": "conllu"}
COMPRESSED = (".gz", ".bz2", ".xz")
AT_LATEST = 0.5  # seconds after which a row of a stream is answered, however fast others come


@click.command("predict")
@click.argument("checkpoint", type=click.Path(path_type=Path), shell_complete=complete_checkpoint)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--text", "texts", multiple=True, help="Predict on this text; any number of times.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS + SENTENCE_FORMATS),
    help="Format of FILE.  [default: by its ending, else text]",
)
@click.option("--column", help="Column of csv, tsv or jsonl that holds the text.  [default: as in training]")
@click.option("--pretokenized", is_flag=True, help="Tagger: words are what stands between white space.")
@click.option("--proba", is_flag=True, help="The probability of every label; of a tagger, of each tag.")
@click.option("--top", type=click.IntRange(1), metavar="K", help="The K likeliest labels.")
@click.option("--threshold", type=click.FloatRange(0, 1), metavar="P", help="Two labels: predict one from P on.")
@click.option("--positive", metavar="LABEL", help="The label that --threshold is for.  [default: the second]")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write to this file; .csv, .jsonl, .conllu by its ending."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
def command(
    checkpoint: Path,
    file: Path | None,
    texts: tuple[str, ...],
    file_format: str | None,
    column: str | None,
    pretokenized: bool,
    proba: bool,
    top: int | None,
    threshold: float | None,
    positive: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Predict the labels of new texts.

    FILE has a text a line, or is csv, tsv or jsonl; without it, or with -, standard input is read and answered as it
    comes. A classifier gives a label and its probability; a tagger a tag for each word; a language model what each line
    costs: perplexity per token, nats, tokens.
    """
    if file is not None and texts:
        raise click.UsageError("FILE and --text exclude each other.")
    if texts and (file_format or column):
        raise click.UsageError("--format and --column describe FILE, which is missing.")
    trained = load_trained(checkpoint).use_average()
    source = file or STANDARD_INPUT
    kind = "text" if texts else file_format or _guess_format(source, trained)
    _refuse_what_does_not_fit(trained, kind, column, pretokenized, proba, top, threshold, positive)
    wanted = Wanted(
        style=_style(trained, output, as_json, proba, kind),
        every=proba,
        top=top,
        threshold=None if threshold is None else Threshold(_class_of(trained, positive), threshold),
        width=shutil.get_terminal_size().columns,
        column=trained.config.data.train.model_dump().get("column", "upos"),
    )
    with ExitStack() as stack:
        write: Callable[[str], None] = _to_standard_output
        if output is not None:
            refuse_to_overwrite("--output", output, [checkpoint], [] if file is None else [file])
            write = _to_file(stack.enter_context(output_file("--output", output)), output)
        render = renderer(trained.config.task, getattr(trained.learned, "labels", ()), wanted)
        answers = Answers(trained, lambda rows, found: write(render(rows, found)), pretokenized)
        if texts:
            answers.give((Unlabelled(text, {}) for text in texts), at_latest=None)
            return
        if source == STANDARD_INPUT and _is_terminal(sys.stdin):
            click.echo("a text a line, Ctrl-D to end", err=True)
        lines = lines_as_they_come(source, answers.flush)
        name = "standard input" if source == STANDARD_INPUT else source
        rows = read_unlabelled(lines, name, kind, column or _column(trained, kind), _keys(trained))
        answers.give(rows, at_latest=AT_LATEST if is_stream(source) else None)


class Answers:
    """Rows that wait for an answer, a block at a time.

    Parameters
    ----------
    trained : Trained
        The model.
    tell : callable
        Takes rows and their predictions.
    pretokenized : bool
        For a tagger: whether white space alone separates words.
    """

    def __init__(self, trained: Trained, tell: Callable[[Any, Any], None], pretokenized: bool) -> None:
        self._trained, self._tell = trained, tell
        self._tags = trained.config.task == "tagging"
        self._split = str.split if pretokenized else make_tokenizer("word", lowercase=False)
        self._waiting: list[Unlabelled] = []

    def give(self, rows: Iterable[Unlabelled], at_latest: float | None) -> None:
        """Answer rows in blocks.

        Parameters
        ----------
        rows : iterable of Unlabelled
            In order.
        at_latest : float or None
            Seconds after which a row is answered although its block is not full; None waits for the block.

        Raises
        ------
        DataError
            At a row that cannot be read, after those before it have been answered.
        """
        held, since = 0, 0.0
        try:
            for row in rows:
                if not self._waiting:
                    held, since = 0, time.monotonic() if at_latest is not None else 0.0
                self._waiting.append(self._with_words(row))
                held += characters(row.text)
                full = len(self._waiting) >= BLOCK or held >= BLOCK_CHARACTERS
                if full or (at_latest is not None and time.monotonic() - since >= at_latest):
                    self.flush()
        except DataError:
            self.flush()
            raise
        self.flush()

    def flush(self) -> None:
        """Answer the rows that wait."""
        rows, self._waiting = self._waiting, []
        if rows:
            self._tell(rows, predict(self._trained, [row.words if self._tags else row.text for row in rows]))

    def _with_words(self, row: Unlabelled) -> Unlabelled:
        return row._replace(words=tuple(self._split(row.text))) if self._tags and row.words is None else row


def _guess_format(path: Path, trained: Trained) -> str:
    """Return the format that the ending of a file tells; text where it tells none."""
    if path.is_dir():
        raise DataError("is a folder where a file is expected", where=str(path), remedy="Name the file inside it")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSED]
    guessed = BY_SUFFIX.get(suffixes[-1], "text") if suffixes else "text"
    return guessed if guessed != "conllu" or trained.config.task == "tagging" else "text"


def _style(trained: Trained, output: Path | None, as_json: bool, proba: bool, kind: str) -> str:
    """Return what the answers look like."""
    suffix = "" if output is None else output.suffix.lower()
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
    return "screen" if output is None and _is_terminal(sys.stdout) else "tabs"


def _is_terminal(stream: IO[Any] | None) -> bool:
    """Return whether somebody sits there; of a stream that is closed (None), nobody."""
    return stream is not None and stream.isatty()


def _column(trained: Trained, kind: str) -> str:
    """Return the column of the text: that of the training data, where it was of the same format."""
    train = trained.config.data.train.model_dump()
    return str(train["text"]) if train["format"] == kind and "text" in train else DEFAULT_COLUMN


def _keys(trained: Trained) -> dict[str, Any]:
    """Return where the words of a file of columns are: where they are in the training data, if it is such a file."""
    train = trained.config.data.train.model_dump()
    return {key: train[key] for key in ("word", "separator", "comment")} if train["format"] == "columns" else {}


def _class_of(trained: Trained, label: str | None) -> int:
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


def _refuse_what_does_not_fit(
    trained: Trained,
    kind: str,
    column: str | None,
    pretokenized: bool,
    proba: bool,
    top: int | None,
    threshold: float | None,
    positive: str | None,
) -> None:
    """Raise ConfigError for options that would have no effect, or that contradict each other."""
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


def _to_standard_output(text: str) -> None:
    click.echo(text, nl=False)


def _to_file(file: Any, path: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        with told("--output", path):
            file.write(text)

    return write
