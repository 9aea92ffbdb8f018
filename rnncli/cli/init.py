"""``rnncli init``."""

import math
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rnncli.budgets import Choice, choose
from rnncli.cli.durations import Duration
from rnncli.cli.outputs import output_file
from rnncli.config import parse_config, usable_name
from rnncli.config.yaml_text import parse
from rnncli.data.sight import TASK_OF, Sight, bare_stem, look
from rnncli.data.table_columns import Column, label_columns, read_columns_of, text_columns
from rnncli.errors import ConfigError, RnncliError, told
from rnncli.start_choices import start_choices
from rnncli.start_facts import Facts, find_facts
from rnncli.start_timing import pace_on
from rnncli.starting import config_text, recommended, summary
from rnncli.tasks import task_of
from rnncli.worded import duration

WITH_COLUMNS = ("csv", "tsv", "jsonl")
OPTION = "--output"
FEW = 500  # texts
BUDGET = "5m"
BUSY = 0.9  # of a core; with less, the time is that of a machine that does other things too


@click.command("init")
@click.option("--task", type=click.Choice(["classification", "tagging", "language_model"]), help="What to learn.")
@click.option("--data", type=click.Path(path_type=Path), help="The file or folder to learn from.")
@click.option("--text", metavar="COLUMN", help="The column of --data that holds the text.")
@click.option("--label", metavar="COLUMN", help="The column of --data that holds the label.")
@click.option("--budget", type=Duration(), help=f"Time that training may take: 90s, 5m, 2h.  [default: {BUDGET}]")
@click.option("--output", type=click.Path(path_type=Path), help="The config to write.  [default: DATA.yaml]")
@click.option("--yes", is_flag=True, help="Ask nothing: take what is found.")
@click.pass_context
def command(
    ctx: click.Context,
    task: str | None,
    data: Path | None,
    text: str | None,
    label: str | None,
    budget: float | None,
    output: Path | None,
    yes: bool,
) -> None:
    """Look at data and write a config that trains on it, with the reasons for its settings.

    Format, columns, lengths and labels are found by looking. On a terminal you are asked for what is not given;
    elsewhere what cannot be found must be given. A file that exists is never replaced.

    Some steps are trained on a part of the data and thrown away, to know what this machine can do within --budget: the
    best recipe for as much of it as it needs, a quicker one or a shorter run where that takes too long.
    """
    asking = on_terminal() and not yes
    if data is None:
        if not asking:
            raise ConfigError("is missing", where="--data", remedy="Name the file or folder to learn from")
        data = Path(click.prompt("Data file or folder", type=str))
    sight = look(data)
    found = TASK_OF[sight.format]
    if task not in (None, found):
        raise ConfigError(
            f"{data} is read as {sight.format} ({sight.why}), which is for {found}",
            where=f"--task {task}",
            remedy=f"Leave --task out, or name data for {task}; formats: rnncli layers",
        )
    named = output is not None
    output = output or Path(f"{usable_name(bare_stem(data))}.yaml")
    if named or not asking:
        _refuse_to_replace(output)
    read_as = f"{sight.path}: read as {sight.format}, as {sight.why}"
    if asking:
        click.echo(read_as)
    if asking and not named:
        output = Path(click.prompt("Config to write", default=str(output), type=str))
        _refuse_to_replace(output)
    source, group = _source(sight, text, label, asking)
    if not asking:
        click.echo(read_as)
    if "label" in source:
        click.echo(f"text: column {source['text']}; label: column {source['label']}")
    facts = find_facts(found, source)
    for line in summary(facts):
        click.echo(line.removeprefix(f"{source['path']}: "))
    if facts.bad:
        rows = "row" if facts.bad == 1 else "rows"
        click.echo(f"{facts.bad:,} {rows} cannot be read, and training stops at the first: {facts.first_bad}", err=True)
    if budget is None:
        budget = click.prompt("Time for training", default=BUDGET, type=Duration()) if asking else Duration.of(BUDGET)
    if sys.stderr.isatty():
        click.echo("training some steps, to know how fast this machine is", err=True)
    choice = choose(start_choices(facts), budget, pace_on(facts))
    for line in _chosen_lines(choice, facts, budget):
        click.echo(line)
    if asking and not click.confirm(f"Write {output}?", default=True):
        click.echo("nothing was written", err=True)
        ctx.exit(1)
    text_of_config = config_text(facts, choice, output, group)
    if not facts.bad and 0 < facts.texts < FEW:  # so few that a part of the split may be empty
        config = parse_config(parse(text_of_config).value, str(output))
        task_of(config).load(config, None)
    with output_file(OPTION, output) as file, told(OPTION, output):
        file.write(text_of_config)
    click.echo(f"wrote {output}")
    _say_next(output, found, choice.seeds)


def on_terminal() -> bool:
    """Tell whether there is somebody to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _source(sight: Sight, text: str | None, label: str | None, asking: bool) -> tuple[dict[str, Any], str | None]:
    """Return what ``data.train`` is to be, and a column that may be what ``group_by`` is for."""
    source: dict[str, Any] = {"format": sight.format, "path": str(sight.path)}
    if sight.format == "keras_imdb":
        source["word_index"] = str(sight.path.parent / "imdb_word_index.json")
    if sight.format not in WITH_COLUMNS:
        given = {"--text": text, "--label": label}
        for option in (option for option, value in given.items() if value is not None):
            raise ConfigError(f"names a column, and {sight.format} has none", where=option, remedy="Leave it out")
        return source, None
    columns = read_columns_of(sight.path, sight.format)
    names = [column.name for column in columns]
    for option, given_name in (("--text", text), ("--label", label)):
        if given_name is not None and given_name not in names:
            raise ConfigError(f"{given_name!r} is no column ({', '.join(names[:20])})", where=option)
    texts = [name for name in text_columns(columns) if name != label]
    text = text or _chosen("text", texts, names, True, asking)
    labels, certain = label_columns(columns, text)
    label = label or _chosen("label", labels, names, certain, asking)
    if text == label:
        raise ConfigError(f"column {text!r} cannot be both text and label", where="--label")
    return {**source, "text": text, "label": label}, _group(columns, (text, label))


def _chosen(what: str, likely: Sequence[str], names: Sequence[str], certain: bool, asking: bool) -> str:
    """Return the column that holds text or label: the likeliest, or what is answered."""
    if asking:
        others = [name for name in names if name in likely] or list(names)
        click.echo(f"columns that may be the {what}: {', '.join(others[:20])}")
        answers = click.Choice(list(names))
        default = likely[0] if likely else None
        return str(click.prompt(f"Column of the {what}", default=default, type=answers, show_choices=False))
    if likely and certain:
        return likely[0]
    could = f"several columns may be the {what}: {', '.join(likely[:20])}" if likely else f"no column is like a {what}"
    among = "" if likely else f" (there is {', '.join(filter(None, names[:20])) or 'none'})"
    raise ConfigError(f"{could}{among}", remedy=f"Name it with --{what}")


def _group(columns: Sequence[Column], taken: tuple[str, str]) -> str | None:
    return next((column.name for column in columns if column.may_be_group and column.name not in taken), None)


def _refuse_to_replace(output: Path) -> None:
    if os.path.lexists(output):
        raise RnncliError(
            "is there already", where=str(output), remedy=f"Give another name with {OPTION}, or remove it"
        )


def _chosen_lines(choice: Choice, facts: Facts, budget: float) -> list[str]:
    """Say what was chosen, how long it takes and what would have been better."""
    unit = "characters" if facts.task == "language_model" else facts.unit
    pace = choice.pace
    by = f" by {pace.processes} processes" if pace.processes > 1 else ""
    busy = f", with {pace.cpu_share:.0%} of a core" if pace.cpu_share is not None and pace.cpu_share < BUSY else ""
    lines = [
        recommended(choice),
        f"training: about {_about(choice.seconds)} on this machine"
        f" (measured: {_rounded(pace.training)} {unit}/s{by}{busy})",
    ]
    if choice.preferred is not None:
        name, seconds = choice.preferred
        lines.append(f"with --budget {_budget_for(seconds)}: {name}, about {_about(seconds)}")
    if choice.seconds > 1.05 * budget:
        steps = choice.start.steps
        fewest = f"no fewer than {steps} steps" if steps > 1 else "a single step"
        lines.append(f"longer than --budget, even so: about {_about(pace.start)} until the first step, and {fewest}")
    return lines


def _about(seconds: float) -> str:
    """Return a time with no more digits than an estimate has."""
    if 9.5 <= seconds < 59.5:
        return f"{seconds:.0f} s"
    step = 0.1 if seconds < 10 else 10 if seconds < 600 else 60
    return duration(step * round(seconds / step)).removesuffix(" 00 s")


def _budget_for(seconds: float) -> str:
    """Return a budget that allows a run, with some room, as it is typed."""
    unit, name = (10, "s") if seconds < 50 else (60, "m") if seconds < 3300 else (3600, "h")
    count = math.ceil(1.1 * seconds / unit)
    return f"{10 * count if name == 's' else count}{name}"


def _rounded(number: float) -> str:
    """Return a number with two digits that count."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _say_next(output: Path, task: str, seeds: int) -> None:
    name = shlex.quote(str(output))
    click.echo(f"next: rnncli plan {name}    what a run will take")
    click.echo(f"      rnncli train {name}")
    if seeds > 1:
        click.echo(f"      rnncli train {name} --seeds {seeds}    in the budget too; their average is better")
    if task == "classification":
        click.echo(f"      rnncli data check {name}    lengths, repeats, overlaps, bad rows")
