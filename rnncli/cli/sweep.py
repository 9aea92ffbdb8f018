"""``rnncli sweep``."""

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnncli.brief_progress import BriefProgress
from rnncli.cli.options import set_option
from rnncli.cli.tables import columns, table
from rnncli.config import read_config
from rnncli.config.yaml_text import dump_inline
from rnncli.data.rows import short_label
from rnncli.extras import require
from rnncli.figures import FIGURES
from rnncli.machine import keep_freed_memory
from rnncli.run import Interrupted
from rnncli.run_dir import RUNS
from rnncli.sweeping import Sweep, SweepDir, SweepStudy, TrialRecord, make_trials, read_sweep
from rnncli.worded import compact, duration

SHOWN = 10  # trials in the closing table
COLOURS = {"pruned": "yellow", "failed": "red"}


@click.command("sweep")
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("sweep_file", type=click.Path(path_type=Path), metavar="SWEEP")
@set_option
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the sweep.  [default: runs/NAME-sweep]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier sweep in that folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path, sweep_file: Path, overrides: tuple[str, ...], run_dir: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Try many settings and keep the best.

    CONFIG is what is varied. SWEEP is a YAML file that says how many trials there are, and for each key what to try:

    \b
    trials: 20
    space:
      optim.lr: {low: 1e-4, high: 1e-2, log: true}
      model.rnn.hidden: {choice: [64, 128]}

    The same command again goes on where it stopped; at the same time in another terminal, it shares the trials. The
    folder gets best.yaml, which rnncli train takes, and the run of the best trial, best/.
    """
    keep_freed_memory()
    require("optuna", extra="sweep", purpose="sweeps")
    base = read_config(config, overrides)
    sweep = read_sweep(sweep_file, base)
    folder = SweepDir(run_dir or RUNS / f"{sweep.config.name}-sweep")
    if overwrite:
        folder.clear()
    study = SweepStudy(sweep, folder)
    note = BriefProgress("")
    total = sweep.settings.trials
    stopped: Interrupted | None = None
    try:
        for done in make_trials(study, lambda drawn: BriefProgress(f"trial {drawn.number}")):
            counted = sum(one.state in ("finished", "pruned", "failed") for one in study.records())
            place = f"{counted}/{total}  "
            note.say(place + _line(sweep, done, shutil.get_terminal_size().columns - len(place)))
    except (Interrupted, KeyboardInterrupt) as error:
        again = shlex.join(_again(config, sweep_file, overrides, run_dir))
        stopped = Interrupted("interrupted", remedy=f"To go on: {again}")
        stopped.exit_code = error.exit_code if isinstance(error, Interrupted) else 130
    records, best = study.records(), study.best()
    importance = study.importance() if stopped is None else {}
    if as_json:
        click.echo(json.dumps(_as_json(sweep, folder, records, best, importance)))
    elif stopped is None or any(one.state != "stopped" for one in records):
        width = shutil.get_terminal_size().columns
        click.echo("\n".join(lines(sweep, folder, records, best, importance, width)))
        running = sum(one.state == "running" for one in records)
        if running:
            click.echo(f"{running} still in another process; the same command will say what came of it")
        elif best is not None and stopped is None:
            click.echo(f"next: {shlex.join(['rnncli', 'train', str(folder.best_config)])} --seeds 5")
    if stopped is not None:
        raise stopped
    if best is None:
        raise click.exceptions.Exit(1)


def lines(
    sweep: Sweep,
    folder: SweepDir,
    records: Sequence[TrialRecord],
    best: TrialRecord | None,
    importance: dict[str, float],
    width: int,
) -> list[str]:
    """Lay out what came of a sweep.

    Parameters
    ----------
    sweep : Sweep
        What was tried.
    folder : SweepDir
        Where it is kept.
    records : sequence of TrialRecord
        All trials.
    best : TrialRecord or None
        The best one.
    importance : dict of str to float
        Of each key; empty where it is not known.
    width : int
        Columns of the terminal.

    Returns
    -------
    list of str
        The best trials, how all of them ended, which keys matter, where the best config is.
    """
    sign = -1 if sweep.more_is_better else 1
    order = {"finished": 0, "pruned": 1}
    shown = [one for one in records if one.state in order and one.value is not None]
    shown.sort(key=lambda one: (order[one.state], sign * float(one.value or 0), one.number))
    out = []
    if shown:
        out += _table(sweep, shown[:SHOWN], width)
        if len(shown) > SHOWN:
            out.append(f"and {len(shown) - SHOWN} more; --json lists all")
        out.append("")
    counts = [f"{count} {state}" for state in _STATES if (count := sum(one.state == state for one in records))]
    made = sum(one.state in _STATES for one in records)
    stopped = sum(one.state == "stopped" for one in records)
    again = f"; {stopped} more {'was' if stopped == 1 else 'were'} stopped, to be made again" if stopped else ""
    out.append(f"{made} {'trial' if made == 1 else 'trials'}: {', '.join(counts) or 'none made yet'}{again}")
    failed = [one for one in records if one.state == "failed"]
    out += [f"trial {one.number} failed: {one.why}" for one in failed[:3]]
    if len(failed) > 3:
        out.append(f"and {len(failed) - 3} more that failed; --json lists all")
    if importance:
        explained = ", ".join(f"{key} {share:.0%}" for key, share in importance.items())
        out += click.wrap_text(f"share of the differences that each key explains: {explained}", width).splitlines()
    if best is not None:
        figure = _show(sweep, best.value)
        out.append(
            f"best: {folder.best_config} (trial {best.number}, {_heading(sweep)} {figure} at epoch {best.epoch})"
        )
    return out


_STATES = ("finished", "pruned", "failed", "running")


def _table(sweep: Sweep, records: Sequence[TrialRecord], width: int) -> list[str]:
    keys = list(sweep.space)
    heads = ["trial", _heading(sweep), "epoch", *keys, "time", ""]
    rows = [
        [
            str(one.number),
            _show(sweep, one.value),
            str(one.epoch),
            *(_value(one.values.get(key)) for key in keys),
            duration(one.seconds),
            "" if one.state == "finished" else click.style(one.state, fg=COLOURS[one.state]),
        ]
        for one in records
    ]
    laid = table(heads, rows, left=0)
    if max(map(columns, laid)) <= width:
        return laid
    short = [_short_names(keys)[key] for key in keys]
    laid = table(["trial", _heading(sweep), "epoch", *short, "time", ""], rows, left=0)
    if max(map(columns, laid)) <= width:
        return laid
    # A line for each setting of a trial: what remains where a screen is narrow, or there are many keys.
    out = table(heads[:3] + heads[-2:], [[*row[:3], *row[-2:]] for row in rows], left=0)
    best = records[0]
    settings = table(["", ""], [[key, _value(best.values.get(key))] for key in keys], left=2)[1:]
    return [*out, "", f"trial {best.number} had", *(f"  {line}" for line in settings)]


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return as much of the end of each key as tells it from the others."""
    found = {}
    for key in keys:
        parts = key.split(".")
        for size in range(1, len(parts) + 1):
            found[key] = ".".join(parts[-size:])
            if sum(other == found[key] or other.endswith(f".{found[key]}") for other in keys) == 1:
                break
    return found


def _line(sweep: Sweep, one: TrialRecord, width: int) -> str:
    """Return in one line what came of a trial; where that is too wide, with the ends of the keys."""
    figure = "" if one.value is None else f"{_heading(sweep)} {_show(sweep, one.value)}  "
    state = "" if one.state == "finished" else f"{one.state}  "
    short = _short_names(list(one.values))
    long, brief = (
        "  ".join(f"{name} {_value(one.values[key])}" for key, name in names.items())
        for names in ({key: key for key in short}, short)
    )
    whole = f"trial {one.number}: {state}{figure}{{}}  {duration(one.seconds)}"
    return whole.replace("{}", long if len(whole) + len(long) <= width else brief)


def _heading(sweep: Sweep) -> str:
    return next((one.heading for one in FIGURES[sweep.config.task] if one.key == sweep.metric), sweep.metric)


def _show(sweep: Sweep, value: float | None) -> str:
    form = next((one.form for one in FIGURES[sweep.config.task] if one.key == sweep.metric), ".4f")
    return "-" if value is None else format(value, form)


def _value(value: Any) -> str:
    if isinstance(value, float) and value:
        return compact(value) if abs(value) >= 1e5 or abs(value) < 1e-4 else f"{value:.12g}"
    return short_label(value if isinstance(value, str) else dump_inline(value))


def _as_json(
    sweep: Sweep,
    folder: SweepDir,
    records: Sequence[TrialRecord],
    best: TrialRecord | None,
    importance: dict[str, float],
) -> dict[str, Any]:
    return {
        "folder": str(folder.root),
        "metric": sweep.metric,
        "direction": "maximize" if sweep.more_is_better else "minimize",
        "trials": [asdict(one) for one in records],
        "importance": importance,
        "best": None if best is None else {**asdict(best), "config": str(folder.best_config)},
    }


def _again(config: Path, sweep_file: Path, overrides: Sequence[str], run_dir: Path | None) -> list[str]:
    settings = [part for setting in overrides for part in ("--set", setting)]
    place = [] if run_dir is None else ["--run-dir", str(run_dir)]
    return ["rnncli", "sweep", str(config), str(sweep_file), *settings, *place]
