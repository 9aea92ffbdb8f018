"""A sweep: many short trainings with settings drawn from a space, to find the best of them."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.run import Progress, train_run
from rnncli.run_dir import CACHE
from rnncli.sweeping.folder import SweepDir
from rnncli.sweeping.records import Drawn, TrialRecord
from rnncli.sweeping.space import Sweep, read_sweep
from rnncli.sweeping.study import SweepStudy
from rnncli.training import StepDone, Trainer, Validated

__all__ = ["Sweep", "SweepDir", "SweepStudy", "TrialRecord", "make_trials", "read_sweep"]


class Pruned(RnncliError):
    """A trial is not worth to be trained to its end."""


def make_trials(
    study: SweepStudy, progress: Callable[[Drawn], Progress], *, cache: Path = CACHE
) -> Iterator[TrialRecord]:
    """Make trials until there are as many as were asked for, or the time is over.

    Several processes may do this at once, each with a study on the same folder.

    Parameters
    ----------
    study : SweepStudy
        What to try, and where to keep it.
    progress : callable
        Returns who is told what happens, for a trial.
    cache : Path
        Folder of encoded data.

    Yields
    ------
    TrialRecord
        Each trial of this process, as it comes to its end. A trial whose loss is not finite, or for which there is not
        enough memory, has failed and ends nothing else.

    Raises
    ------
    RnncliError
        From a run, if it would be the same in every trial, such as data that cannot be read; or if SIGINT, SIGTERM or
        SIGHUP came. The trial is marked as stopped, and will be made again.
    """
    minutes = study.sweep.settings.timeout_minutes
    end = None if minutes is None else time.monotonic() + 60 * minutes
    while end is None or time.monotonic() < end:
        drawn = study.draw()
        if drawn is None:
            return
        try:
            state, value, facts = _make(study, drawn, progress(drawn), cache)
        except BaseException:
            with suppress(RnncliError):  # such as a full disk; then its end is noted when the next trial is drawn
                study.stop(drawn)
            raise
        study.finish(drawn, state, value, **facts)
        yield next(one for one in study.records() if one.number == drawn.number)


def _make(study: SweepStudy, drawn: Drawn, shown: Progress, cache: Path) -> tuple[str, float | None, dict[str, Any]]:
    """Train what was drawn, and return how that ended for :meth:`SweepStudy.finish`."""
    sweep = study.sweep
    watcher = _Watcher(shown, study, drawn)
    start = time.perf_counter()
    state, why = "finished", None
    try:
        config = sweep.config_with(drawn.values, f"{sweep.config.name}-trial-{drawn.number}")
        train_run(config, study.folder.trial(drawn.number), watcher, overwrite=True, cache=cache)
    except Pruned:
        state = "pruned"
    except (GradientError, ConfigError) as error:  # the settings, or how they go together, are at fault
        state, why = "failed", error.what
    except MemoryError as error:
        state, why = "failed", f"out of memory: {error}"
    if state == "finished" and watcher.best is None:
        state, why = "failed", f"no validation has the metric {sweep.metric}"
    seconds = time.perf_counter() - start
    return state, watcher.best, {"epoch": watcher.epoch, "seconds": seconds, "why": why}


class _Watcher:
    """Watches the run of a trial: reports its validations, and ends it where it is not worth to go on.

    Attributes
    ----------
    best : float or None
        The best value of the metric up to now.
    epoch : int or None
        When that was.
    """

    def __init__(self, shown: Progress, study: SweepStudy, drawn: Drawn) -> None:
        self._shown, self._study, self._drawn = shown, study, drawn
        self._trainer: Trainer | None = None
        self._validations = 0
        self.best: float | None = None
        self.epoch: int | None = None

    def started(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._shown.started(trainer)

    def noted(self, text: str) -> None:
        self._shown.noted(text)

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        self._shown.step(event, tokens_per_second)

    def validated(self, event: Validated, seconds: float) -> None:
        self._shown.validated(event, seconds)
        value = event.figures[self._study.sweep.metric]
        if value is None:
            return
        if event.improved:
            self.best, self.epoch = float(value), event.epoch
        # By the number of the validation: what trials with other batch sizes have in common.
        worse = self._study.report(self._drawn, float(value), self._validations)
        self._validations += 1
        assert self._trainer is not None
        if worse and event.step < self._trainer.total_steps:
            raise Pruned(f"{self._study.sweep.metric} {value:g} is worse than that of half of the trials before")

    def sampled(self, texts: list[str]) -> None:
        self._shown.sampled(texts)

    def finished(self) -> None:
        self._shown.finished()
