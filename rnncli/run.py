"""A training run from config to result: the folder it lives in and the whole walk through it."""

import json
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rnncli.assembly import build_trainer
from rnncli.config import Config, dump_config
from rnncli.data.dataset import Dataset, load_dataset
from rnncli.errors import RnncliError
from rnncli.interruption import note_interrupts
from rnncli.trained import save_trained
from rnncli.training import StepDone, Trainer, Validated

RUNS = Path("runs")
CACHE = RUNS / ".cache"


@dataclass(frozen=True)
class RunDir:
    """The folder of a run, and the name of every file in it."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: every validation and every ``log_every``-th step."""
        return self.root / "metrics.jsonl"

    @property
    def last(self) -> Path:
        """The checkpoint of the newest validation, or of an interruption."""
        return self.root / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        return self.root / "best.safetensors"

    def refuse_earlier_run(self) -> None:
        """Raise RnncliError if the folder holds a run already."""
        if any(file.exists() for file in self._files):
            raise RnncliError(
                "holds an earlier run",
                where=str(self.root),
                remedy="Add --overwrite to replace it, or --set name=OTHER to keep both",
            )

    def create(self, config: Config) -> None:
        """Make the folder, empty it of an earlier run and write the config into it.

        Parameters
        ----------
        config : Config
            The resolved config.

        Raises
        ------
        RnncliError
            If the folder cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for file in self._files:
                file.unlink(missing_ok=True)
            self.config.write_text(dump_config(config), encoding="utf-8")
        except OSError as error:
            raise _cannot_write(self.root, error) from error

    @property
    def _files(self) -> tuple[Path, ...]:
        return self.config, self.metrics, self.last, self.best


def _cannot_write(path: Path, error: OSError) -> RnncliError:
    return RnncliError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="Free some space or choose another place with --run-dir",
    )


class Progress(Protocol):
    """Who watches a run; see :mod:`rnncli.progress` for the one that prints."""

    def started(self, trainer: Trainer, data: Dataset) -> None:
        """Take note that data and model are there and training begins."""
        ...

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        """Take note of an update."""
        ...

    def validated(self, event: Validated, seconds: float) -> None:
        """Take note of a validation, so many seconds after the start."""
        ...

    def finished(self) -> None:
        """Take note that no more events come."""
        ...


class Interrupted(RnncliError):
    """The user stopped the run; what there was is saved."""

    exit_code = 130


@dataclass
class Summary:
    """What a finished run has to say.

    Attributes
    ----------
    run_dir : Path
        The folder.
    validations : list of dict
        Step, epoch, training loss since the last one, loss, accuracy, macro_f1, seconds since the start.
    best : dict
        The one that ``best.safetensors`` holds.
    train_seconds, seconds : float
        Time in updates alone, and from the start of the run to its end.
    tokens_per_second : float
        Real tokens trained on, by ``train_seconds``.
    peak_memory_mb : float
        Of the process.
    parameters : int
        Numbers in the model.
    stopped_early : bool
        Whether patience ran out before the last epoch.
    """

    run_dir: Path
    validations: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    train_seconds: float = 0.0
    seconds: float = 0.0
    tokens_per_second: float = 0.0
    peak_memory_mb: float = 0.0
    parameters: int = 0
    stopped_early: bool = False


def train_run(
    config: Config,
    run_dir: RunDir,
    progress: Progress,
    *,
    overwrite: bool = False,
) -> Summary:
    """Train what a config says, into a folder.

    Parameters
    ----------
    config : Config
        What to train.
    run_dir : RunDir
        Where to.
    progress : Progress
        Is told what happens.
    overwrite : bool
        Replace an earlier run in that folder.

    Returns
    -------
    Summary
        The figures of the run.

    Raises
    ------
    RnncliError
        If anything the user gave cannot be used, or SIGINT came.
    """
    start = time.perf_counter()
    if not overwrite:
        run_dir.refuse_earlier_run()
    data = load_dataset(config.data, config.seed, CACHE)
    trainer = build_trainer(config, data)
    run_dir.create(config)
    summary = Summary(run_dir.root, parameters=sum(array.size for array in trainer.model.params.values()))
    progress.started(trainer, data)
    losses: list[float] = []
    tokens, interval_tokens, interval_seconds, speed = 0, 0, 0.0, 0.0
    try:
        with note_interrupts() as interrupted, run_dir.metrics.open("a", encoding="utf-8", buffering=1) as metrics_file:
            before = time.perf_counter()
            for event in trainer.run():
                now = time.perf_counter()
                common = {"seconds": round(now - start, 3), "peak_memory_mb": peak_memory_mb()}
                if isinstance(event, StepDone):
                    summary.train_seconds += now - before
                    interval_seconds += now - before
                    tokens, interval_tokens = tokens + event.tokens, interval_tokens + event.tokens
                    losses.append(event.loss)
                    if event.step % config.train.log_every == 0:
                        speed = interval_tokens / interval_seconds
                        interval_tokens, interval_seconds = 0, 0.0
                        row = {"kind": "step", **event._asdict(), "tokens_per_second": round(speed), **common}
                        metrics_file.write(json.dumps(row) + "\n")
                    progress.step(event, speed or interval_tokens / interval_seconds)
                    if interrupted():
                        save_trained(run_dir.last, trainer, config, data.vocabulary, data.labels, summary.best)
                        raise Interrupted(
                            f"interrupted at step {event.step} of {trainer.total_steps}",
                            remedy=f"The model as it was is in {run_dir.last}: rnncli eval {run_dir.last}",
                        )
                else:
                    row = {"kind": "validation", **event._asdict(), "train_loss": float(np.mean(losses)), **common}
                    losses = []
                    metrics_file.write(json.dumps(row) + "\n")
                    summary.validations.append(row)
                    if event.improved:
                        summary.best = row
                        save_trained(run_dir.best, trainer, config, data.vocabulary, data.labels, row)
                    save_trained(run_dir.last, trainer, config, data.vocabulary, data.labels, row)
                    progress.validated(event, now - start)
                before = time.perf_counter()
    except OSError as error:
        raise _cannot_write(run_dir.metrics, error) from error
    finally:
        progress.finished()
    summary.seconds = time.perf_counter() - start
    summary.tokens_per_second = tokens / summary.train_seconds
    summary.peak_memory_mb = peak_memory_mb()
    summary.stopped_early = trainer.step < trainer.total_steps
    return summary


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)
