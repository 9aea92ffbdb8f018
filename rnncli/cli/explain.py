"""``rnncli explain``."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args

import click

from rnncli.cli.coloured_text import Look
from rnncli.cli.explain_text import explanation_lines
from rnncli.cli.given_texts import refuse_what_is_no_file
from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import checkpoint_argument
from rnncli.cli.outputs import output_file, refuse_to_overwrite
from rnncli.cli.trace_text import trace_lines
from rnncli.data.text_files import read_lines
from rnncli.errors import DataError, told
from rnncli.explain_page import explain_page
from rnncli.explaining import GROWTH, explain_subject
from rnncli.explanations import INTEGRATED, BaselineName, Explanation, Method, MethodName
from rnncli.extras import require
from rnncli.subjects import subject_of
from rnncli.trained import load_trained

_GIVEN, _OF_THE_PATH = click.core.ParameterSource.COMMANDLINE, ("steps", "tolerance")


@click.command("explain")
@checkpoint_argument
@click.argument("file", required=False)
@click.option("--text", "texts", multiple=True, help="A text; may be given several times.")
@click.option("--label", help="Explain this label.  [default: the predicted one]")
@click.option("--word", type=click.IntRange(1), help="Of a tagger: explain the tag of this word, counted from 1.")
@click.option(
    "--method",
    type=click.Choice(get_args(MethodName)),
    default=INTEGRATED.name,
    show_default=True,
    help="Integrated gradients, or gradient times input.",
)
@click.option(
    "--baseline",
    type=click.Choice(get_args(BaselineName)),
    default=INTEGRATED.baseline,
    show_default=True,
    help="What stands for a word that says nothing; even: the one whose prediction is the most even.",
)
@click.option(
    "--steps",
    type=click.IntRange(1, 2**16),
    default=INTEGRATED.steps,
    show_default=True,
    help="Points of the integral to begin with.",
)
@click.option(
    "--tolerance",
    type=NumberRange(0, min_open=True),
    default=INTEGRATED.tolerance,
    show_default=True,
    help=f"Add points until the pushes add up to within this, or there are {GROWTH} times as many.",
)
@click.option("--leave-one-out", is_flag=True, help="Compare with leaving each word out.")
@click.option("--gates", is_flag=True, help="Also show gates, states and gradients step by step.")
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="Words in the table.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page to this file, with pictures of --gates.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    checkpoint: Path,
    file: str | None,
    texts: tuple[str, ...],
    label: str | None,
    word: int | None,
    method: MethodName,
    baseline: BaselineName,
    steps: int,
    tolerance: float,
    leave_one_out: bool,
    gates: bool,
    top: int,
    html: Path | None,
    as_json: bool,
) -> None:
    """Say which words pushed a prediction, and how far.

    The texts are those of --text, or the lines of FILE (- for standard input), without the empty ones. Pushes are in
    log-odds of the label and add up to what the text changes in them.
    """
    if (file is None) == (not texts):
        raise click.UsageError("Give a text with --text, or a FILE of texts (- for standard input).")
    if file not in (None, "-"):
        refuse_what_is_no_file(str(file))
    given = click.get_current_context().get_parameter_source
    if method == "gradient" and (idle := [f"--{name}" for name in _OF_THE_PATH if given(name) is _GIVEN]):
        raise click.UsageError(f"Of one gradient there is nothing to add up: leave {' and '.join(idle)} out.")
    if html is not None and gates:
        require("matplotlib", extra="report", purpose="pictures of gates")
    how = Method(method, baseline, steps, tolerance)
    trained = load_trained(checkpoint).use_average()
    found: list[tuple[Explanation, Any]] = []
    with ExitStack() as stack:
        page = None
        if html is not None:  # opened first: explaining may take long, and be for nothing
            files = [] if file in (None, "-") else [Path(str(file))]
            refuse_to_overwrite("--html", html, [checkpoint], files)
            page = stack.enter_context(output_file("--html", html))
        for number, text in enumerate(texts or _texts(str(file)), start=1):
            subject = subject_of(trained, text, word)
            explanation = explain_subject(subject, label=label, method=how, leave_one_out=leave_one_out)
            trace = explanation.trace() if gates else None
            if page is not None or as_json:
                found.append((explanation, trace))
            if not as_json:
                _print(explanation, trace, number, top)
        if page is not None and html is not None:
            with told("--html", html):
                page.write(explain_page(str(checkpoint), found, top))
    if as_json:
        listed = [
            {**explanation.as_json(), **({} if trace is None else trace.as_json())} for explanation, trace in found
        ]
        click.echo(json.dumps({"checkpoint": str(checkpoint), "texts": listed}, ensure_ascii=False))


def _print(explanation: Explanation, trace: Any, number: int, top: int) -> None:
    look = _look(top)
    if number > 1:
        click.echo("\n" + "-" * min(look.width, 40) + "\n")
    for line in explanation_lines(explanation, look):
        click.echo(line)
    if trace is not None:
        click.echo("")
        for line in trace_lines(trace, float(explanation.probabilities[explanation.label]), look):
            click.echo(line)


def _look(top: int) -> Look:
    size, colour, terminal = shutil.get_terminal_size(), click.get_current_context().color, sys.stdout.isatty()
    return Look(max(20, size.columns), size.lines if terminal else None, terminal if colour is None else colour, top)


def _texts(file: str) -> Iterator[str]:
    """Yield the lines of a file or of standard input that hold more than white space."""
    any_text = False
    for text in _input_lines() if file == "-" else _file_lines(Path(file)):
        if text.strip():
            any_text = True
            yield text
    if not any_text:
        raise DataError("has no text", where="standard input" if file == "-" else file, remedy="Give a line of text")


def _file_lines(path: Path) -> Iterator[str]:
    for line in read_lines(path):
        if line.problem is not None:
            raise line.problem
        yield line.text.rstrip("\r\n")


def _input_lines() -> Iterator[str]:
    for number, raw in enumerate(sys.stdin.buffer, start=1):
        try:
            yield raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise DataError(
                "is not UTF-8", where=f"standard input:{number}", remedy="Convert it: iconv -t utf-8"
            ) from None
