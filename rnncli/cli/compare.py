"""``rnncli compare``."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rnncli.cli.completing import complete_run
from rnncli.cli.given_data import takes_data
from rnncli.cli.tables import columns, table
from rnncli.data.rows import short_label
from rnncli.judging import Judged, evaluated_on, judge, run_figures, summary
from rnncli.outcomes import GivenData, Reader
from rnncli.run_records import load_records
from rnncli.side_by_side import config_differences, differences
from rnncli.worded import chance, setting

COLOURS = {"better": "green", "worse": "red"}


@click.command("compare")
@click.argument(
    "runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN RUN...", shell_complete=complete_run
)
@takes_data
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(runs: tuple[Path, ...], given: GivenData | None, as_json: bool) -> None:
    """Set runs beside each other, and test each against the first.

    RUN is a run's folder, of which the best checkpoint is meant, or a checkpoint. Each is evaluated on the test data of
    its config; without any, on its validation part; or on --data.

    Intervals are those of the bootstrap. Differences of classifiers are tested by McNemar's exact test, those of
    taggers and language models by the paired bootstrap; only on the same data.
    """
    if len(runs) < 2:
        raise click.UsageError("Name two runs at least; for one there is rnncli eval, or rnncli report.")
    records = load_records(runs)
    judged = judge(records, Reader(given))
    pairs, settings = differences(judged), config_differences(records)
    if as_json:
        found = {"runs": [run_figures(run) for run in judged], "differences": pairs, "config": settings}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    width = shutil.get_terminal_size().columns
    for lines in (evaluated_on(judged), run_lines(judged, width), pair_lines(judged, pairs, width)):
        click.echo("\n".join([*lines, ""]))
    click.echo("\n".join(config_lines(judged, settings, width)))


def run_lines(runs: Sequence[Judged], width: int) -> list[str]:
    """Lay out the runs' figures."""
    summaries = [summary(run) for run in runs]
    heads = [key for key in summaries[0] if any(found[key] != "-" for found in summaries)]
    rows = [
        [short_label(run.record.name), *(found[key] for key in heads)]
        for run, found in zip(runs, summaries, strict=True)
    ]
    return turned_to_fit(["", *heads], rows, width)


def turned_to_fit(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Lay out a table, a line for each row; where that is too wide, a column; where both are, what is less so."""
    down = [list(line) for line in zip(heads, *rows, strict=True)]
    ways = [table(heads, rows), table(down[0], down[1:])]
    widths = [max(map(columns, lines)) for lines in ways]
    return ways[0] if widths[0] <= max(width, widths[1] if widths[1] > width else 0) else ways[1]


def pair_lines(runs: Sequence[Judged], pairs: Sequence[dict[str, Any]], width: int) -> list[str]:
    """Lay out how each run differs from the first."""
    head = runs[0].headline
    first = short_label(runs[0].record.name)
    tested = [pair for pair in pairs if "p" in pair]
    lines = [
        f"{short_label(pair['run'])} is not compared with {first}: {pair['not_compared']}"
        for pair in pairs
        if "p" not in pair
    ]
    if not tested:
        return lines
    several = len(tested) > 1
    by_counts = tested[0]["test"] == "McNemar"
    heads = ["", "difference", "95% interval", *(["only it right", f"only {first}"] if by_counts else []), "p"]
    heads += ["p, Holm"] if several else []
    rows = []
    for pair in tested:
        row = [
            short_label(pair["run"]),
            head.signed(pair["difference"]),
            " to ".join(head.signed(end) for end in pair["interval"]),
        ]
        if by_counts:
            row += [f"{pair['mcnemar']['second_only']:,}", f"{pair['mcnemar']['first_only']:,}"]
        row += [chance(pair["p"]), *([chance(pair["p_holm"])] if several else [])]
        rows.append([*row, click.style(pair["verdict"], fg=COLOURS.get(pair["verdict"]))])
    laid = turned_to_fit([*heads, "verdict"], rows, width)
    test = "McNemar's exact test" if by_counts else "the paired bootstrap"
    points = " points" if head.form.endswith("%") else ""
    title = f"{head.heading}{points} against {first}, by {test}"
    unit = next(run.outcome.unit for run in runs if run.outcome)
    notes = []
    for pair in tested:
        if not by_counts and pair["mcnemar"]:
            one, other, p = pair["mcnemar"].values()
            notes.append(
                f"{unit} right as a whole: {other:,} only by {short_label(pair['run'])}, {one:,} only by {first}, "
                f"McNemar p {chance(p)}"
            )
    return [*lines, title, *laid, *notes]


def config_lines(runs: Sequence[Judged], settings: dict[str, list[Any]], width: int) -> list[str]:
    """Lay out the config keys that differ."""
    if not settings:
        return ["the configs are the same but for the name"]
    names = [short_label(run.record.name) for run in runs]
    rows = [[key, *(short_label(setting(value)) for value in values)] for key, values in settings.items()]
    lines = table(["config", *names], rows, left=len(names) + 1)
    if max(map(columns, lines)) <= width:
        return lines
    lines = []
    for key, *values in rows:
        lines += [
            key,
            *(
                f"  {line}"
                for line in table(["", ""], [list(pair) for pair in zip(names, values, strict=True)], left=2)[1:]
            ),
        ]
    return ["config", *lines]
