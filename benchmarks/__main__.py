"""Measure rnncli beside PyTorch on two cores: ``python -m benchmarks [--quick] [--parts PART ...]``.

Writes benchmarks/results/DATE.json and .md, anew after every table, so that what was measured is kept if it is
interrupted. All of it takes about half an hour; the machine should have nothing else to do.
"""

import argparse
import json
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import IMDB, ROOT, Plan, Table
from benchmarks.goals import goals_table
from benchmarks.machine import facts, use_two_cores

PARTS = ("training", "layers", "growth", "starting")


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small share of everything, in a few minutes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all, unless some are named")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results", help="folder to write to")
    args = parser.parse_args()
    if find_spec("torch") is None or find_spec("threadpoolctl") is None:
        print("PyTorch is not installed. Type: make bench, or pip install -e '.[bench]'", file=sys.stderr)
        return 1
    if args.parts != ["layers"] and not IMDB.is_dir():
        print(f"{IMDB} is missing. Type: rnncli data get imdb", file=sys.stderr)
        return 1
    args.results.mkdir(parents=True, exist_ok=True)
    target = args.results / time.strftime("%Y-%m-%d-%H%M%S")
    run = {"date": time.strftime("%Y-%m-%d %H:%M"), "quick": args.quick, "machine": facts(use_two_cores())}
    measured: dict[str, list[Table]] = {}
    start = time.monotonic()
    with TemporaryDirectory(prefix="rnncli-bench-") as work:
        for part in args.parts:
            module = import_module(f"benchmarks.{part}")
            measured[part] = []
            for table in module.tables(Plan(args.quick, Path(work))):
                measured[part].append(table)
                run["minutes"] = round((time.monotonic() - start) / 60, 1)
                write(target, run, measured)
                print(f"\n{table.markdown()}\n", flush=True)
    print(f"Written: {target}.json and {target}.md, after {run['minutes']} minutes")
    return 0


def write(target: Path, run: dict[str, Any], measured: dict[str, list[Table]]) -> None:
    """Write all that was measured, once for programs and once for people."""
    parts = {
        part: [{"title": table.title, "note": table.note, "records": table.records} for table in tables]
        for part, tables in measured.items()
    }
    target.with_suffix(".json").write_text(json.dumps({**run, "parts": parts}, indent=1) + "\n", encoding="utf-8")
    lines = ["# rnncli beside PyTorch on two cores", ""]
    lines += [f"- {name}: {value}" for name, value in {**run, **run["machine"]}.items() if name != "machine"]
    goals = goals_table([table for tables in measured.values() for table in tables])
    lines += ["", goals.markdown()] if goals.rows else []
    for part, tables in measured.items():
        lines += ["", f"## {import_module(f'benchmarks.{part}').__doc__.splitlines()[0]}"]
        lines += [line for table in tables for line in ("", table.markdown())]
    target.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
