"""Processes killed (SIGKILL) at random moments: whole runs that are resumed, and single writes of a checkpoint."""

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import CELLS, Result, config_values, write_config

from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.verifying import Verdict, verify_resume

STEPS = 700  # of a run, some seconds


def kill_runs(folder: Path, quick: bool) -> Iterator[Result]:
    """Kill runs of each cell at random moments and compare where they end with a run that was left alone."""
    kills = 4 if quick else 70

    def verify(cell: str) -> Verdict:
        place = folder / cell
        place.mkdir()
        config = write_config(place / f"{cell}.yaml", config_values(cell))
        return verify_resume(config, (), place, 150 if quick else STEPS, kills, seed=1, report=lambda _: None)

    with ThreadPoolExecutor(2) as pool:
        for cell, verdict in zip(CELLS, pool.map(verify, CELLS), strict=True):
            steps = sorted(set(verdict.killed_at))
            equal = f"{len(verdict.digests)} digests equal"
            yield Result(
                f"SIGKILL at a random moment, {cell}, resumed, against the straight run",
                f"{verdict.kills} kills at {len(steps)} different checkpoints (steps {steps[0]} to {steps[-1]}): "
                + (f"DIFFERS: {', '.join(verdict.differences)}" if verdict.differences else equal),
                not verdict.differences and verdict.kills == kills,
            )


def kill_writes(folder: Path, quick: bool) -> Iterator[Result]:
    """Kill a process that does nothing but save checkpoints; what is there must be the last one or the one before."""
    kills = 15 if quick else 250
    path = folder / "last.safetensors"
    moments = random.Random(2)
    lost = unloadable = between = 0
    tensors = {"w": np.random.default_rng(1).normal(size=(1000, 1000)).astype(np.float32)}
    save_checkpoint(path, tensors, {"number": 0})
    number = 0
    for _ in range(kills):
        reader, writer = os.pipe()
        process = os.fork()
        if not process:
            _save_on_and_on(path, tensors, number, writer)
        os.close(writer)
        os.read(reader, 1)  # it has begun
        time.sleep(moments.uniform(0, 0.15))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        done = number
        while data := os.read(reader, 1 << 16):
            done += len(data)
        os.close(reader)
        between += len(list(folder.iterdir())) > 1
        try:
            found = load_checkpoint(path).metadata["number"]
        except Exception as error:
            unloadable += 1
            print(f"  cannot be loaded: {error}")
            continue
        lost += found not in (done, done + 1)
        number = found
        for unfinished in folder.glob(".*"):
            unfinished.unlink()
    yield Result(
        "SIGKILL while a checkpoint of 4 MB is saved",
        f"{kills} kills, {between} of them with a file half written: {unloadable} not loadable, "
        f"{lost} older than the last one that was finished",
        not unloadable and not lost and between > 0,
    )


def _save_on_and_on(path: Path, tensors: dict[str, np.ndarray], number: int, writer: int) -> None:
    os.write(writer, b"!")
    while True:
        number += 1
        save_checkpoint(path, {"w": tensors["w"] + number}, {"number": number})
        os.write(writer, b".")
