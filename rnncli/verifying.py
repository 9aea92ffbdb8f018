"""Prove on a config of the user's own that an interrupted run ends in the same bits as one that was not."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnncli.checkpoint import Checkpoint, load_checkpoint
from rnncli.config import load_config
from rnncli.errors import RnncliError
from rnncli.run_dir import RunDir

TIMINGS = ("seconds", "peak_memory_mb", "tokens_per_second")  # fields of metrics.jsonl that differ from run to run


@dataclass
class Verdict:
    """How two runs of one config compare.

    Attributes
    ----------
    kills : int
        Times the second run was killed.
    killed_at : list of int
        The step of the checkpoint there was at each kill; 0 before the first.
    differences : list of str
        What is not equal; empty if all is.
    digests : dict of str to str
        Of the straight run: weights, moments and counters of each checkpoint, and metrics.
    """

    kills: int = 0
    killed_at: list[int] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)


def verify_resume(
    config: Path,
    overrides: tuple[str, ...],
    folder: Path,
    steps: int,
    kills: int,
    seed: int,
    report: Callable[[str], None],
) -> Verdict:
    """Train straight, train with kills at random moments and resume, and compare.

    Parameters
    ----------
    config : Path
        The user's config.
    overrides : tuple of str
        Its ``--set`` arguments.
    folder : Path
        Where both runs go.
    steps : int
        Steps of each run at the most.
    kills : int
        How often to kill the second run (SIGKILL, at moments drawn over the whole life of the process).
    seed : int
        Decides the moments.
    report : callable
        Is told what is being done.

    Returns
    -------
    Verdict
        Equal or not, and in what.

    Raises
    ------
    RnncliError
        If the config does not train.
    """
    straight, killed = RunDir(folder / "straight"), RunDir(folder / "killed")
    given = load_config(config, overrides).train  # what is wrong with it is said here, and in full
    steps = min(steps, given.max_steps or steps)
    settings = [*overrides, f"train.max_steps={steps}"]
    if given.checkpoint_every_steps is None:
        settings.append(f"train.checkpoint_every_steps={max(1, steps // 20)}")
    command = [sys.executable, "-m", "rnncli", "train", str(config), *(f"--set={setting}" for setting in settings)]
    report(f"training straight, {steps} steps at most")
    start = time.monotonic()
    _wait(_start([*command, "--run-dir", str(straight.root)]))
    life = time.monotonic() - start
    report(f"training the same with {kills} kills")
    moments = random.Random(seed)
    verdict = Verdict(digests=digests_of(straight))
    kills_of_run = 0
    while True:
        resume = ["--resume"] if killed.last.exists() else ["--overwrite"]
        process = _start([*command, "--run-dir", str(killed.root), *resume])
        try:
            _wait(process, None if verdict.kills == kills else moments.uniform(0.1, 1) * life)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills_of_run += 1
            verdict.kills += 1
            verdict.killed_at.append(_step_of(killed.last))
            continue
        if kills_of_run:
            found = digests_of(killed)
            names = verdict.digests.keys() | found.keys()
            different = {name for name in names if verdict.digests.get(name) != found.get(name)}
            verdict.differences = sorted(different.union(verdict.differences))
        if verdict.kills == kills:
            return verdict
        # It came to its end before it could be killed as often as asked: begin again.
        kills_of_run = 0
        for file in (killed.last, killed.best, killed.metrics):
            file.unlink(missing_ok=True)


def digests_of(run_dir: RunDir) -> dict[str, str]:
    """Return a digest of each thing in a run's folder that must not depend on interruptions.

    Parameters
    ----------
    run_dir : RunDir
        A finished run.

    Returns
    -------
    dict of str to str
        SHA-256 of the weights, of the moments and of the counters of ``last`` and ``best``, and of the metrics without
        their timings.
    """
    digests = {}
    for path in (run_dir.last, run_dir.best):
        checkpoint = load_checkpoint(path)
        for kind, wanted in (("weights", False), ("moments", True)):
            digests[f"{kind} of {path.name}"] = _digest_tensors(checkpoint, wanted)
        progress = checkpoint.metadata["progress"]
        kept = {key: progress[key] for key in progress.keys() - {"sums", "metrics", "environment"}}
        kept |= {key: progress["sums"][key] for key in ("loss", "texts", "tokens")}
        digests[f"counters of {path.name}"] = hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
    rows = [json.loads(line) for line in run_dir.metrics.read_text(encoding="utf-8").splitlines()]
    figures: list[dict[str, Any]] = [
        {key: value for key, value in row.items() if key not in TIMINGS} for row in rows if row["kind"] != "resumed"
    ]
    digests["metrics"] = hashlib.sha256(json.dumps(figures, sort_keys=True).encode()).hexdigest()
    return digests


def _digest_tensors(checkpoint: Checkpoint, moments: bool) -> str:
    hashed = hashlib.sha256()
    for name in sorted(checkpoint.tensors):
        if ("/" in name) == moments:
            array = checkpoint.tensors[name]
            hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return hashed.hexdigest()


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _wait(process: subprocess.Popen[str], seconds: float | None = None) -> None:
    _, error = process.communicate(timeout=seconds)
    if process.returncode:
        lines = error.strip().splitlines()
        raise RnncliError(f"training failed: {lines[-1].removeprefix('rnncli: ') if lines else 'no message'}")


def _step_of(path: Path) -> int:
    """Return the step of a checkpoint, 0 if there is none yet; asked first, since a living run may be about to save."""
    return int(load_checkpoint(path).metadata["progress"]["step"]) if path.exists() else 0
