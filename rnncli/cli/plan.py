"""``rnncli plan``."""

import json
import shlex
import shutil
import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import set_option
from rnncli.cli.tables import table
from rnncli.config import load_config
from rnncli.planning import Plan, plan_run

MOST_LABELS = 8  # with their numbers; of more, the first and the last
BUSY = 0.9  # of a core; with less, the times are those of a machine that does other things too
COLUMN = 13  # where what is said begins, after what it is about


@click.command("plan")
@click.argument("config", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--seconds",
    type=NumberRange(0.1, 3600),
    default=5.0,
    show_default=True,
    help="How long to train for the measurement.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(config: Path, overrides: tuple[str, ...], seconds: float, as_json: bool) -> None:
    """Say what training CONFIG will take: time, memory, disk.

    Some steps on the config's own data are made, measured and thrown away, on batches from the shortest to the longest;
    so are a validation and a save. Nothing is written but the cache of the data.
    """
    settings = load_config(config, overrides)
    if sys.stderr.isatty():
        click.echo(f"reading the data, then training for some {seconds:g} s", err=True)
    plan = plan_run(settings, seconds)
    if as_json:
        click.echo(json.dumps(asdict(plan), ensure_ascii=False))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    grows = settings.train.unfreeze_epochs is not None
    for line in [*_data(plan), "", *_weights(plan), "", *_costs(plan), "", *_times(plan, grows)]:
        click.echo(line if width is None else _wrapped(line, width))
    words = ["rnncli", "train", str(config), *(word for setting in overrides for word in ("--set", setting))]
    click.echo(f"next: {shlex.join(words)}")


def _data(plan: Plan) -> list[str]:
    data, lengths = plan.data, plan.data["lengths"]
    kind = {"classification": "texts", "tagging": "sentences"}.get(plan.task, "")
    unit = "words" if plan.task == "tagging" else "tokens"
    if lengths:
        train = f"{data['texts']:,} {kind} to train on ({data['tokens']:,} {unit}), {data['valid_texts']:,} to validate"
    else:
        train = f"{data['tokens']:,} tokens to train on, {data['valid_tokens']:,} to validate"
    lines = [_line("data", train)]
    if data["labels"]:
        counts = sorted(data["labels"].items(), key=lambda label: -label[1])
        hidden = f", {len(counts) - MOST_LABELS:,} more" if len(counts) > MOST_LABELS else ""
        named = ", ".join(f"{label} {count:,}" for label, count in counts[:MOST_LABELS])
        lines.append(_line("tags" if plan.task == "tagging" else "labels", f"{named}{hidden}"))
    what = "words" if plan.task == "tagging" else "different tokens"
    unknown = f"{data['unknown_share']:.1%} of all {unit} are" if data["unknown_share"] else f"none of the {unit} is"
    lines.append(_line("vocabulary", f"{data['vocabulary']:,} {what}; {unknown} unknown"))
    if lengths:
        share = lengths["share_of_longest"]
        limit = f" ({share:.0%} of the {kind})" if share >= 0.01 else ""
        lines.append(
            _line("lengths", f"median {lengths['median']:,.0f} {unit}, 90% have at most {lengths['p90']:,.0f}, "
                  f"the longest {lengths['longest']:,}{limit}")
        )  # fmt: skip
    each = f"{plan.tokens_per_step:,.0f} {unit} each, {plan.distinct_per_step:,.0f} of them different"
    lines.append(_line("steps", f"{plan.steps_per_epoch:,} an epoch, {each}"))
    if plan.padding:
        lines.append(
            _line("padding", f"none; padded to their longest {kind[:-1]}, these batches would be "
                  f"{plan.padding['close']:.0%} real {unit}, shuffled ones {plan.padding['shuffled']:.0%}")
        )  # fmt: skip
    return lines


def _weights(plan: Plan) -> list[str]:
    def row(weight: dict[str, Any]) -> tuple[str, ...]:
        shape = " x ".join(f"{size:,}" for size in weight["shape"])
        return weight["name"], shape, f"{weight['numbers']:,}", _mb(weight["mb"])

    numbers, mb = (sum(weight[key] for weight in plan.parameters) for key in ("numbers", "mb"))
    rows = [*map(row, plan.parameters), ("in all", "", f"{numbers:,}", _mb(mb))]
    return table(["parameters", "shape", "numbers", "MB"], rows)


def _costs(plan: Plan) -> list[str]:
    times = plan.step_seconds
    processes = f", by {plan.processes} processes" if plan.processes > 1 else ""
    together = f", of {plan.processes} processes together" if plan.processes > 1 else ""
    lines = [
        _line("measured", f"{plan.measured_steps:,} steps in {_seconds(plan.measured_seconds)}{processes}"),
        _line("speed", f"{plan.tokens_per_second:,.0f} tokens/s; a step takes {_milliseconds(times['median'])} "
              f"({_milliseconds(times['least'])} to {_milliseconds(times['most'])})"),
        _line("memory", f"{plan.peak_memory_mb:,.0f} MB at its peak{together}"),
        _line("checkpoint", f"{plan.checkpoint_mb:,.1f} MB on the disk, two of them: best and last"),
    ]  # fmt: skip
    if plan.processes == 1 and plan.cpu_share < BUSY:
        idle = plan.tokens_per_second / max(plan.cpu_share, 0.01)
        had = f"other programs are at work: these steps had {plan.cpu_share:.0%} of a core"
        lines.append(_line("busy", f"{had}; with all of one, some {idle:,.0f} tokens/s"))
    if not plan.finite:
        lines.append(_line("warning", "not every loss or gradient was finite; lower optim.lr"))
    return lines


def _times(plan: Plan, unfreezes: bool) -> list[str]:
    seconds = plan.seconds
    sample = "" if plan.validation_share == 1 else f", measured on {plan.validation_share:.1%} of its data"
    at_most = ", each as if every layer were trained from the start" if unfreezes else ""
    return [
        _line("start-up", _seconds(seconds["start"])),
        _line("epoch", f"{_seconds(seconds['epoch'])} of steps"),
        _line("validation", f"{_seconds(seconds['validation'])}, {_times_made(plan.validations)}{sample}"),
        _line("saving", f"{_seconds(seconds['save'])}, {_times_made(plan.saves)} at the most"),
        _line("whole run", f"{_seconds(seconds['run'])} for {plan.steps:,} step{'s' * (plan.steps != 1)}{at_most}"),
    ]


def _line(about: str, text: str) -> str:
    return f"{about:<{COLUMN}}{text}"


def _wrapped(line: str, width: int) -> str:
    """Return a line broken for a terminal, under what it says and not under what it is about."""
    return textwrap.fill(line, max(width, 2 * COLUMN), subsequent_indent=" " * COLUMN)


def _times_made(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _mb(mb: float) -> str:
    return f"{mb:,.2f}" if mb >= 0.005 else "<0.01"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.{0 if seconds > 0.01 else 1}f} ms"


def _seconds(seconds: float) -> str:
    """Return a time as people read it: 4.1 ms, 0.24 s, 8.3 s, 74 s, 3.1 min, 45 min, 3.4 h."""
    if seconds < 0.095:
        return _milliseconds(seconds)
    if seconds < 120:
        return f"{seconds:.{2 if seconds < 1 else 1 if seconds < 20 else 0}f} s"
    return f"{seconds / 60:.{1 if seconds < 1200 else 0}f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
