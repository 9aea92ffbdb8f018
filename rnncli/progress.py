"""What a person sees of a run: a bar per epoch on a terminal, a line per interval elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from rnncli.training import StepDone, Trainer, Validated
from rnncli.work import trained_weights


class _Outlived:
    """A stream that is written to no more once that has failed: a run outlives its terminal."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None where the process was started without it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> None:
        with self._giving_up():
            if self._stream is not None:
                self._stream.write(text)

    def flush(self) -> None:
        with self._giving_up():
            if self._stream is not None:
                self._stream.flush()

    @contextmanager
    def _giving_up(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: it was closed
            self._stream = None


class ConsoleProgress:
    """Prints a run as it goes.

    Parameters
    ----------
    log_every : int
        Steps from line to line where there is no terminal.
    stream : file, optional
        Where to print; standard error when not given.
    """

    def __init__(self, log_every: int, stream: TextIO | None = None) -> None:
        self.stream: Any = _Outlived(stream or sys.stderr)
        self.log_every = log_every
        self.terminal = self.stream.isatty()
        self.bar: Any = None  # a tqdm bar while an epoch runs
        self.trainer: Trainer | None = None
        self.loss = self.accuracy = 0.0
        self.texts = 0

    def reading(self, source: str) -> None:
        """Print, on a terminal, that a source is being read, which may take a while."""
        if self.terminal:
            self._print(f"reading {source}")

    def started(self, trainer: Trainer) -> None:
        """Print what will be trained on what."""
        self.trainer, self.start, self.first_step = trainer, time.perf_counter(), trainer.step
        processes = trainer.exchange.size
        parameters = sum(array.size for array in trainer.model.params.values())
        frozen = parameters - sum(array.size for array in trained_weights(trainer.model).values())
        self._print(
            f"{trainer.work.summary()}; {parameters:,} parameters"
            + (f", {frozen:,} of them frozen" if frozen else "")
            + (f"; {processes} processes" if processes > 1 else "")
        )
        if trainer.layers:
            self._print("learning rates: " + ", ".join(_layer(one, trainer.total_steps) for one in trainer.layers))

    def noted(self, text: str) -> None:
        """Print it."""
        self._print(text)

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        """Move the bar on, or print a line at the end of an interval."""
        assert self.trainer is not None
        if not event.skipped:
            self.loss += event.loss * event.counted
            self.accuracy += event.accuracy * event.counted
            self.texts += event.counted
        epochs = self.trainer.settings.epochs
        if self.terminal:
            if self.bar is None:
                steps = self.trainer.steps_per_epoch
                done = (event.step - 1) % steps
                self.bar = tqdm(
                    total=min(steps, done + 1 + self.trainer.total_steps - event.step),
                    initial=done,
                    desc=f"epoch {event.epoch}/{epochs}",
                    unit="step",
                    file=self.stream,
                    leave=False,
                    dynamic_ncols=True,
                    bar_format="{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]",
                )
            figures = self._figures(tokens_per_second)
            self.bar.set_description_str(f"epoch {event.epoch}/{epochs}  {figures}", refresh=False)
            self.bar.update()
            if self.bar.n >= (self.bar.total or 0):
                self._close_bar()
        elif event.step % self.log_every == 0:
            passed = time.perf_counter() - self.start
            left = passed / (event.step - self.first_step) * (self.trainer.total_steps - event.step)
            self._print(
                f"epoch {event.epoch}/{epochs}  step {event.step}/{self.trainer.total_steps}  "
                f"{self._figures(tokens_per_second)}  {_minutes(left)} left"
            )
            self._reset()

    def validated(self, event: Validated, seconds: float) -> None:
        """Print the figures of a validation."""
        assert self.trainer is not None
        self._close_bar()
        best = "  best yet" if event.improved else ""
        present = [figure for figure in self.trainer.work.figures if event.figures.get(figure.key) is not None]
        shown = "".join(f"{figure.heading} {figure.show(event.figures)}  " for figure in present)
        self._print(
            f"epoch {event.epoch}/{self.trainer.settings.epochs}  step {event.step}/{self.trainer.total_steps}  "
            f"validation: loss {event.figures['loss']:.4f}  {shown}after {_minutes(seconds)}{best}"
        )
        self._reset()

    def sampled(self, texts: list[str]) -> None:
        """Print what the model has made up."""
        for text in texts:
            self._print("\n".join(f"  | {line}" for line in text.splitlines()))

    def finished(self) -> None:
        """Take the bar away."""
        self._close_bar()

    def _figures(self, tokens_per_second: float) -> str:
        if not self.texts:  # every batch was skipped
            return f"loss -  accuracy -  {tokens_per_second:,.0f} tokens/s"
        return (
            f"loss {self.loss / self.texts:.4f}  accuracy {self.accuracy / self.texts:.1%}  "
            f"{tokens_per_second:,.0f} tokens/s"
        )

    def _reset(self) -> None:
        self.loss = self.accuracy = 0.0
        self.texts = 0

    def _close_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


def _layer(one: dict[str, Any], steps: int) -> str:
    """Say when and how fast a layer is trained."""
    first = one["first_step"]
    if first > steps:
        return f"{one['layer']} never"
    return f"{one['layer']} {one['lr']:.3g}" + (f" from step {first:,}" if first > 1 else "")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
