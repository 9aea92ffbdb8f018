"""What is left of a run: its checkpoint, its metrics, what it took."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnncli.checkpoint import load_checkpoint
from rnncli.errors import CheckpointError, ConfigError, shown_on_one_line
from rnncli.metrics_file import read_metrics
from rnncli.run_dir import RunDir, find_checkpoint
from rnncli.trained import Trained, load_trained


@dataclass(frozen=True)
class RunRecord:
    """A run, or a checkpoint without one.

    Attributes
    ----------
    name : str
        What to call it among others; on one line.
    checkpoint : Path
        The file with the model.
    trained : Trained
        What it holds, with the mean weights where there are some.
    rows : list of dict
        Of metrics.jsonl; empty without one.
    """

    name: str
    checkpoint: Path
    trained: Trained
    rows: list[dict[str, Any]]

    @property
    def parameters(self) -> int:
        """Numbers in the model."""
        return sum(array.size for array in self.trained.model.params.values())

    @property
    def step(self) -> int:
        """Where the checkpoint was saved."""
        return int(self.trained.progress["step"])

    @property
    def environment(self) -> dict[str, Any]:
        """What computed it; empty where a checkpoint does not say."""
        found = self.trained.progress.get("environment")
        found = found if isinstance(found, dict) else {}
        return {key: value for key, value in found.items() if isinstance(value, str | int | float)}

    @property
    def processes(self) -> int:
        """How many trained it together; 1 where a checkpoint does not say."""
        found = self.environment.get("processes")
        return found if type(found) is int and found > 0 else 1

    @property
    def recorded(self) -> dict[str, Any]:
        """The figures of the validation that was made when the checkpoint was saved, as far as they are known."""
        rows = [row for row in self.rows if row["kind"] == "validation" and row["step"] == self.step]
        found = rows[-1] if rows else self.trained.progress.get("metrics")
        found = found if isinstance(found, dict) else {}
        return {key: value for key, value in found.items() if isinstance(value, int | float)}


@dataclass(frozen=True)
class Cost:
    """What a run took, to its end or to the newest checkpoint; None where nothing says.

    Attributes
    ----------
    seconds, train_seconds : float or None
        In all, and in training steps alone.
    tokens_per_second : float or None
        Real tokens trained on, by ``train_seconds``.
    peak_memory_mb : float or None
        Of the first process.
    steps : int
        Steps made.
    """

    seconds: float | None
    train_seconds: float | None
    tokens_per_second: float | None
    peak_memory_mb: float | None
    steps: int


def load_records(places: Sequence[Path]) -> list[RunRecord]:
    """Read runs.

    Parameters
    ----------
    places : sequence of Path
        Folders of runs, or checkpoints.

    Returns
    -------
    list of RunRecord
        In the same order, each with a name of its own.

    Raises
    ------
    ConfigError
        If two of them are the same.
    RnncliError
        If one of them cannot be read.
    """
    paths = [find_checkpoint(place) for place in places]
    for number, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:number]]:
            raise ConfigError("is named twice", where=str(places[number]), remedy="Name each run once")
    records = []
    for path, name in zip(paths, _names(places, paths), strict=True):
        trained = load_trained(path).use_average()
        metrics = RunDir(path.parent).metrics
        of_run = path in (RunDir(path.parent).best, RunDir(path.parent).last) and metrics.exists()
        records.append(RunRecord(name, path, trained, list(read_metrics(metrics)) if of_run else []))
    return records


def cost_of(record: RunRecord) -> Cost:
    """Return what a run took.

    Parameters
    ----------
    record : RunRecord
        The run; of its folder the newest checkpoint counts, of a checkpoint alone what had been spent by then.

    Returns
    -------
    Cost
        As far as it is known.
    """
    progress = record.trained.progress
    last = RunDir(record.checkpoint.parent).last
    if record.rows and last != record.checkpoint:
        with suppress(CheckpointError, KeyError, TypeError):
            newest = load_checkpoint(last).metadata["progress"]
            progress = newest if type(newest["step"]) is int and newest["step"] >= record.step else progress
    sums = progress.get("sums")
    sums = sums if isinstance(sums, dict) else {}
    seconds, train_seconds, tokens = (_number(sums.get(key)) for key in ("seconds", "train_seconds", "tokens"))
    peaks = [peak for row in record.rows if (peak := _number(row.get("peak_memory_mb"))) is not None]
    return Cost(
        seconds=seconds,
        train_seconds=train_seconds,
        tokens_per_second=tokens / train_seconds if tokens and train_seconds else None,
        peak_memory_mb=max(peaks, default=None),
        steps=int(progress["step"]),
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _names(places: Sequence[Path], paths: Sequence[Path]) -> list[str]:
    """Return a short name for each run, or, where these are not distinct, the paths as they were given."""
    names = []
    for path in paths:
        folder = path.resolve().parent.name
        in_run = path.stem in ("best", "last") and folder
        names.append((folder if path.stem == "best" else f"{folder}/{path.stem}") if in_run else path.stem)
    count = Counter(names)
    return [
        shown_on_one_line(str(place) if count[name] > 1 else name) for place, name in zip(places, names, strict=True)
    ]
