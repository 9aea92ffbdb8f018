"""What is equal to the bit from run to run, and how far the rest is apart."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import CELLS, Result, config_values, write_config

from rnncli import scoring
from rnncli.checkpoint import load_checkpoint
from rnncli.config import load_config
from rnncli.data.dataset import load_dataset
from rnncli.run_dir import RunDir
from rnncli.trained import load_trained
from rnncli.verifying import digests_of

STEPS = 100


def repeat(folder: Path, quick: bool) -> Iterator[Result]:
    """Train each cell twice with one BLAS thread and once with two, and score in batches of other sizes."""
    same = []
    apart: dict[int, dict[str, float]] = {1: {}, STEPS: {}}
    scores: dict[str, float] = {}
    for cell in CELLS:
        values = config_values(cell, max_steps=STEPS, batch_size=64, epochs=200)
        values["model"] = {**CELLS[cell], "rnn": {**CELLS[cell]["rnn"], "hidden": 128}}
        config = write_config(folder / f"{cell}.yaml", values)
        one, again, two, one_step, two_step = (folder / f"{cell}-{number}" for number in range(5))
        for place, threads, steps in (
            (one, 1, STEPS),
            (again, 1, STEPS),
            (two, 2, STEPS),
            (one_step, 1, 1),
            (two_step, 2, 1),
        ):
            _train(config, place, threads, steps)
        same.append(digests_of(RunDir(one)) == digests_of(RunDir(again)))
        apart[1][cell] = _largest_difference(one_step, two_step)
        apart[STEPS][cell] = _largest_difference(one, two)
        trained = load_trained(one / "last.safetensors")
        data = load_dataset(load_config(config).data, trained.config.seed, None)
        scores[cell] = _largest_of_scores(trained.model, data.train)
        if quick:
            break
    yield Result(
        f"same seed, {STEPS} steps of 64 texts, twice",
        f"{sum(same)} of {len(same)} pairs equal to the bit (weights, moments, counters, metrics)",
        all(same),
    )
    for steps, found in apart.items():
        yield Result(
            f"1 and 2 BLAS threads, after step {steps}",
            f"largest difference of a weight: {_figures(found)}",
            steps > 1 or max(found.values()) < 1e-3,  # later it grows as it will
        )
    yield Result(
        "scores in batches of 1, 7, 64 and all texts",
        f"largest difference of a score: {_figures(scores)}",
        max(scores.values()) < 1e-5,
    )


def _figures(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1e}" for name, value in found.items())


def _train(config: Path, place: Path, threads: int, steps: int) -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "rnncli", "train", str(config), f"--set=train.max_steps={steps}"]
    command += ["--run-dir", str(place)]
    subprocess.run(command, check=True, capture_output=True, env=environment)


def _largest_difference(one: Path, other: Path) -> float:
    tensors, others = (load_checkpoint(place / "last.safetensors").tensors for place in (one, other))
    return max(float(np.abs(tensors[name] - others[name]).max()) for name in tensors if "/" not in name)


def _largest_of_scores(model: Any, texts: Any) -> float:
    usual = scoring.SCORING_BATCH
    found = []
    try:
        for size in (usual, 1, 7, 64, len(texts)):
            scoring.SCORING_BATCH = size
            found.append(scoring.score(model, texts))
    finally:
        scoring.SCORING_BATCH = usual
    return max(float(np.abs(other - found[0]).max()) for other in found[1:])
