"""The figures of a run as it goes: metrics.jsonl, and the sums that a checkpoint must carry to continue it."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnncli.errors import RnncliError
from rnncli.machine import peak_memory_mb
from rnncli.run_dir import cannot_write
from rnncli.training import StepDone, Validated

_FIGURES = ("epoch", "step", "loss", "seconds", "improved")


@dataclass
class Sums:
    """What adds up over a run, across its interruptions.

    Attributes
    ----------
    loss : float
        Training losses since the last validation, in nats, added up over texts, or tokens where each has a label.
    texts : int
        How many of these that is.
    tokens : int
        Real tokens trained on.
    train_seconds, seconds : float
        Time in training steps alone, and in all.
    metrics_bytes : int
        Length of metrics.jsonl.
    """

    loss: float = 0.0
    texts: int = 0
    tokens: int = 0
    train_seconds: float = 0.0
    seconds: float = 0.0
    metrics_bytes: int = 0


class Recorder:
    """Writes metrics.jsonl and keeps the sums.

    Parameters
    ----------
    path : Path
        The file; what it holds beyond ``sums.metrics_bytes`` belongs to steps that will be made again and is cut off.
    sums : Sums
        All zero for a new run.
    log_every : int
        Steps from row to row.
    start : float, optional
        When the run was started, by ``time.perf_counter``; now when not given.
    figures : tuple of str
        The figures of a validation besides its loss.

    Attributes
    ----------
    also : callable or None
        Is given every row that is written from here on.
    """

    also: Callable[[dict[str, Any]], None] | None = None

    def __init__(
        self, path: Path, sums: Sums, log_every: int, start: float | None = None, figures: tuple[str, ...] = ()
    ) -> None:
        self.path, self.sums, self.log_every = path, sums, log_every
        self.validations: list[dict[str, Any]] = []
        self.speed = 0.0  # tokens per second over the last full interval
        self._interval = (sums.tokens, sums.train_seconds)
        self._seconds_before = sums.seconds
        self._mark = time.perf_counter()
        self._start = self._mark if start is None else start
        with _refusing(path):
            self._file = path.open("ab")
            if path.stat().st_size > sums.metrics_bytes:
                self._file.truncate(sums.metrics_bytes)
            self._file.seek(0, os.SEEK_END)
            raw = path.read_bytes() if sums.metrics_bytes else b""
        try:
            self.validations = _validations(raw, path, figures)
        except RnncliError:
            self._file.close()
            raise

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best validation, empty before the first."""
        return next((row for row in reversed(self.validations) if row["improved"]), {})

    def step(self, event: StepDone) -> None:
        """Take note of a training step that just ended."""
        sums = self.sums
        sums.train_seconds += self._lap()
        sums.tokens += event.tokens
        if not event.skipped:
            sums.loss, sums.texts = sums.loss + event.loss * event.counted, sums.texts + event.counted
        tokens, seconds = sums.tokens - self._interval[0], sums.train_seconds - self._interval[1]
        self.speed = self.speed or tokens / seconds
        if event.step % self.log_every == 0:
            self.speed = tokens / seconds
            self._interval = (sums.tokens, sums.train_seconds)
            self._write({"kind": "step", **event._asdict(), "tokens_per_second": round(self.speed)})

    def validation(self, event: Validated) -> dict[str, Any]:
        """Take note of a validation that just ended, and return its row."""
        self._lap()
        mean = self.sums.loss / self.sums.texts if self.sums.texts else None
        self.sums.loss, self.sums.texts = 0.0, 0
        figures = {"step": event.step, "epoch": event.epoch, **event.figures, "improved": event.improved}
        row = self._write({"kind": "validation", **figures, "train_loss": mean})
        self.validations.append(row)
        return row

    def samples(self, step: int, texts: list[str]) -> None:
        """Take note of texts that the model has made up."""
        for text in texts:
            self._write({"kind": "sample", "step": step, "text": text})

    def resumed(self, step: int, changes: dict[str, Any]) -> None:
        """Take note that the run goes on after an interruption."""
        self._write({"kind": "resumed", "step": step, "changed": changes})

    def state(self) -> dict[str, Any]:
        """Bring the file onto the disk and return the sums, ready for JSON."""
        with _refusing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self.sums.metrics_bytes = self._file.tell()
        return asdict(self.sums)

    def close(self) -> None:
        """Close the file."""
        with _refusing(self.path):
            self._file.close()

    def resume_clock(self) -> None:
        """Let the next step's time begin now."""
        self._mark = time.perf_counter()

    def _lap(self) -> float:
        now = time.perf_counter()
        seconds, self._mark = now - self._mark, now
        self.sums.seconds = self._seconds_before + now - self._start
        return seconds

    def _write(self, row: dict[str, Any]) -> dict[str, Any]:
        row |= {"seconds": round(self.sums.seconds, 3), "peak_memory_mb": peak_memory_mb()}
        row = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
        }
        with _refusing(self.path):
            self._file.write(json.dumps(row).encode() + b"\n")
            self._file.flush()
        if self.also is not None:
            self.also(row)
        return row


def _validations(raw: bytes, path: Path, figures: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows of validations in a metrics.jsonl, which may have been edited or damaged since it was written."""
    found = []
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            row = json.loads(line)
            if row["kind"] == "validation":
                if not all(isinstance(row[key], int | float) for key in _FIGURES):
                    raise TypeError
                if not all(isinstance(row[key], int | float | None) for key in ("train_loss", *figures)):
                    raise TypeError
                found.append(row)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RnncliError(
                "is not a row that rnncli wrote",
                where=f"{path}:{number}",
                remedy=f"To go on without the rows up to now, move the file away: mv {path} {path}.old",
            ) from None
    return found


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error
