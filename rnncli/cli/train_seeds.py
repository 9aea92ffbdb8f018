"""``rnncli train --seeds``."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import click

from rnncli.brief_progress import BriefProgress
from rnncli.cli.tables import table
from rnncli.config import AnyConfig, load_config
from rnncli.errors import ConfigError
from rnncli.figures import FIGURES, Figure
from rnncli.run import Interrupted
from rnncli.run_dir import RUNS
from rnncli.seeds import SeedRun, Spread, folder_of_seed, parse_seeds, splits_by_seed, spreads, train_seeds
from rnncli.worded import duration

VALIDATIONS = ("best", "last")
_LOSS = Figure("loss", "valid loss", ".4f")


class How(NamedTuple):
    """What the command was given; see its help."""

    config: Path
    overrides: tuple[str, ...]
    run_dir: Path | None
    seeds: str
    vary_split: bool
    overwrite: bool
    resume: bool


def run(how: How, as_json: bool) -> None:
    """Train with several seeds and print mean and spread."""
    if how.config.is_dir():
        raise ConfigError("is a folder; --seeds needs the YAML file", where=str(how.config), remedy="Name the file")
    config = load_config(how.config, how.overrides)
    seeds = parse_seeds(how.seeds, config.seed)
    root = how.run_dir or RUNS / config.name
    titles = {seed: f"seed {seed} ({place} of {len(seeds)})" for place, seed in enumerate(seeds, start=1)}
    done: list[SeedRun] = []
    note = BriefProgress("")
    stopped: Interrupted | None = None
    found = train_seeds(
        config,
        seeds,
        root,
        lambda seed: BriefProgress(titles[seed]),
        vary_split=how.vary_split,
        overwrite=how.overwrite,
        resume=how.resume,
        given=how.overrides,
    )
    try:
        for one in found:
            done.append(one)
            note.say(f"{titles[one.seed]}: {_outcome(one, FIGURES[config.task])}")
    except (Interrupted, KeyboardInterrupt) as error:
        code = error.exit_code if isinstance(error, Interrupted) else 130
        stopped = Interrupted(f"interrupted after {len(done)} of {len(seeds)} seeds", remedy=f"To go on: {_again(how)}")
        stopped.exit_code = code
    figures = (_LOSS, *FIGURES[config.task])
    if as_json:
        click.echo(json.dumps(_as_json(config, how, root, done, figures)))
    elif any(one.summary for one in done):
        click.echo("\n".join(lines(config, done, figures, how.vary_split)))
        if stopped is None:
            click.echo(f"next: {_next(root, config, how.vary_split, done)}")
    if stopped is not None:
        raise stopped
    if any(one.summary is None for one in done):
        raise click.exceptions.Exit(1)


def lines(config: AnyConfig, runs: Sequence[SeedRun], figures: Sequence[Figure], vary_split: bool) -> list[str]:
    """Lay out the figures of several seeds.

    Parameters
    ----------
    config : Config, TaggingConfig or LanguageConfig
        What was trained.
    runs : sequence of SeedRun
        At least one that did not fail.
    figures : sequence of Figure
        What may be shown.
    vary_split : bool
        Whether each seed had a split of its own.

    Returns
    -------
    list of str
        What differs between the seeds, then a table for the best and for the last validation.
    """
    some = [one for one in runs if one.summary]
    differ = ["weights", "order", "dropout", *(["the validation part"] if vary_split else [])]
    held = f"; the validation part is that of seed {config.split_seed}" if splits_by_seed(config) else ""
    count = f"{len(some)} seeds" if len(some) > 1 else "1 seed"
    text = f"{count} of {config.name}: {', '.join(differ[:-1])} and {differ[-1]} differ{'' if vary_split else held}"
    out = [text]
    same = all(one.figures("best") == one.figures("last") for one in some)
    for which in VALIDATIONS[:1] if same else VALIDATIONS:
        title = "best and last" if same else which
        out += ["", *_table(f"{title} validation", some, which, figures)]
    out += ["", f"trained in {duration(sum(one.summary.seconds for one in some if one.summary))}"]
    return out


def _table(title: str, runs: Sequence[SeedRun], which: str, figures: Sequence[Figure]) -> list[str]:
    over_seeds = spreads(runs, which, [figure.key for figure in figures])
    shown = [figure for figure in figures if figure.key in over_seeds]
    rows = []
    for one in runs:
        found = one.figures(which)
        rows.append([f"seed {one.seed}", str(found["epoch"]), *(figure.show(found) for figure in shown)])
    if len(runs) > 1:
        rows += [
            [name, "", *(_shown(figure, over_seeds[figure.key], field) for figure in shown)]
            for name, field in (("mean", "mean"), ("std dev", "deviation"), ("min", "low"), ("max", "high"))
        ]
    return table([title, "epoch", *(figure.heading for figure in shown)], rows)


def _shown(figure: Figure, of: Spread, field: str) -> str:
    value = getattr(of, field)
    if field == "deviation" and figure.form.endswith("%"):
        return f"{100 * value:.2f} pt"  # percentage points, not a share of the mean
    return format(value, figure.form)


def _outcome(one: SeedRun, figures: Sequence[Figure]) -> str:
    """Return in one line what came of a seed."""
    if one.summary is None:
        return f"failed: {one.why}"
    best = one.figures("best")
    figure = next(figure for figure in figures if best.get(figure.key) is not None)
    before = "" if one.summary.steps else ", trained before"
    return (
        f"best {figure.heading} {figure.show(best)} at epoch {best['epoch']}, "
        f"last {figure.show(one.figures('last'))}, {duration(one.summary.seconds)}{before}"
    )


def _as_json(
    config: AnyConfig, how: How, root: Path, runs: Sequence[SeedRun], figures: Sequence[Figure]
) -> dict[str, Any]:
    keys = [figure.key for figure in figures]
    return {
        "name": config.name,
        "split": "by seed" if how.vary_split else config.split_seed if splits_by_seed(config) else "given",
        "seeds": [_one(one) for one in runs],
        **{which: {key: found._asdict() for key, found in spreads(runs, which, keys).items()} for which in VALIDATIONS},
    }


def _one(run: SeedRun) -> dict[str, Any]:
    found: dict[str, Any] = {"seed": run.seed, "run_dir": str(run.run_dir), "failed": run.why}
    if run.summary is not None:
        found |= {which: run.figures(which) for which in VALIDATIONS}
        found |= {key: value for key, value in asdict(run.summary).items() if key not in ("best", "run_dir")}
    return json.loads(json.dumps(found, default=str))  # type: ignore[no-any-return]


def _again(how: How) -> str:
    """Return the command that goes on."""
    return shlex.join(["rnncli", "train", str(how.config), *_options(how), "--resume"])


def _options(how: How) -> Iterator[str]:
    for setting in how.overrides:
        yield from ("--set", setting)
    if how.run_dir is not None:
        yield from ("--run-dir", str(how.run_dir))
    yield from ("--seeds", how.seeds)
    if how.vary_split:
        yield "--vary-split"


def _next(root: Path, config: AnyConfig, vary_split: bool, runs: Sequence[SeedRun]) -> str:
    """Return what to type next: the seeds together, or the first of them."""
    trained = [one for one in runs if one.summary]
    first = trained[0].run_dir / "best.safetensors"
    seen = vary_split and config.data.test is None  # each has trained on what others are validated on
    if config.task == "language_model" or len(trained) == 1 or seen:
        return shlex.join(["rnncli", "eval", str(first)])
    braces = "{" + ",".join(str(one.seed) for one in trained) + "}"
    stem = shlex.quote(str(folder_of_seed(root, 0).root)[:-1])
    return f"rnncli eval {stem}{braces}/best.safetensors --ensemble"
