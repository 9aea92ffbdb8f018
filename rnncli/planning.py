"""What a run will take, measured before it is made: a few of its steps, a validation and a save, then thrown away."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.assembly import build_trainer
from rnncli.config import RunConfig, parse_config
from rnncli.errors import ConfigError, RnncliError
from rnncli.first_weights import take_first_weights
from rnncli.joining import share_data, share_weights
from rnncli.machine import keep_freed_memory
from rnncli.plan_figures import data_figures, padding_figures, weight_figures
from rnncli.run import worker_count
from rnncli.run_dir import CACHE
from rnncli.tasks import task_of
from rnncli.trained import save_trained
from rnncli.training import Trainer
from rnncli.trial import try_steps, try_validation
from rnncli.workers.launch import processes

# The child looks for modules where this process does, and not in the folder it happens to be in.
_CHILD = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from rnncli.planning import in_child; in_child()"


@dataclass(frozen=True)
class Plan:
    """What a run will take, ready for JSON.

    Attributes
    ----------
    task : str
        As in the config.
    data : dict
        From :func:`rnncli.plan_figures.data_figures`.
    padding : dict or None
        From :func:`rnncli.plan_figures.padding_figures`.
    parameters : list of dict
        From :func:`rnncli.plan_figures.weight_figures`.
    processes : int
        That share each step.
    epochs, steps, steps_per_epoch : int
        Of the run, unless patience ends it.
    tokens_per_step, distinct_per_step : float
        Means over the steps that were measured.
    measured_steps, measured_seconds : float
        How much the speed rests on.
    cpu_share : float
        Seconds of a core that this process had, by those that passed; far below 1 on a busy machine.
    step_seconds : dict
        ``least``, ``median`` and ``most``.
    tokens_per_second : float
        In training steps.
    peak_memory_mb : float
        Of all processes together, in steps, validation and save.
    checkpoint_mb : float
        Size of a checkpoint on the disk.
    seconds : dict
        ``start`` until the first step, ``epoch`` of steps alone, ``validation`` and ``save`` once, ``run`` for all.
    validations, saves : int
        In the run; saves are as many as they can become.
    validation_share : float
        The part of the validation data that was scored to measure it.
    finite : bool
        Whether every loss and gradient was.
    """

    task: str
    data: dict[str, Any]
    padding: dict[str, float] | None
    parameters: list[dict[str, Any]]
    processes: int
    epochs: int
    steps: int
    steps_per_epoch: int
    tokens_per_step: float
    distinct_per_step: float
    measured_steps: int
    measured_seconds: float
    cpu_share: float
    step_seconds: dict[str, float]
    tokens_per_second: float
    peak_memory_mb: float
    checkpoint_mb: float
    seconds: dict[str, float]
    validations: int
    saves: int
    validation_share: float
    finite: bool


def plan_run(config: RunConfig, seconds: float = 5.0) -> Plan:
    """Measure what a run of a config will take. Nothing is written but the data's cache.

    Layers that ``train.unfreeze_epochs`` lets rest at first are trained: steps as they are in the end are measured.

    Parameters
    ----------
    config : RunConfig
        What would be trained.
    seconds : float
        How long to train; the validation takes at most some three times that.

    Returns
    -------
    Plan
        The figures.

    Raises
    ------
    RnncliError
        If the run could not begin: data that cannot be read, a config that does not fit it.
    """
    keep_freed_memory()
    config = config.model_copy(update={"train": config.train.model_copy(update={"unfreeze_epochs": None})})
    start, cached = time.perf_counter(), _cache_entries()
    data = task_of(config).load(config, CACHE)
    if _cache_entries() != cached:
        # Texts were read and encoded, which takes time and memory that the run, finding them in the cache, will not.
        del data
        return _plan_in_child(config, seconds)
    return plan_loaded(config, data, seconds, time.perf_counter() - start)


def plan_loaded(config: RunConfig, data: Any, seconds: float, loading: float = 0.0) -> Plan:
    """Measure what a run on data in memory will take. Nothing is written.

    Parameters
    ----------
    config : RunConfig
        What would be trained; where its data is does not matter.
    data
        On what, as its task has it.
    seconds : float
        How long to train.
    loading : float
        Seconds that it took to load the data, which count for the run.

    Returns
    -------
    Plan
        The figures.
    """
    start = time.perf_counter()
    with processes(worker_count(config)) as exchange:
        data = share_data(exchange, config, data)
        trainer = build_trainer(config, data)
        take_first_weights(trainer, config, data)
        share_weights(exchange, trainer)
        return _measure(config, data, trainer, loading + time.perf_counter() - start, seconds)


def _measure(config: RunConfig, data: Any, trainer: Trainer, start_seconds: float, seconds: float) -> Plan:
    """Run some steps, a validation and a save."""
    work, settings = trainer.work, trainer.settings
    made = try_steps(trainer, seconds)
    validation, share = try_validation(trainer, made.speed, seconds)
    save, size = _time_save(config, data, trainer)
    steps, epoch = trainer.total_steps, made.tokens_of_epoch / made.speed
    training = epoch * steps / trainer.steps_per_epoch
    validations = -(-steps // (settings.validate_every or trainer.steps_per_epoch))
    saves = 2 * validations + steps // (config.train.checkpoint_every_steps or steps + 1)
    if config.train.checkpoint_every_minutes:
        saves += int(training / (60 * config.train.checkpoint_every_minutes))
    return Plan(
        task=config.task,
        data=data_figures(work),
        padding=padding_figures(work, config.train.batch_size, config.seed),
        parameters=weight_figures(trainer.model.params),
        processes=trainer.exchange.size,
        epochs=settings.epochs,
        steps=steps,
        steps_per_epoch=trainer.steps_per_epoch,
        tokens_per_step=float(np.mean(made.tokens)),
        distinct_per_step=float(np.mean(made.distinct)),
        measured_steps=len(made.seconds),
        measured_seconds=sum(made.seconds),
        cpu_share=made.cpu_seconds / sum(made.seconds),
        step_seconds={
            "least": min(made.seconds),
            "median": float(np.median(made.seconds)),
            "most": max(made.seconds),
        },
        tokens_per_second=made.speed,
        peak_memory_mb=trainer.peak_memory_mb(),
        checkpoint_mb=size / 1e6,
        seconds={
            "start": start_seconds,
            "epoch": epoch,
            "validation": validation,
            "save": save,
            "run": start_seconds + training + validations * validation + saves * save,
        },
        validations=validations,
        saves=saves,
        validation_share=share,
        finite=made.finite,
    )


def _time_save(config: RunConfig, data: Any, trainer: Trainer) -> tuple[float, int]:
    """Return seconds and bytes of a checkpoint, which is written to the system's folder for such files and removed."""
    with tempfile.TemporaryDirectory(prefix="rnncli-plan-") as folder:
        path = Path(folder) / "checkpoint.safetensors"
        start = time.perf_counter()
        trainer.collect()
        save_trained(path, trainer, config, data, trainer.counters())
        return time.perf_counter() - start, path.stat().st_size


def _cache_entries() -> set[str]:
    return {path.name for path in CACHE.iterdir()} if CACHE.is_dir() else set()


def _plan_in_child(config: RunConfig, seconds: float) -> Plan:
    """Return the plan that a process of its own makes."""
    request = json.dumps({"config": config.model_dump(mode="json"), "seconds": seconds})
    command = [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path)]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == -signal.SIGINT:
        raise KeyboardInterrupt
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise RnncliError(
            f"the process that measures ended with {done.returncode}", remedy="Is there enough memory?"
        ) from None
    if "error" in answer:
        kind = ConfigError if answer["code"] == ConfigError.exit_code else RnncliError
        raise kind(**answer["error"])
    return Plan(**answer)


def in_child() -> None:
    """Answer a request on standard input with a plan on standard output."""
    request = json.load(sys.stdin)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the process that asked has it too, and says so
    try:
        plan = asdict(plan_run(parse_config(request["config"], "the config"), request["seconds"]))
    except RnncliError as error:
        said = {"what": error.what, "where": error.where, "remedy": error.remedy}
        plan = {"error": said, "code": error.exit_code}
    json.dump(plan, sys.stdout)
