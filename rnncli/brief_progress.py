"""What a person sees of a run that is one of many: a bar on a terminal, and nothing elsewhere."""

from typing import Any, TextIO

from tqdm import tqdm

from rnncli.progress import ConsoleProgress
from rnncli.training import StepDone, Trainer, Validated


class BriefProgress(ConsoleProgress):
    """Shows a bar for a whole run; what comes of the run is for the caller to say.

    Parameters
    ----------
    title : str
        What to call the run, such as ``seed 2``.
    stream : file, optional
        Where to print; standard error when not given.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        super().__init__(1, stream)
        self.title, self._newest = title, ""

    def started(self, trainer: Trainer) -> None:
        """Begin the bar."""
        self.trainer = trainer
        if self.terminal:
            self.bar = tqdm(
                total=trainer.total_steps,
                initial=trainer.step,
                desc=self.title,
                file=self.stream,
                leave=False,
                dynamic_ncols=True,
                bar_format="{desc} |{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}]",
            )

    def noted(self, text: str) -> None:
        """Print nothing: it would be the same for every run."""

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        """Move the bar on."""
        assert self.trainer is not None
        if self.bar is not None:
            epochs = self.trainer.settings.epochs
            self.bar.set_description_str(f"{self.title}  epoch {event.epoch}/{epochs}{self._newest}", refresh=False)
            self.bar.update()

    def validated(self, event: Validated, seconds: float) -> None:
        """Show the first figure of a validation beside the bar."""
        assert self.trainer is not None
        self._newest = "".join(f"  {f.heading} {f.show(event.figures)}" for f in self.trainer.work.figures[:1])

    def sampled(self, texts: list[str]) -> None:
        """Print nothing."""

    def say(self, text: str) -> None:
        """Print a line."""
        self._close_bar()
        self._print(text)

    def reading(self, source: Any) -> None:
        """Print nothing, likewise."""
