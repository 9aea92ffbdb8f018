"""``rnncli gradcheck``."""

import json
import math
import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from rnncli.cli.numbers import NumberRange
from rnncli.cli.options import set_option
from rnncli.gradcheck import ALL_CHECKS, TOLERANCE, Result, run_checks

LISTED_FAILURES = 20
INPUTS_WIDTH = 30


@click.command("gradcheck")
@click.argument("config", required=False, type=click.Path(path_type=Path))
@set_option
@click.option(
    "--tolerance",
    type=NumberRange(0, 0.1, min_open=True),
    default=TOLERANCE,
    show_default=True,
    help="Largest relative error of a gradient that passes.",
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides the numbers.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.pass_context
def command(
    context: click.Context, config: Path | None, overrides: tuple[str, ...], tolerance: float, seed: int, as_json: bool
) -> None:
    """Prove the gradients by central differences in float64.

    Without CONFIG, those of every layer and composition, and that different ways to compute the same thing agree.
    With CONFIG, those of the very model it describes, by every parameter, on a small batch of its own data.

    The exit code is 1 if anything fails.
    """
    start = time.perf_counter()
    if config is None and overrides:
        raise click.UsageError("--set changes a config; name one.")
    checks = ALL_CHECKS if config is None else _configured(config, overrides)
    width = max(len(check.name) for check in checks)
    if not as_json:
        click.echo(f"{'check':<{width}}  {'inputs':<{INPUTS_WIDTH}}  {'worst error':>11}  verdict")

    def report(found: list[Result]) -> None:
        # A layer has one line for all of its inputs; a config's model one for each parameter.
        for group in [found] if config is None else [[result] for result in found]:
            click.echo(_line(group, width))

    results = run_checks(seed=seed, tolerance=tolerance, checks=checks, report=(lambda _: None) if as_json else report)
    seconds = time.perf_counter() - start
    if as_json:
        click.echo(json.dumps(_summary(results, seed, tolerance, seconds)))
    else:
        _print_closing(results, tolerance, seconds)
    if not all(result.passed for result in results):
        context.exit(1)


def _configured(path: Path, overrides: tuple[str, ...]) -> Sequence[Any]:
    """Return the rows of a config's model."""
    from rnncli.config import load_config
    from rnncli.gradcheck.configured import configured_checks
    from rnncli.run_dir import CACHE
    from rnncli.tasks import task_of

    config = load_config(path, overrides)
    return configured_checks(config, task_of(config).load(config, CACHE))


def _line(group: list[Result], width: int) -> str:
    """Return the table's line for some inputs of one row."""
    inputs = " ".join(result.input for result in group)
    if len(inputs) > INPUTS_WIDTH:
        inputs = f"{len(group)} {'tensors' if group[0].kind == 'gradient' else 'results'}"
    error = max(result.error for result in group)
    verdict = "ok" if all(result.passed for result in group) else "FAILED"
    return f"{group[0].name:<{width}}  {inputs:<{INPUTS_WIDTH}}  {error:>11.1e}  {verdict}"


def _print_closing(results: list[Result], tolerance: float, seconds: float) -> None:
    failed = [result for result in results if not result.passed]
    for result in failed[:LISTED_FAILURES]:
        click.echo(f"FAILED {_failure(result)}")
    if len(failed) > LISTED_FAILURES:
        click.echo(f"and {len(failed) - LISTED_FAILURES} more; --json lists all")
    totals = _totals(results)
    names = len({result.name for result in failed})
    click.echo(
        f"{totals['checks']} checks of {totals['tensors']} tensors, {totals['elements']:,} elements: "
        f"worst gradient error {_worst(results, 'gradient'):.1e} (tolerance {tolerance:.1e}), "
        f"worst identity difference {_worst(results, 'identity'):.1e}; {seconds:.1f} s; "
        + (f"FAILED: {len(failed)} tensors in {names} checks" if failed else "all passed")
    )


def _failure(result: Result) -> str:
    """Say in one line what failed, with the element and both values."""
    where = f"{result.name}: {result.input}" if result.input else result.name
    if result.problem or result.worst is None:
        return f"{where}: {result.problem}"
    point = result.worst
    element = f"[{', '.join(map(str, point.coordinate))}]" if point.coordinate else ""
    if result.kind == "identity":
        return f"{where}{element}: {point.analytic!r} one way, {point.numeric!r} the other"
    return f"{where}{element}: analytic {point.analytic:.9g}, numeric {point.numeric:.9g}, error {point.error:.1e}"


def _worst(results: list[Result], kind: str) -> float:
    return max((result.error for result in results if result.kind == kind), default=0.0)


def _totals(results: list[Result]) -> dict[str, int]:
    rows = [name for name, _ in groupby(results, key=lambda result: result.name)]
    return {
        "checks": len(rows),
        "tensors": len(results),
        "elements": sum(result.coordinates for result in results),
        "failed": sum(not result.passed for result in results),
    }


def _summary(results: list[Result], seed: int, tolerance: float, seconds: float) -> dict[str, Any]:
    """Return everything found, for --json; what is not finite is null, which JSON has."""

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "passed": all(result.passed for result in results),
        **_totals(results),
        "worst_gradient_error": number(_worst(results, "gradient")),
        "worst_identity_difference": number(_worst(results, "identity")),
        "seconds": round(seconds, 3),
        "seed": seed,
        "tolerance": tolerance,
        "results": [
            {
                "kind": result.kind,
                "name": result.name,
                "input": result.input,
                "elements": result.coordinates,
                "error": number(result.error),
                "tolerance": result.tolerance,
                "passed": result.passed,
                "problem": result.problem or None,
                "worst": result.worst
                and {
                    "coordinate": list(result.worst.coordinate),
                    "analytic": number(result.worst.analytic),
                    "numeric": number(result.worst.numeric),
                },
            }
            for result in results
        ],
    }
