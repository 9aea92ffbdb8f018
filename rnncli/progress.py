"""What a person sees of a run: a bar per epoch on a terminal, a line per interval elsewhere."""

import sys
import time
from typing import Any, TextIO

from tqdm import tqdm

from rnncli.data.dataset import Dataset
from rnncli.training import StepDone, Trainer, Validated


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
        self.stream = stream or sys.stderr
        self.log_every = log_every
        self.terminal = self.stream.isatty()
        self.bar: Any = None  # a tqdm bar while an epoch runs
        self.trainer: Trainer | None = None
        self.loss = self.accuracy = 0.0
        self.texts = 0

    def started(self, trainer: Trainer, data: Dataset) -> None:
        """Print what will be trained on what."""
        self.trainer, self.start, self.first_step = trainer, time.perf_counter(), trainer.step
        parameters = sum(array.size for array in trainer.model.params.values())
        self._print(
            f"{len(data.train):,} texts to train on ({len(data.train.ids):,} tokens), {len(data.valid):,} to validate; "
            f"labels {', '.join(data.labels)}; {len(data.vocabulary):,} tokens in the vocabulary; "
            f"{parameters:,} parameters"
        )

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        """Move the bar on, or print a line at the end of an interval."""
        assert self.trainer is not None
        if not event.skipped:
            self.loss += event.loss * event.texts
            self.accuracy += event.accuracy * event.texts
            self.texts += event.texts
        epochs = self.trainer.settings.epochs
        if self.terminal:
            if self.bar is None:
                steps = self.trainer.steps_per_epoch
                self.bar = tqdm(
                    total=steps,
                    initial=(event.step - 1) % steps,
                    desc=f"epoch {event.epoch}/{epochs}",
                    unit="step",
                    file=self.stream,
                    leave=False,
                    dynamic_ncols=True,
                    bar_format="{desc} |{bar}| {n_fmt}/{total_fmt} {postfix} [{elapsed}<{remaining}]",
                )
            self.bar.set_postfix_str(self._figures(tokens_per_second), refresh=False)
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
        self._print(
            f"epoch {event.epoch}/{self.trainer.settings.epochs}  step {event.step}/{self.trainer.total_steps}  "
            f"validation: loss {event.loss:.4f}  accuracy {event.accuracy:.2%}  macro F1 {event.macro_f1:.2%}  "
            f"after {_minutes(seconds)}{best}"
        )
        self._reset()

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


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
