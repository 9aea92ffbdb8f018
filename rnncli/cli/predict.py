"""``rnncli predict``."""

import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from rnncli.cli.answers import Wanted, renderer
from rnncli.cli.completing import complete_checkpoint
from rnncli.cli.given_texts import refuse_what_is_no_file
from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import checkpoint_argument
from rnncli.cli.outputs import data_files, output_file, refuse_to_overwrite
from rnncli.cli.predict_options import (
    FORMATS,
    SENTENCE_FORMATS,
    Options,
    class_of,
    guess_format,
    is_terminal,
    refuse_what_does_not_fit,
    style_of,
    text_column,
    told_apart,
    word_columns,
)
from rnncli.cli.predict_rows import Answers
from rnncli.data.streams import STANDARD_INPUT, is_stream, lines_as_they_come
from rnncli.data.unlabelled import Unlabelled, read_unlabelled
from rnncli.ensembles import make_ensemble
from rnncli.errors import told
from rnncli.thresholds import Threshold
from rnncli.trained import load_trained

AT_LATEST = 0.5  # seconds after which a row of a stream is answered, however fast others come


@click.command("predict")
@checkpoint_argument
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]", shell_complete=complete_checkpoint
)
@click.option(
    "--ensemble", is_flag=True, help="Average the probabilities of several: CHECKPOINT CHECKPOINT... --ensemble [FILE]."
)
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
@click.option("--threshold", type=NumberRange(0, 1), metavar="P", help="Two labels: predict one from P on.")
@click.option("--positive", metavar="LABEL", help="The label that --threshold is for.  [default: the second]")
@click.option(
    "--output", type=click.Path(path_type=Path), help="Write to this file; .csv, .jsonl, .conllu by its ending."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row.")
def command(
    checkpoint: Path,
    paths: tuple[Path, ...],
    ensemble: bool,
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
    checkpoints, file = told_apart(checkpoint, paths, ensemble)
    if file is not None and texts:
        raise click.UsageError("FILE and --text exclude each other.")
    if texts and (file_format or column):
        raise click.UsageError("--format and --column describe FILE, which is missing.")
    members = [load_trained(path).use_average() for path in checkpoints]
    trained = members[0]
    together = make_ensemble(members, list(map(str, checkpoints))) if ensemble else None
    source = file or STANDARD_INPUT
    kind = "text" if texts else file_format or guess_format(source, trained)
    options = Options(kind, column, pretokenized, proba, top, threshold, positive, output, as_json)
    refuse_what_does_not_fit(trained, options)
    wanted = Wanted(
        style=style_of(trained, options),
        every=proba,
        top=top,
        threshold=None if threshold is None else Threshold(class_of(trained, positive), threshold),
        width=shutil.get_terminal_size().columns,
        column=trained.config.data.train.model_dump().get("column", "upos"),
    )
    if source != STANDARD_INPUT and not texts:
        refuse_what_is_no_file(source)
    with ExitStack() as stack:
        write: Callable[[str], None] = _to_standard_output
        if output is not None:
            others = [] if file is None else [file]
            refuse_to_overwrite("--output", output, checkpoints, data_files([trained.config.data]) + others)
            write = _to_file(stack.enter_context(output_file("--output", output)), output)
        render = renderer(trained.config.task, getattr(trained.learned, "labels", ()), wanted)
        answers = Answers(trained, lambda rows, found: write(render(rows, found)), pretokenized, together)
        if texts:
            answers.give((Unlabelled(text, {}) for text in texts), at_latest=None)
            return
        if source == STANDARD_INPUT and is_terminal(sys.stdin):
            click.echo("a text a line, Ctrl-D to end", err=True)
        lines = lines_as_they_come(source, answers.flush)
        name = "standard input" if source == STANDARD_INPUT else source
        rows = read_unlabelled(lines, name, kind, column or text_column(trained, kind), word_columns(trained))
        answers.give(rows, at_latest=AT_LATEST if is_stream(source) else None)


def _to_standard_output(text: str) -> None:
    click.echo(text, nl=False)


def _to_file(file: Any, path: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        with told("--output", path):
            file.write(text)

    return write
