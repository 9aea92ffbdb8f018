"""A training run from config to result: the whole walk."""

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rnncli.assembly import build_trainer
from rnncli.averaging import averaged
from rnncli.config import RunConfig
from rnncli.data.word_vectors import check_word_vectors
from rnncli.errors import GradientError, RnncliError
from rnncli.event_files import EventFile, require_tensorboard
from rnncli.first_weights import FirstWeights, take_first_weights
from rnncli.interruption import note_interrupts
from rnncli.joining import share_data, share_weights
from rnncli.machine import environment, physical_cores
from rnncli.metrics_file import read_metrics
from rnncli.postmortem import not_finite
from rnncli.profiling import stage
from rnncli.recording import Recorder, Sums
from rnncli.resuming import changed_keys, refuse_imported, restore_trainer
from rnncli.run_dir import CACHE, RunDir
from rnncli.tasks import task_of
from rnncli.tasks.vectors import Coverage
from rnncli.tasks.weights import Taken
from rnncli.trained import load_trained, save_trained
from rnncli.training import StepDone, Trainer, Validated
from rnncli.workers.exchange import Exchange
from rnncli.workers.launch import processes
from rnncli.workers.processes import WorkerError

FEWEST_TEXTS = 16  # of a batch for each process that `workers: auto` starts


class Progress(Protocol):
    """Who watches a run; see :mod:`rnncli.progress` for the one that prints."""

    def started(self, trainer: Trainer) -> None:
        """Take note that data and model are there and training begins."""
        ...

    def noted(self, text: str) -> None:
        """Take note of something that was found out before training begins, in a line or two."""
        ...

    def step(self, event: StepDone, tokens_per_second: float) -> None:
        """Take note of a training step."""
        ...

    def validated(self, event: Validated, seconds: float) -> None:
        """Take note of a validation, so many seconds after the start."""
        ...

    def sampled(self, texts: list[str]) -> None:
        """Take note of texts that the model has made up after a validation."""
        ...

    def finished(self) -> None:
        """Take note that no more events come."""
        ...


class Interrupted(RnncliError):
    """The user or the system stopped the run; what there was is saved."""


@dataclass
class Summary:
    """What a finished run has to say.

    Attributes
    ----------
    run_dir : Path
        The folder.
    validations : list of dict
        Step, epoch, training loss since the last one, loss and the figures of the task, seconds since the start.
    best : dict
        The one that ``best.safetensors`` holds.
    train_seconds, seconds : float
        Time in training steps alone, and from the start of the run to its end; over all its parts if it was resumed.
    tokens_per_second : float
        Real tokens trained on, by ``train_seconds``.
    peak_memory_mb : float
        Of all processes together; memory that they share counts in each.
    parameters : int
        Numbers in the model.
    stopped_early : bool
        Whether patience ran out before the last epoch.
    steps : int
        Steps made just now, those of before a resumption not counted.
    processes : int
        How many have shared them.
    vectors : Coverage or None
        What a run that started from word vectors just now found of its words.
    layers : list of dict
        When and how fast each layer was trained, where that is not the same for all; see
        :func:`rnncli.layer_groups.layer_plan`.
    taken : Taken or None
        What a run that started from another one just now has of it.
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
    steps: int = 0
    processes: int = 1
    vectors: Coverage | None = None
    layers: list[dict[str, Any]] = field(default_factory=list)
    taken: Taken | None = None


def train_run(
    config: RunConfig,
    run_dir: RunDir,
    progress: Progress,
    *,
    overwrite: bool = False,
    resume: bool = False,
    given: tuple[str, ...] = (),
    exchange: Exchange | None = None,
    cache: Path = CACHE,
) -> Summary:
    """Train what a config says, into a folder.

    Parameters
    ----------
    config : RunConfig
        What to train.
    run_dir : RunDir
        Where to.
    progress : Progress
        Is told what happens.
    overwrite : bool
        Replace an earlier run in that folder.
    resume : bool
        Go on with the run in that folder, from its ``last`` checkpoint.
    given : tuple of str
        The ``--set`` arguments, which alone may change a resumed run's config.
    exchange : Exchange, optional
        To the processes that train together; without it, ``train.workers`` are started.
    cache : Path
        Folder of encoded data.

    Returns
    -------
    Summary
        The figures of the run.

    Raises
    ------
    RnncliError
        If anything the user gave cannot be used, a loss is not finite, or SIGINT, SIGTERM or SIGHUP came.
    """
    start = time.perf_counter()
    if config.train.tensorboard:
        require_tensorboard()
    if resume:
        run_dir.require_checkpoint()
    with ExitStack() as stack:
        stack.enter_context(run_dir.locked())
        exchange = exchange or stack.enter_context(processes(worker_count(config)))
        go_back = f"To go on from the one beside it: cp {{beside}} {run_dir.last}"
        saved = load_trained(run_dir.last, instead=go_back) if resume else None
        if saved:
            refuse_imported(saved, str(run_dir.last))
        changes = changed_keys(saved.config, config, given) if saved else {}
        if not (overwrite or resume):
            run_dir.refuse_earlier_run()
        embedding, first = config.model.embedding, FirstWeights(None, None)
        if embedding.vectors is not None and not saved:  # before the data, which may take long to read
            check_word_vectors(embedding.vectors, embedding.dim)
        with stage("start-up"):
            data = share_data(exchange, config, task_of(config).load(config, cache))
            trainer = build_trainer(config, data)
        if saved:
            restore_trainer(trainer, saved, data, str(run_dir.last))
            run_dir.write_config(config)
        else:
            first = take_first_weights(trainer, config, data)
            for found in first:
                if found is not None:
                    progress.noted(str(found))
            run_dir.create(config)
        share_weights(exchange, trainer)
        sums = Sums(**saved.progress["sums"]) if saved else Sums()
        figures = tuple(figure.key for figure in trainer.work.figures)
        recorder = Recorder(run_dir.metrics, sums, config.train.log_every, start, figures)
        try:
            if config.train.tensorboard:
                began = time.time() - (time.perf_counter() - start) - sums.seconds
                events = stack.enter_context(closing(EventFile(run_dir.events, read_metrics(run_dir.metrics), began)))
                recorder.also = events.write
            first_step = trainer.step
            if saved:
                recorder.resumed(first_step, changes)
            progress.started(trainer)
            _follow(trainer, config, data, run_dir, recorder, progress, save_first=bool(changes))
        finally:
            progress.finished()
            recorder.close()
        peak_memory = trainer.peak_memory_mb()
    return Summary(
        run_dir.root,
        recorder.validations,
        recorder.best,
        sums.train_seconds,
        sums.seconds,
        sums.tokens / sums.train_seconds if sums.train_seconds else 0.0,
        peak_memory,
        sum(array.size for array in trainer.model.params.values()),
        trainer.step < trainer.total_steps,
        trainer.step - first_step,
        exchange.size,
        first.vectors,
        trainer.layers,
        first.taken,
    )


def worker_count(config: RunConfig) -> int:
    """Return how many processes a config asks for; see ``train.workers``."""
    if config.train.workers != "auto":
        return config.train.workers
    return max(1, min(physical_cores(), config.train.batch_size // FEWEST_TEXTS))


def _follow(
    trainer: Trainer,
    config: RunConfig,
    data: Any,
    run_dir: RunDir,
    recorder: Recorder,
    progress: Progress,
    *,
    save_first: bool,
) -> None:
    """Run the trainer to its end; record, save and show what happens."""
    fingerprint = task_of(config).digest(data)
    computed_by = {**environment(), "processes": trainer.exchange.size}

    @stage("saving")
    def save(*paths: Path) -> None:
        trainer.collect()
        broken = not_finite(trainer.model.params)
        if broken is not None:  # the checkpoint before is of more use
            raise GradientError(
                f"the weights {broken} are not finite after step {trainer.step}, whose gradients were",
                remedy="Lower optim.lr; the checkpoints of the steps before are kept",
            )
        state = {
            **trainer.counters(),
            "sums": recorder.state(),
            "data": fingerprint,
            "metrics": recorder.validations[-1] if recorder.validations else None,
            "environment": computed_by,
        }
        for path in paths:
            save_trained(path, trainer, config, data, state)

    if save_first:  # a config that was changed on resuming: one that is killed at once must know of it
        save(run_dir.last)
    saved_at = time.monotonic()
    recorder.resume_clock()
    try:
        with note_interrupts() as interrupted:
            for event in trainer.run():
                if isinstance(event, StepDone):
                    recorder.step(event)
                    progress.step(event, recorder.speed)
                    if _save_is_due(config, event.step, saved_at):
                        save(run_dir.last)
                        saved_at = time.monotonic()
                else:
                    recorder.validation(event)
                    with averaged(trainer.model, trainer.means):
                        samples = task_of(config).samples(config, data, trainer.model, event.step)
                    recorder.samples(event.step, samples)
                    save(*([run_dir.best] if event.improved else []), run_dir.last)
                    saved_at = time.monotonic()
                    progress.validated(event, recorder.sums.seconds)
                    progress.sampled(samples)
                if (number := interrupted()) and trainer.step < trainer.total_steps:
                    save(run_dir.last)
                    error = Interrupted(
                        f"interrupted at step {trainer.step} of {trainer.total_steps}",
                        remedy=f"To go on: rnncli train --resume {run_dir.root}",
                    )
                    error.exit_code = 128 + number
                    raise error
                recorder.resume_clock()
    except WorkerError as error:
        if not run_dir.last.exists():
            raise
        go_on = f"To go on from the last checkpoint: rnncli train --resume {run_dir.root}"
        raise WorkerError(error.what, remedy=f"{error.remedy}. {go_on}" if error.remedy else go_on) from None
    except GradientError:
        if not_finite(trainer.model.params) is None:
            save(run_dir.last)  # as it was before the step that went wrong
        raise


def _save_is_due(config: RunConfig, step: int, saved_at: float) -> bool:
    steps, minutes = config.train.checkpoint_every_steps, config.train.checkpoint_every_minutes
    if steps is not None and step % steps == 0:
        return True
    return minutes is not None and time.monotonic() - saved_at >= 60 * minutes
