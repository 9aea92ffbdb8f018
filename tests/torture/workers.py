"""Runs of three processes of which a random one is killed (SIGKILL) at a random moment, over and over."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import Result, config_values, write_config

from rnncli.checkpoint import load_checkpoint
from rnncli.run_dir import RunDir

WORKERS = 3
PATIENCE = 30  # seconds


def kill_workers(folder: Path, quick: bool) -> Iterator[Result]:
    """Kill the leader or a worker, see the others go, and resume."""
    if not Path("/proc/self/task").is_dir():
        yield Result("a process of several killed", "not run: children are looked up in /proc", False)
        return
    kills = 6 if quick else 60
    run_dir = RunDir(folder / "run")
    config = write_config(folder / "c.yaml", config_values("lstm", workers=WORKERS, checkpoint_every_steps=5))
    moments = random.Random(3)
    shared_before = set(Path("/dev/shm").glob("*"))
    killed: Counter[str] = Counter()
    slowest, problems = 0.0, []
    for number in range(kills):
        resume = ["--resume"] if run_dir.last.exists() else ["--overwrite"]
        leader = subprocess.Popen(
            [sys.executable, "-m", "rnncli", "train", str(config), "--run-dir", str(run_dir.root), *resume],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        family = [leader.pid, *_wait_for_workers(leader.pid)]
        time.sleep(moments.uniform(0, 3))
        victim = moments.randrange(WORKERS)
        killed["leader" if victim == 0 else "worker"] += 1
        os.kill(family[victim], signal.SIGKILL)
        start = time.monotonic()
        said = leader.communicate(timeout=PATIENCE)[0].splitlines()
        while any(map(_is_running, family)) and time.monotonic() - start < PATIENCE:
            time.sleep(0.01)
        slowest = max(slowest, time.monotonic() - start)
        if any(map(_is_running, family)):
            problems.append(f"kill {number}: a process was left behind")
        if victim and (leader.returncode != 1 or f"process {victim + 1} of {WORKERS}: was killed" not in said[-1]):
            problems.append(f"kill {number}: exit code {leader.returncode}, {said[-1:]}")
        if run_dir.last.exists():
            load_checkpoint(run_dir.last)  # raises if it is damaged
    if set(Path("/dev/shm").glob("*")) - shared_before:
        problems.append("shared memory was left behind")
    steps = load_checkpoint(run_dir.last).metadata["progress"]["step"]
    print("\n".join(f"  {problem}" for problem in problems), end="\n" if problems else "")
    yield Result(
        f"one of {WORKERS} processes killed at a random moment, resumed",
        f"{killed['leader']} times the leader, {killed['worker']} times a worker, {steps} steps made meanwhile: "
        + (f"{len(problems)} PROBLEMS" if problems else f"all gone within {slowest:.1f} s, checkpoints whole"),
        not problems,
    )


def _wait_for_workers(pid: int) -> list[int]:
    """Return the workers of a leader as soon as it has started them."""
    deadline = time.monotonic() + PATIENCE
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while len(found := children.read_text().split()) < WORKERS - 1:
        if time.monotonic() > deadline:
            raise TimeoutError("no workers were started")
        time.sleep(0.005)
    return [int(child) for child in found]


def _is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
