"""Part 4: start-up, encoding, scoring, and the latency of a single text."""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from tempfile import TemporaryDirectory

from benchmarks.common import CONFIG, IMDB, Plan, Table, Turns, call, most, ratio, rnncli_train, run, spread, take_turns

Contestants = Mapping[str, Callable[[], dict[str, float]]]
SETTINGS = [f"data.train.path={IMDB}"]
LENGTH = 230  # tokens of the single text, about the mean of IMDB's
SCORING_TITLE, SCORING_TORCH = "Scoring", "PyTorch, 2 threads"
RNNCLI, WORKERS = "rnncli", "rnncli, 2 workers"
STARTING = "Median (min to max); the time a process takes from its start to its end, or to the end of its first step."
SCORING = (
    "The validation part (2,500 texts) of configs/imdb_lstm.yaml in the same batches of close lengths, float32: median "
    "(min to max). rnncli's is the validation at the end of a short training run and includes the figures made of the "
    "scores (F1, ROC AUC); PyTorch's is a pass without gradients that ends in the accuracy. The ratio says how many "
    "times faster than PyTorch, median of those within each round."
)
LATENCY = (
    f"From the ids of one text of {LENGTH} tokens to its probabilities, LSTM of 128: median (min to max) of the "
    "rounds, each of which is a median too. The ratio says how many times faster than PyTorch on one thread."
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure one thing after the other."""
    title = "Start-up"
    turns = take_turns(commands(plan), 3 if plan.quick else 15, title)
    turns |= take_turns(starts(plan), plan.rounds, title)
    yield _table(title, STARTING, turns, "seconds")
    title, torch = SCORING_TITLE, SCORING_TORCH
    yield _table(title, SCORING, take_turns(scorers(plan, torch), plan.rounds, title), "seconds", torch)
    title, torch = "Latency of one text", "PyTorch, 1 thread"
    yield _table(title, LATENCY, take_turns(readers(plan, torch), plan.rounds, title), "milliseconds", torch)


def commands(plan: Plan) -> Contestants:
    """Return commands that do nothing but start."""
    typed = {
        "rnncli --help": ["-m", "rnncli", "--help"],
        "python -c 'import click'": ["-c", "import click"],
        "python -c 'import torch'": ["-c", "import torch"],
    }
    return {name: partial(_seconds, plan, command) for name, command in typed.items()}


def starts(plan: Plan) -> Contestants:
    """Return first steps on IMDB, with and without what is cached, and what makes the difference."""
    return {
        "rnncli train, IMDB cached, to the first step": partial(_first_step, plan),
        "rnncli train, nothing cached, to the first step": partial(_first_step_anew, plan),
        "of which reading and encoding 25,000 reviews": partial(call, "starting:encode", plan),
    }


def scorers(plan: Plan, torch: str) -> Contestants:
    """Return what scores IMDB's validation part."""
    return {
        RNNCLI: partial(_validate, plan, [], 1),
        "rnncli, 2 BLAS threads": partial(_validate, plan, [], 2),
        WORKERS: partial(_validate, plan, ["train.workers=2"], 1),
        torch: partial(call, "torch_models:score", plan, 2, config=str(CONFIG), settings=SETTINGS),
    }


def readers(plan: Plan, torch: str) -> Contestants:
    """Return what scores a single text."""
    asked = {"config": str(CONFIG), "settings": SETTINGS, "length": LENGTH, "times": 50 if plan.quick else 200}
    return {
        RNNCLI: partial(call, "starting:latency", plan, 1, **asked),
        torch: partial(call, "torch_models:latency", plan, 1, **asked),
        "PyTorch, 2 threads": partial(call, "torch_models:latency", plan, 2, **asked),
    }


def _table(title: str, note: str, turns: Mapping[str, Turns], key: str, against: str | None = None) -> Table:
    table = Table(title, note, ["what", key, "peak MB", *(["ratio"] if against else [])])
    for name, turn in turns.items():
        compared = [ratio(turns[against][key], turn[key])] if against else []
        table.add(name, turn, spread(turn[key]), most(turn["peak_mb"]), *compared)
    return table


def _seconds(plan: Plan, command: list[str]) -> dict[str, float]:
    ran = run(command, plan)
    return {"seconds": ran.seconds, "peak_mb": ran.peak_mb}


def _first_step(plan: Plan) -> dict[str, float]:
    result = rnncli_train(plan, SETTINGS, steps=1, warm_up=1)
    return {"seconds": result["first_step_seconds"], "peak_mb": result["peak_mb"]}


def _first_step_anew(plan: Plan) -> dict[str, float]:
    with TemporaryDirectory(dir=plan.work) as folder:
        return _first_step(replace(plan, work=plan.work / folder))


def _validate(plan: Plan, settings: list[str], threads: int) -> dict[str, float]:
    result = rnncli_train(plan, [*SETTINGS, *settings], steps=1, warm_up=1, threads=threads)
    return {"seconds": result["validation_seconds"], "peak_mb": result["peak_mb"]}


def encode() -> dict[str, float]:
    """Read, tokenize and encode IMDB, without the cache."""
    from rnncli.config import load_config
    from rnncli.data.dataset import load_dataset

    config = load_config(CONFIG, SETTINGS)
    start = time.perf_counter()
    load_dataset(config.data, config.seed, None)
    return {"seconds": time.perf_counter() - start}


def latency(config: str, settings: list[str], length: int, times: int) -> dict[str, float]:
    """Return the median milliseconds that one text of so many tokens takes."""
    import numpy as np

    from rnncli.assembly import build_trainer
    from rnncli.config import load_config
    from rnncli.data.batches import make_batch
    from rnncli.data.dataset import EncodedTexts, load_dataset
    from rnncli.layers import softmax
    from rnncli.run_dir import CACHE

    loaded = load_config(config, settings)
    data = load_dataset(loaded.data, loaded.seed, CACHE)
    model = build_trainer(loaded, data).model
    text = EncodedTexts(data.train.ids[:length], np.array([0, length]), np.array([0]))
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        softmax(model.forward(make_batch(text, np.array([0])), keep=False)[0])
        taken.append(time.perf_counter() - start)
    return {"milliseconds": statistics.median(taken) * 1e3}
