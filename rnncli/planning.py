"""What a run will take, measured before it is made: a few of its steps, a validation and a save, then thrown away."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.assembly import build_trainer
from rnncli.config import RunConfig, parse_config
from rnncli.data.dataset import EncodedTexts
from rnncli.data.tagging.codec import TaggedTexts
from rnncli.errors import ConfigError, RnncliError
from rnncli.joining import share_data, share_weights
from rnncli.machine import keep_freed_memory
from rnncli.packing import IntArray
from rnncli.plan_figures import data_figures, distinct_tokens, padding_figures, weight_figures
from rnncli.run import worker_count
from rnncli.run_dir import CACHE
from rnncli.tasks import task_of
from rnncli.team import Member
from rnncli.trained import save_trained
from rnncli.training import Trainer
from rnncli.workers.exchange import ALONE
from rnncli.workers.launch import processes

WARM_UP = 3  # steps before those that are timed; the first is on the largest batch, for the memory it takes
FEWEST = 5  # steps to time, however long they take

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
    start, cached = time.perf_counter(), _cache_entries()
    data = task_of(config).load(config, CACHE)
    if _cache_entries() != cached:
        # Texts were read and encoded, which takes time and memory that the run, finding them in the cache, will not.
        del data
        return _plan_in_child(config, seconds)
    with processes(worker_count(config)) as exchange:
        data = share_data(exchange, config, data)
        trainer = build_trainer(config, data)
        share_weights(exchange, trainer)
        start_seconds = time.perf_counter() - start
        return _measure(config, data, trainer, start_seconds, seconds)


def _measure(config: RunConfig, data: Any, trainer: Trainer, start_seconds: float, seconds: float) -> Plan:
    """Run some steps, a validation and a save."""
    work, settings = trainer.work, trainer.settings
    member = Member(trainer.exchange, work, trainer.optimizer, settings.seed, settings.clip_norm, trainer.averages)
    order = work.order(0)
    sizes = np.array([work.amount(items).tokens for items in order])
    by_size = np.argsort(sizes, kind="stable")
    plan = [int(by_size[-1])] + [int(by_size[place]) for place in spread(len(order))]
    times, tokens, distinct, finite, cpu = [], [], [], True, 0.0
    for number, place in enumerate(_endless(plan)):
        before, cpu_before = time.perf_counter(), time.process_time()
        average = 0.0 if trainer.averages is None else trainer.averages.weight(number)
        finite &= member.step(number, order[place], settings.lr * settings.schedule(number), average).finite
        passed, cpu_passed = time.perf_counter() - before, time.process_time() - cpu_before
        if number < WARM_UP:
            continue
        times.append(passed)
        cpu += cpu_passed
        tokens.append(int(sizes[place]))
        distinct.append(distinct_tokens(work, order[place]))
        if len(times) >= FEWEST and (sum(times) >= seconds or len(times) >= trainer.total_steps):
            break
    speed = sum(tokens) / sum(times)
    validation, share = _time_validation(member, speed, seconds)
    save, size = _time_save(config, data, trainer)
    steps, epoch = trainer.total_steps, int(sizes.sum()) / speed
    every = settings.validate_every or trainer.steps_per_epoch
    validations = -(-steps // every)
    training = epoch * steps / trainer.steps_per_epoch
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
        tokens_per_step=float(np.mean(tokens)),
        distinct_per_step=float(np.mean(distinct)),
        measured_steps=len(times),
        measured_seconds=sum(times),
        cpu_share=cpu / sum(times),
        step_seconds={"least": min(times), "median": float(np.median(times)), "most": max(times)},
        tokens_per_second=speed,
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
        finite=bool(finite),
    )


def spread(count: int) -> Iterator[int]:
    """Yield the numbers below ``count``, each once, so that those up to any point are spread evenly over all.

    Bits are read from the right as those of a fraction (van der Corput 1935): 0, 1/2, 1/4, 3/4, 1/8, ...
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(2**bits):
        mirrored = int(f"{number:0{bits}b}"[::-1], 2)
        if mirrored < count:
            yield mirrored


def _endless(plan: list[int]) -> Iterator[int]:
    """Yield places of steps: the largest and the first twice, to warm up, then all of them over and over."""
    largest, *rest = plan
    yield from [largest, rest[0], rest[0]]
    while True:
        yield from rest


def _time_validation(member: Member, speed: float, seconds: float) -> tuple[float, float]:
    """Return the seconds of a validation, and on what share of its data they were measured."""
    work: Any = member.work
    whole = work.valid
    amount = len(whole.ids) if isinstance(whole, EncodedTexts | TaggedTexts) else len(whole)
    # Scoring is some three times as fast as training, so this is three times as long as was trained.
    every = max(1, int(amount / speed / (9 * seconds)))
    start = time.perf_counter()
    if every == 1:
        member.evaluate(average=member.averages is not None and member.averages.begun)
        return time.perf_counter() - start, 1.0
    work.valid = _every(whole, every)
    part = len(work.valid.ids) if isinstance(whole, EncodedTexts | TaggedTexts) else len(work.valid)
    try:  # by this process alone: the others have the whole
        work.evaluate(ALONE)
    finally:
        work.valid = whole
    return (time.perf_counter() - start) * amount / part / member.exchange.size, part / amount


def _every(texts: Any, nth: int) -> Any:
    """Return each n-th text of a part, or the first n-th of one that is a single text."""
    if not isinstance(texts, EncodedTexts | TaggedTexts):
        count = max(2, len(texts) // nth)
        return replace(texts, tokens=texts.tokens[:count], characters=max(1, texts.characters // nth))
    rows = np.arange(0, len(texts), nth)
    lengths = texts.lengths[rows]
    words = np.concatenate([np.arange(texts.offsets[row], texts.offsets[row + 1]) for row in rows.tolist()])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    if isinstance(texts, EncodedTexts):
        return EncodedTexts(texts.ids[words], offsets, texts.labels[rows])
    by_word: dict[str, IntArray] = {name: getattr(texts, name)[words] for name in ("ids", "labels", "forms", "unseen")}
    return replace(texts, offsets=offsets, **by_word)  # type: ignore[arg-type]


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
