"""The figures of a run for TensorBoard: what metrics.jsonl has, as an event file in the form that TensorBoard reads.

The file is written by TensorBoard's own package, without TensorFlow. It follows metrics.jsonl: a run that goes on
writes one anew from the rows that count. Each file begins with a mark at which TensorBoard drops what it has read of
the run until then, so a step that was made twice is never seen twice.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rnncli.extras import require
from rnncli.run_dir import cannot_write

# What a row of a step is called; a part of a name before the first slash is a group of charts.
_STEP = {
    "loss": "loss/train",
    "accuracy": "accuracy/train",
    "lr": "optim/lr",
    "grad_norm": "optim/gradient_norm",
    "tokens_per_second": "speed/tokens_per_second",
}
_NOT_FIGURES = {"kind", "step", "epoch", "improved", "train_loss", "seconds", "peak_memory_mb"}


def require_tensorboard() -> None:
    """Raise RnncliError, with what to type, if the package is not installed."""
    _package("summary.writer.record_writer")


class EventFile:
    """An event file of one run.

    Parameters
    ----------
    folder : Path
        Where it goes. Of the event files that are there the newest is kept, for a TensorBoard that is reading it.
    rows : iterable of mapping
        The rows of metrics.jsonl up to now.
    start : float
        When the run would have been started had it never been interrupted, in seconds since 1970.

    Raises
    ------
    RnncliError
        If the package is not installed or the file cannot be written.
    """

    def __init__(self, folder: Path, rows: Iterable[Mapping[str, Any]], start: float) -> None:
        self._start = start
        self._samples = (0, 0)  # a step, and how many samples of it there have been
        self._event = _package("compat.proto.event_pb2").Event
        self._session_log = _package("compat.proto.event_pb2").SessionLog
        self._summary = _package("compat.proto.summary_pb2").Summary
        self._tensor = _package("compat.proto.tensor_pb2").TensorProto
        self._text = _package("plugins.text.metadata").create_summary_metadata
        writer = _package("summary.writer.record_writer").RecordWriter
        self.path = folder
        with self._refusing():
            folder.mkdir(exist_ok=True)
            before = sorted(folder.glob("events.out.tfevents.*"), key=_stamp)
            # TensorBoard reads the files of a folder in the order of their names.
            stamp = max([int(time.time()), *(_stamp(path) + 1 for path in before)])
            self.path = folder / f"events.out.tfevents.{stamp:010d}.rnncli"
            self._writer = writer(self.path.open("xb"))
            try:
                self._put(file_version="brain.Event:2", wall_time=start)
                mark = self._session_log(status=self._session_log.START)
                self._put(session_log=mark, step=0, wall_time=start)
                for row in rows:
                    self._add(row)
                self._writer.flush()
                for path in before[:-1]:
                    path.unlink()
            except BaseException:
                with suppress(OSError):
                    self._writer.close()
                    self.path.unlink()
                raise

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row of metrics.jsonl."""
        with self._refusing():
            self._add(row)
            self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        with self._refusing():
            self._writer.close()

    def _add(self, row: Mapping[str, Any]) -> None:
        if row["kind"] == "sample":
            values = [self._sample(row["step"], str(row.get("text")))]
        elif row["kind"] == "step":
            values = self._scalars({tag: row.get(key) for key, tag in _STEP.items()})
        elif row["kind"] == "validation":
            values = self._scalars({f"{key}/valid": value for key, value in row.items() if key not in _NOT_FIGURES})
        else:
            return
        seconds = row.get("seconds")  # missing only where somebody edited the row
        wall_time = self._start + (seconds if isinstance(seconds, int | float) else 0.0)
        self._put(summary=self._summary(value=values), step=row["step"], wall_time=wall_time)

    def _scalars(self, figures: Mapping[str, Any]) -> list[Any]:
        """Return what there is of the figures; None stands for what is not finite, or not of this data."""
        return [
            self._summary.Value(tag=tag, simple_value=value)
            for tag, value in figures.items()
            if isinstance(value, int | float)
        ]

    def _sample(self, step: int, text: str) -> Any:
        """Return a text, indented, which in Markdown says to show it as it is."""
        before, number = self._samples
        number = number + 1 if step == before else 1
        self._samples = step, number
        indented = "\n".join(f"    {line}" for line in text.splitlines())
        tensor = self._tensor(dtype="DT_STRING", string_val=[indented.encode("utf-8", "replace")])
        return self._summary.Value(tag=f"samples/{number}", metadata=self._text("", ""), tensor=tensor)

    def _put(self, **fields: Any) -> None:
        self._writer.write(self._event(**fields).SerializeToString())

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self.path, error) from error


def _package(part: str) -> Any:
    """Import a part of TensorBoard's package."""
    return require(f"tensorboard.{part}", extra="tensorboard", purpose="train.tensorboard")


def _stamp(path: Path) -> int:
    """Return the time in the name of an event file, in seconds since 1970."""
    digits = path.name.split(".")[3]
    return int(digits) if digits.isdigit() else 0
