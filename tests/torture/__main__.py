"""Torture rnncli and print what it bore: ``python tests/torture [--quick] [PART ...]``; some 20 minutes on two cores.

Everything happens in a temporary folder. The exit code is 1 if a promise of docs/reliability.md was broken.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from rnncli.blas import default_to_one_thread

default_to_one_thread()  # as the command line does, and before anything imports NumPy

from common import Result  # noqa: E402

FUZZ = Path(__file__).parents[1] / "fuzz"
TARGETS = [
    *(("fuzz_readers.py", name) for name in ("csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb")),
    *(("fuzz_tasks.py", name) for name in ("conllu", "columns", "text", "codec")),
    ("fuzz_config.py", ""),
    ("fuzz_checkpoint.py", ""),
]


def fuzz(folder: Path, quick: bool) -> Iterator[Result]:
    """Run every fuzz target, two at a time."""
    runs = 2000 if quick else 100_000
    if find_spec("atheris") is None:
        yield Result("fuzzing", "not run: atheris is not installed (pip install -e '.[fuzz]')", False)
        return

    def run(target: tuple[str, str]) -> Result:
        script, argument = target
        command = [sys.executable, str(FUZZ / script), *filter(None, [argument]), f"-runs={runs}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
        good = f"Done {runs} runs" in done.stderr and done.returncode == 0
        if not good:
            print(done.stderr[-3000:])
        name = f"{script.removeprefix('fuzz_').removesuffix('.py')} {argument}".strip()
        return Result(
            f"fuzzing, {name}", f"{runs:,} inputs, nothing but RnncliError" if good else "FAILED, see above", good
        )

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(run, TARGETS)


# Imported only when they are run: they import NumPy and rnncli.
PARTS: dict[str, Callable[[], Callable[[Path, bool], Iterator[Result]]]] = {
    "repeats": lambda: import_module("repeats").repeat,
    "kill-writes": lambda: import_module("kills").kill_writes,
    "corruption": lambda: import_module("corruption").corrupt_checkpoints,
    "failures": lambda: import_module("failures").fail_writes,
    "fuzz": lambda: fuzz,
    "kill-runs": lambda: import_module("kills").kill_runs,
    "kill-workers": lambda: import_module("workers").kill_workers,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/torture", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all without any")
    parser.add_argument("--quick", action="store_true", help="a small share of everything, in a minute or two")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    results: list[tuple[str, Result]] = []
    for part in given.parts or PARTS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="rnncli-torture-") as folder:
            found = PARTS[part]()
            for result in found(Path(os.path.realpath(folder)), given.quick):
                results.append((part, result))
                print(f"{'ok  ' if result.good else 'FAIL'} {result.test}: {result.figure}", flush=True)
        print(f"     {part}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"\n{'':4} {'test':75} figure")
    for _, result in results:
        print(f"{'ok' if result.good else 'FAIL':4} {result.test:75} {result.figure}")
    bad = sum(not result.good for _, result in results)
    print(f"\n{len(results)} tests, {f'{bad} FAILED' if bad else 'all good'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
