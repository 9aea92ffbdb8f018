"""``rnncli train``."""

import json
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rnncli.cli import train_seeds
from rnncli.cli.options import set_option
from rnncli.config import load_config
from rnncli.errors import ConfigError, RnncliError
from rnncli.figures import FIGURES, Figure
from rnncli.joining import join
from rnncli.machine import keep_freed_memory
from rnncli.profiling import blas_peak, profiling
from rnncli.progress import ConsoleProgress
from rnncli.run import Summary, train_run
from rnncli.run_dir import RUNS, RunDir
from rnncli.workers.launch import ending
from rnncli.workers.mpi import connect, launched_by_mpi

SHOWN = 20  # validations in the closing table


@click.command("train")
@click.argument("config", type=click.Path(path_type=Path), required=False)
@set_option
@click.option("--run-dir", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME]")
@click.option("--overwrite", is_flag=True, help="Replace an earlier run in that folder.")
@click.option("--resume", is_flag=True, help="Go on with the run in that folder, from its last checkpoint.")
@click.option("--seeds", metavar="N|A,B,...", help="Train with so many seeds, or with these; say mean and spread.")
@click.option("--vary-split", is_flag=True, help="Let each of --seeds choose the validation part too.")
@click.option("--profile", is_flag=True, help="Say where the time went.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    config: Path | None,
    overrides: tuple[str, ...],
    run_dir: Path | None,
    overwrite: bool,
    resume: bool,
    seeds: str | None,
    vary_split: bool,
    profile: bool,
    as_json: bool,
) -> None:
    """Train a model from a YAML config.

    The run's folder gets the resolved config, metrics.jsonl and the checkpoints best.safetensors and
    last.safetensors. With --resume, CONFIG may also be the folder of the run.

    With --seeds there is a run for each seed, NAME-seed1 and so on, and --resume trains those that are missing.
    """
    keep_freed_memory()
    with ExitStack() as stack:
        exchange = None
        if launched_by_mpi():
            exchange = connect()
            if exchange.rank:
                join(exchange)
            stack.enter_context(ending(exchange))
        if config is None:
            raise _misused("CONFIG is missing: a YAML file, or with --resume the folder of a run")
        if overwrite and resume:
            raise _misused("--overwrite and --resume exclude each other")
        if vary_split and seeds is None:
            raise _misused("--vary-split is of --seeds, which is missing")
        if seeds is not None:
            if exchange is not None:
                raise _misused(
                    "--seeds is for one machine; over MPI, train with each seed by --set seed=N --set name=NAME-N"
                )
            if profile:
                raise _misused("--seeds and --profile exclude each other")
            how = train_seeds.How(config, overrides, run_dir, seeds, vary_split, overwrite, resume)
            train_seeds.run(how, as_json)
            return
        if resume and config.is_dir():
            run_dir, config = run_dir or config, RunDir(config).config
        settings = load_config(config, overrides)
        folder = RunDir(run_dir or RUNS / settings.name)
        progress = ConsoleProgress(settings.train.log_every)
        source = settings.data.train.model_dump()
        progress.reading(source.get("path") or source["format"])
        try:
            with profiling() if profile else nullcontext() as stages:
                summary = train_run(
                    settings, folder, progress, overwrite=overwrite, resume=resume, given=overrides, exchange=exchange
                )
        except RnncliError:
            if stages and not as_json:  # a long run may be stopped for what this says
                _print_profile(stages.report(blas_peak()))
            raise
    times = stages.report(blas_peak()) if stages else None
    if as_json:
        click.echo(json.dumps({**asdict(summary), **({"profile": times} if times else {})}, default=str))
    else:
        if times:
            _print_profile(times, summary.processes)
        _print_summary(summary, folder, FIGURES[settings.task])


def _misused(what: str) -> ConfigError:
    return ConfigError(what, remedy="See: rnncli train --help")


def _print_profile(times: list[dict[str, Any]], processes: int = 1) -> None:
    if processes > 1:
        click.echo(f"the time of the first of {processes} processes:")
    click.echo(f"{'stage':10} {'seconds':>8} {'share':>7} {'GFLOP/s':>8} {'of peak':>8}")
    for row in times:
        speed = "" if row["gflops"] is None else f"{row['gflops']:.1f}"
        of_peak = "" if row["of_peak"] is None else f"{row['of_peak']:.0%}"
        line = f"{row['stage']:10} {row['seconds']:>8.2f} {row['share']:>7.1%} {speed:>8} {of_peak:>8}  {row['what']}"
        click.echo(line.rstrip())
    click.echo("")


def _print_summary(summary: Summary, folder: RunDir, figures: tuple[Figure, ...]) -> None:
    shown = [f for f in figures if any(row.get(f.key) is not None for row in summary.validations)]
    widths = [max(9, len(figure.heading)) for figure in shown]
    headings = " ".join(f"{figure.heading:>{width}}" for figure, width in zip(shown, widths, strict=True))
    click.echo(f"{'epoch':>5} {'step':>7} {'train loss':>11} {'valid loss':>11} {headings} {'seconds':>8}")
    hidden = summary.validations[:-SHOWN]
    if hidden:
        click.echo(f"{'...':>5} {len(hidden)} more in {folder.metrics}")
    for row in [*(row for row in hidden if row is summary.best), *summary.validations[-SHOWN:]]:
        best = "  best" if row is summary.best else ""
        train_loss = "-" if row["train_loss"] is None else f"{row['train_loss']:.4f}"  # None: every batch was skipped
        columns = " ".join(figure.show(row, width) for figure, width in zip(shown, widths, strict=True))
        click.echo(
            f"{row['epoch']:>5} {row['step']:>7} {train_loss:>11} {row['loss']:>11.4f} "
            f"{columns} {row['seconds']:>8.1f}{best}"
        )
    if not summary.steps:
        click.echo("nothing was left to train")
    stopped = "stopped early after" if summary.stopped_early else "finished in"
    click.echo(
        f"{stopped} {summary.seconds:.1f} s: {summary.tokens_per_second:,.0f} tokens/s in training, "
        f"peak memory {summary.peak_memory_mb:,.0f} MB"
    )
    click.echo(f"next: rnncli eval {folder.best}")
