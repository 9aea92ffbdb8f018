"""``rnncli metrics``."""

import csv
import json
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import click

from rnncli.cli.completing import complete_run
from rnncli.cli.outputs import output_file, refuse_to_overwrite
from rnncli.cli.tables import padded, table, widths_of
from rnncli.errors import RnncliError, told
from rnncli.figures import FIGURES
from rnncli.metrics_file import read_metrics
from rnncli.run_dir import RunDir
from rnncli.worded import compact

OPTION = "--csv"
_STANDARD_OUTPUT = "-"
_AT_ONCE = 1000  # lines that are printed together: each time what is printed is flushed

Rows = Callable[[], Iterator[dict[str, Any]]]


@click.command("metrics")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=complete_run)
@click.option("--steps", is_flag=True, help="Show the recorded training steps instead of the validations.")
@click.option(
    OPTION,
    "csv_file",
    is_flag=False,
    flag_value=_STANDARD_OUTPUT,
    metavar="[FILE]",
    help="Write every record with all its columns as CSV, to a file or to standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON.")
def command(run: Path, steps: bool, csv_file: str | None, as_json: bool) -> None:
    """Show the figures that a run has recorded.

    RUN is a run's folder, a checkpoint in it, or its metrics.jsonl. A run that goes on can be looked at too.
    """
    path = metrics_path(run)
    if csv_file is not None:
        if as_json or steps:
            raise click.UsageError("--csv writes every record; give it without --json and --steps.")
        write_csv(path, csv_file)
        return
    rows = read_again(path, ("step",) if steps else ("validation", "resumed"))
    if as_json:
        write_json(path, rows)
        return
    if not any(row["kind"] != "resumed" for row in rows()):
        what = "no step yet; train.log_every says how often" if steps else "no validation yet; --steps shows the steps"
        raise RnncliError(f"has recorded {what}", where=str(path))
    lines = step_lines(rows) if steps else iter(validation_lines(rows()))
    while some := list(islice(lines, _AT_ONCE)):
        click.echo("\n".join(some))


def metrics_path(run: Path) -> Path:
    """Return the metrics.jsonl that a path means: of a run's folder, beside a checkpoint, or itself."""
    if run.is_dir():
        return RunDir(run).metrics
    return RunDir(run.parent).metrics if run.suffix == ".safetensors" else run


def read_again(path: Path, kinds: Container[str] | None = None) -> Rows:
    """Return a function that reads a metrics.jsonl anew each time it is called: it may be longer than memory is large.

    Parameters
    ----------
    path : Path
        The file; what can be read only once, such as a pipe, is read now.
    kinds : container of str or None
        Which rows; None for all.

    Returns
    -------
    callable
        Returns an iterator over the rows.
    """

    def wanted() -> Iterator[dict[str, Any]]:
        return (row for row in read_metrics(path) if kinds is None or row["kind"] in kinds)

    if path.exists() and not path.is_file() and not path.is_dir():
        found = list(wanted())
        return lambda: iter(found)
    return wanted


def validation_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Lay out rows of validations, and where the run was resumed.

    Parameters
    ----------
    rows : iterable of dict
        Of kind ``validation`` or ``resumed``.

    Returns
    -------
    list of str
        A line for each; the best is marked.
    """
    rows = list(rows)
    validations = [row for row in rows if row["kind"] == "validation"]
    best = next((row for row in reversed(validations) if row.get("improved") is True), None)
    present = {key for row in validations for key, value in row.items() if isinstance(value, int | float)}
    # The rows do not name their task.
    figures_of_task = max(FIGURES.values(), key=lambda figures: sum(figure.key in present for figure in figures))
    shown = [figure for figure in figures_of_task if figure.key in present]
    heads = ["epoch", "step", "train loss", "valid loss", *(figure.heading for figure in shown), "seconds", ""]
    lines = []
    for row in rows:
        if row["kind"] == "resumed":
            lines.append(["", f"{row['step']:,}", *[""] * (len(heads) - 3), "resumed"])
            continue
        losses = [_figure(row.get(key), ".4f") for key in ("train_loss", "loss")]
        figures = [_figure(row.get(figure.key), figure.form) for figure in shown]
        mark = "best" if row is best else ""
        seconds = _figure(row.get("seconds"), ",.1f")
        lines.append([_figure(row.get("epoch"), ","), f"{row['step']:,}", *losses, *figures, seconds, mark])
    return table(heads, lines, left=0)


def step_lines(rows: Rows) -> Iterator[str]:
    """Lay out rows of training steps.

    Parameters
    ----------
    rows : callable
        From :func:`read_again`, of kind ``step``.

    Yields
    ------
    str
        The heads, then a line for each.
    """
    heads = ["epoch", "step", "loss", "accuracy", "lr", "grad norm", "tokens", "tokens/s", "seconds", ""]
    widths = widths_of(chain([heads], map(_step_cells, rows())))
    return padded(chain([heads], map(_step_cells, rows())), widths, left=0)


def _step_cells(row: dict[str, Any]) -> list[str]:
    return [
        _figure(row.get("epoch"), ","),
        f"{row['step']:,}",
        _figure(row.get("loss"), ".4f"),
        _figure(row.get("accuracy"), ".1%"),
        *(compact(row[key]) if isinstance(row.get(key), int | float) else "-" for key in ("lr", "grad_norm")),
        *(_figure(row.get(key), ",") for key in ("tokens", "tokens_per_second")),
        _figure(row.get("seconds"), ",.1f"),
        "skipped" if row.get("skipped") is True else "",
    ]


def write_json(path: Path, rows: Rows) -> None:
    """Print rows as JSON, one after the other."""
    click.echo(f'{{"metrics": {json.dumps(str(path), ensure_ascii=False)}, "rows": [', nl=False)
    texts, before = (json.dumps(row, ensure_ascii=False) for row in rows()), ""
    while some := list(islice(texts, _AT_ONCE)):
        click.echo(before + ", ".join(some), nl=False)
        before = ", "
    click.echo("]}")


def write_csv(path: Path, target: str) -> None:
    """Write every record of a metrics.jsonl as CSV.

    Parameters
    ----------
    path : Path
        The file to read.
    target : str
        The file to write, or ``-`` for standard output.

    Raises
    ------
    RnncliError
        If one of them cannot be read or written.
    """
    rows = read_again(path)
    columns = list(dict.fromkeys(key for row in rows() for key in row))
    with ExitStack() as stack:
        file: IO[Any]
        if target == _STANDARD_OUTPUT:
            file = sys.stdout
        else:
            refuse_to_overwrite(OPTION, Path(target), [RunDir(path.parent).last], [path])
            file = stack.enter_context(output_file(OPTION, Path(target)))
            stack.enter_context(told(OPTION, Path(target)))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows():
            writer.writerow(["" if row.get(key) is None else _cell(row[key]) for key in columns])


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _figure(value: Any, form: str) -> str:
    return format(value, form) if isinstance(value, int | float) else "-"
