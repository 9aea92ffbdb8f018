"""``rnncli verify-resume``."""

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import click

from rnncli.cli.options import set_option
from rnncli.verifying import verify_resume


@click.command("verify-resume")
@click.argument("config", type=click.Path(path_type=Path))
@set_option
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Steps of each run at the most.")
@click.option("--kills", type=click.IntRange(1), default=5, show_default=True, help="Times to kill the second run.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides the moments of the kills.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def command(
    ctx: click.Context, config: Path, overrides: tuple[str, ...], steps: int, kills: int, seed: int, as_json: bool
) -> None:
    """Prove that a run of CONFIG that is killed and resumed ends in the same bits as one that is not.

    Trains twice in a folder of its own, once straight and once killed (SIGKILL) at random moments, and compares
    weights, optimizer moments and metrics. The exit code is 1 if anything differs.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rnncli-verify-") as folder:
        verdict = verify_resume(
            config, overrides, Path(folder), steps, kills, seed, lambda text: click.echo(text, err=True)
        )
    if as_json:
        click.echo(json.dumps({"ok": not verdict.differences, **asdict(verdict)}))
    else:
        click.echo(f"killed after the checkpoints of steps {', '.join(map(str, verdict.killed_at))}")
        for name, digest in verdict.digests.items():
            click.echo(f"{name:29} {digest[:16]}  {'DIFFERS' if name in verdict.differences else 'equal'}")
        outcome = "differs" if verdict.differences else "equal to the bit"
        click.echo(f"{verdict.kills} kills, {time.monotonic() - start:.0f} s: {outcome}")
    if verdict.differences:
        ctx.exit(1)
