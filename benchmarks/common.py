"""What the parts share: taking turns, starting processes and watching their memory, and laying out figures."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnncli.blas import THREAD_VARIABLES

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "imdb_lstm.yaml"
IMDB = ROOT / "data" / "aclImdb" / "train"
WATCH_SECONDS = 0.1  # between two looks at a process's memory
WAIT_SECONDS = 0.01  # between two looks for a file


@dataclass
class Plan:
    """How much is measured, and where.

    Attributes
    ----------
    quick : bool
        A small share of everything.
    work : Path
        Folder in which every process runs, so that ``runs/`` and the cache of texts stay out of the checkout.
    """

    quick: bool
    work: Path

    @property
    def rounds(self) -> int:
        """Turns of each contestant."""
        return 1 if self.quick else 3


@dataclass
class Table:
    """Figures for people, and the same for programs.

    Attributes
    ----------
    title, note : str
        What is measured; what is held fixed and how it is to be read.
    header, rows : list of str, list of list of str
        As they are shown.
    records : list of dict
        Every single measurement; of contestants that took turns, ``what`` they are and the ``results`` of each round.
    """

    title: str
    note: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)

    def add(self, what: str, turn: "Turns", *figures: str) -> None:
        """Add a row for a contestant: its figures, or why it has none."""
        shown = [f"not measured: {turn.skipped}"] if turn.skipped else list(figures)
        self.rows.append([what, *shown, *[""] * (len(self.header) - 1 - len(shown))])
        self.records.append({"what": what, "results": turn.results, "skipped": turn.skipped})

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (self.header, rule, *self.rows)]
        return "\n".join([f"### {self.title}", "", self.note, "", *lines])


class NotMeasuredError(Exception):
    """A contestant cannot be measured here; the message says why."""


@dataclass
class Turns:
    """What a contestant did in each round; nothing but the reason if it could not."""

    results: list[dict[str, float]] = field(default_factory=list)
    skipped: str = ""

    def __getitem__(self, key: str) -> list[float]:
        """Return one figure of every round."""
        return [result[key] for result in self.results]


def take_turns(
    contestants: Mapping[str, Callable[[], dict[str, float]]], rounds: int, what: str = ""
) -> dict[str, Turns]:
    """Let contestants take turns, so that a machine whose speed drifts slows all of them alike.

    Parameters
    ----------
    contestants : mapping of str to callable
        Each measures once and returns its figures.
    rounds : int
        Turns of each; every round begins with another one.
    what : str
        What they do, to be printed as they go.

    Returns
    -------
    dict of str to Turns
        In the order given.
    """
    turns = {name: Turns() for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if turns[name].skipped:
                continue
            try:
                result = contestants[name]()
            except NotMeasuredError as error:
                turns[name] = Turns(skipped=str(error))
                shown = f"not measured: {error}"
            else:
                turns[name].results.append(result)
                shown = "  ".join(f"{key} {short(value)}" for key, value in result.items() if isinstance(value, float))
            print(f"{what}  round {number + 1}  {name}: {shown}"[:200], file=sys.stderr, flush=True)
    return turns


def short(value: float) -> str:
    """Write a figure with three digits or more."""
    if value == 0:
        return "0"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(values: Sequence[float]) -> str:
    """Write the median and, of several values, the smallest and the largest."""
    if not values:
        return ""
    middle = short(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({short(min(values))} to {short(max(values))})"


def ratio(over: Sequence[float], under: Sequence[float]) -> str:
    """Write the median of the ratios within each round."""
    if not over or not under:
        return ""
    return f"{statistics.median(a / b for a, b in zip(over, under, strict=True)):.2f}"


def most(megabytes: Sequence[float]) -> str:
    """Write the highest peak of memory, nothing where it is not known."""
    return short(max(megabytes)) if any(megabytes) else ""


@dataclass
class Ran:
    """What a command did.

    Attributes
    ----------
    output : str
        What it printed.
    seconds : float
        From its start to its end.
    file_seconds : float
        From its start until the file that was waited for had something in it; ``WAIT_SECONDS`` fine.
    peak_mb : float
        The most that each of its processes has held, added up over them; shared memory counts in each. 0 where the
        system has no ``/proc`` to tell.
    """

    output: str
    seconds: float
    file_seconds: float
    peak_mb: float


def run(command: Sequence[str], plan: Plan, threads: int | None = None, file: Path | None = None) -> Ran:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
        What follows the interpreter: this Python runs it.
    plan : Plan
        Its folder is worked in.
    threads : int, optional
        Threads of BLAS and of OpenMP; the program's own default when not given.
    file : Path, optional
        A file to wait for.

    Returns
    -------
    Ran
        Output, times, memory.

    Raises
    ------
    NotMeasuredError
        If it failed; with the last line it printed.
    """
    environment = {key: value for key, value in os.environ.items() if key not in THREAD_VARIABLES}
    if threads is not None:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    peaks: dict[int, float] = {}
    file_seconds = 0.0
    with (plan.work / "output").open("w+") as output, (plan.work / "errors").open("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=plan.work, env=environment, stdout=output, stderr=errors
        )
        while process.poll() is None:
            for pid in family(process.pid):
                peaks[pid] = max(peaks.get(pid, 0.0), peak_mb(pid))
            if file is not None and not file_seconds and file.exists() and file.stat().st_size:
                file_seconds = time.perf_counter() - start
            with suppress(subprocess.TimeoutExpired):
                process.wait(WAIT_SECONDS if file is not None and not file_seconds else WATCH_SECONDS)
        seconds = time.perf_counter() - start
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            lines = errors.read().strip().splitlines() or [f"exit code {process.returncode}"]
            raise NotMeasuredError(lines[-1])
        return Ran(output.read(), seconds, file_seconds, sum(peaks.values()))


def call(function: str, plan: Plan, threads: int | None = None, **arguments: Any) -> dict[str, Any]:
    """Call ``module:function`` in a process of its own and return what it returns, with ``peak_mb``."""
    ran = run(["-m", "benchmarks.child", f"benchmarks.{function}", json.dumps(arguments)], plan, threads)
    result: dict[str, Any] = json.loads(ran.output.splitlines()[-1])
    if "skipped" in result:
        raise NotMeasuredError(result["skipped"])
    return {**result, "peak_mb": ran.peak_mb}


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it, as far as ``/proc`` tells."""
    found = [pid]
    for parent in found:
        for file in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:  # it has just ended
                continue
    return found


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has held up to now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), 0.0)


def rnncli_train(
    plan: Plan, settings: Sequence[str], steps: int, warm_up: int, threads: int | None = None
) -> dict[str, float]:
    """Train with the command line, as users do.

    Parameters
    ----------
    plan : Plan
        Where.
    settings : sequence of str
        Changes to ``CONFIG``.
    steps, warm_up : int
        Steps that are counted, and those before them.
    threads : int, optional
        As for :func:`run`.

    Returns
    -------
    dict of str to float
        ``tokens_per_second``, by the clock from the end of the warm-up to the end of the last step, so that what
        happens between steps is in it; ``first_step_seconds``, from the start of the command to the end of its first
        step; ``validation_seconds``, from the last step to the end of the validation that follows; ``peak_mb``, with
        that validation and the checkpoint.
    """
    folder = plan.work / "run"
    shutil.rmtree(folder, ignore_errors=True)
    settings = [*settings, f"train.max_steps={warm_up + steps}", "train.log_every=1"]
    changes = [part for setting in settings for part in ("--set", setting)]
    metrics = folder / "metrics.jsonl"
    ran = run(["-m", "rnncli", "train", str(CONFIG), "--run-dir", str(folder), *changes], plan, threads, metrics)
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    made = [row for row in rows if row["kind"] == "step"]
    validated = next(row for row in rows if row["kind"] == "validation")
    seconds = made[-1]["seconds"] - made[warm_up - 1]["seconds"]
    return {
        "tokens_per_second": sum(row["tokens"] for row in made[warm_up:]) / seconds,
        "first_step_seconds": ran.file_seconds,
        "validation_seconds": validated["seconds"] - made[-1]["seconds"],
        "peak_mb": ran.peak_mb,
    }
