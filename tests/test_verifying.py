"""The proof that a killed and resumed run is the same run: it holds, and it fails where it should."""

import dataclasses
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import Silent, tiny_config, tiny_values, write_config, write_csv

from rnncli import verifying
from rnncli.errors import ConfigError, RnncliError
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.verifying import digests_of, verify_resume

NAMES = {
    *(f"{what} of {which}.safetensors" for what in ("weights", "moments", "counters") for which in ("best", "last")),
    "metrics",
}


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv")


# ---- digests --------------------------------------------------------------------------------------------------------


def finished(config, folder):
    run_dir = RunDir(Path("runs") / folder)
    train_run(config, run_dir, Silent())
    return run_dir


def test_equal_runs_have_equal_digests_and_others_do_not(data):
    model = {"dropout": 0.3}
    one, same = (digests_of(finished(tiny_config(data, model=model), name)) for name in ("one", "same"))
    assert one == same
    assert set(one) == NAMES
    assert len({one[f"{what} of last.safetensors"] for what in ("weights", "moments", "counters")}) == 3
    other = digests_of(finished(tiny_config(data, model=model, seed=2), "other"))
    assert all(other[name] != one[name] for name in NAMES)


@pytest.mark.parametrize(
    ("find", "put", "differs"),
    [
        (r'"loss": (\d)', r'"loss": 1\1', {"metrics"}),
        (r'"step": 2\b', '"step": 3', {"metrics"}),
        (r'"macro_f1": (\d)', r'"macro_f1": 1\1', {"metrics"}),
        (r"(?s)\A[^\n]*\n", "", {"metrics"}),
        (r"(?s)\A([^\n]*\n)", r"\1\1", {"metrics"}),
        (r'"seconds": (\d)', r'"seconds": 1\1', set()),
        (r'"tokens_per_second": (\d)', r'"tokens_per_second": 1\1', set()),
        (r"\A", '{"kind": "resumed", "step": 1, "changed": {}}\n', set()),
    ],
)
def test_every_row_of_the_metrics_counts_but_for_its_times(data, find, put, differs):
    run_dir = finished(tiny_config(data), "one")
    before, text = digests_of(run_dir), run_dir.metrics.read_text()
    changed = re.sub(find, put, text, count=1)
    assert changed != text
    run_dir.metrics.write_text(changed)
    after = digests_of(run_dir)
    assert {name for name in NAMES if before[name] != after[name]} == differs


@pytest.mark.parametrize("what", ["weights", "moments", "counters"])
def test_every_part_of_a_checkpoint_counts(data, what):
    from rnncli.checkpoint import load_checkpoint, save_checkpoint

    run_dir = finished(tiny_config(data), "one")
    before, checkpoint = digests_of(run_dir), load_checkpoint(run_dir.last)
    if what == "counters":
        checkpoint.metadata["progress"]["waited"] += 1
    else:
        checkpoint.tensors["output.b" if what == "weights" else "v/output.b"].view("u4")[-1] ^= 1
    save_checkpoint(run_dir.last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    after = digests_of(run_dir)
    assert {name for name in NAMES if before[name] != after[name]} == {f"{what} of last.safetensors"}


def test_what_computed_a_checkpoint_does_not_count(data):
    from rnncli.checkpoint import load_checkpoint, save_checkpoint

    run_dir = finished(tiny_config(data), "one")
    before, checkpoint = digests_of(run_dir), load_checkpoint(run_dir.last)
    checkpoint.metadata["progress"]["environment"]["cpu"] = "another"
    save_checkpoint(run_dir.last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    assert digests_of(run_dir) == before


# ---- real kills -----------------------------------------------------------------------------------------------------

# A run that takes its time, so that a kill hits it before it is done.
SLOW = """
import time, rnncli.recording as r
step = r.Recorder.step
def slow(self, event):
    time.sleep(0.01)
    step(self, event)
r.Recorder.step = slow
"""
FORGETS = {
    "moments": "restore(self, counters, params, {})",
    "counters": "restore(self, {**counters, 'updates': 0}, params, moments)",
    "weights": "restore(self, counters, {**params, 'output.b': params['output.b'] * 0}, moments)",
}


def planted(monkeypatch, forgets=None):
    """Let the processes of verify-resume train slowly and forget something on resuming."""
    code = SLOW
    if forgets:
        code += "from rnncli.training import Trainer\nrestore = Trainer.restore\n"
        code += f"Trainer.restore = lambda self, counters, params, moments: {FORGETS[forgets]}\n"
    code += "from rnncli.cli import main\nmain()\n"
    start, started = verifying._start, []

    def run(command):
        assert command[:3] == [sys.executable, "-m", "rnncli"]
        process = start([sys.executable, "-c", code, *command[3:]])
        started.append((process, "--resume" in command))
        return process

    monkeypatch.setattr(verifying, "_start", run)
    return started


@pytest.fixture
def config(workdir, data):
    values = tiny_values(data, train={"epochs": 1000, "validate_every": 7}, model={"dropout": 0.3})
    return write_config(workdir / "c.yaml", values)


NEVER = 10**9


def kill_at(monkeypatch, run_dir, *steps):
    """Let the kills come once there is a checkpoint of these steps, rather than at a time."""
    given, wait = iter(steps), verifying._wait

    def until(process, seconds=None):
        if seconds is None:
            return wait(process)
        assert seconds > 0
        step = next(given)
        while process.poll() is None:
            if verifying._step_of(run_dir.last) >= step:
                raise subprocess.TimeoutExpired("", seconds)
            time.sleep(0.003)
        return wait(process)

    monkeypatch.setattr(verifying, "_wait", until)


def verify(config, workdir, monkeypatch, *steps, kills):
    kill_at(monkeypatch, RunDir(workdir / "v" / "killed"), *steps)
    said = []
    verdict = verify_resume(config, (), workdir / "v", 20, kills, 1, said.append)
    assert len(said) == 2
    assert verdict.kills == kills == len(verdict.killed_at)
    return verdict


def test_a_run_that_is_killed_and_resumed_is_the_same(config, workdir, monkeypatch):
    started = planted(monkeypatch)
    verdict = verify(config, workdir, monkeypatch, 0, 5, 11, kills=3)
    assert verdict.differences == []
    assert set(verdict.digests) == NAMES
    assert 0 == verdict.killed_at[0] < 5 <= verdict.killed_at[1] < verdict.killed_at[2] <= 20
    assert [process.returncode for process, _ in started] == [0, *[-signal.SIGKILL] * 3, 0]  # none is left behind
    assert [resumed for _, resumed in started] == [False, False, False, True, True]


@pytest.mark.parametrize("forgets", FORGETS)
def test_it_fails_where_something_is_forgotten(config, workdir, monkeypatch, forgets):
    planted(monkeypatch, forgets)
    verdict = verify(config, workdir, monkeypatch, 9, kills=1)
    assert 9 <= verdict.killed_at[0] < 20
    assert "weights of last.safetensors" in verdict.differences
    assert "metrics" in verdict.differences
    assert set(verdict.differences) <= NAMES


def test_a_run_that_ends_before_it_is_killed_again_counts_too(config, workdir, monkeypatch):
    """Killed once, resumed and finished, begun again, killed in its first moments: the first resume is what differs."""
    started = planted(monkeypatch, "moments")
    verdict = verify(config, workdir, monkeypatch, 9, NEVER, 0, kills=2)
    assert [process.returncode for process, _ in started] == [0, -signal.SIGKILL, 0, -signal.SIGKILL, 0]
    assert [resumed for _, resumed in started] == [False, False, True, False, False]
    assert verdict.killed_at[1] == 0
    assert "weights of last.safetensors" in verdict.differences


def test_a_config_that_cannot_be_used_is_said_in_full_before_anything_starts(config, workdir, monkeypatch):
    monkeypatch.setattr(verifying, "_start", None)
    with pytest.raises(ConfigError) as caught:
        verify_resume(config, ("optim.lr=x", "seed=y"), workdir / "v", 5, 1, 1, print)
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(ConfigError, match=r"missing\.yaml"):
        verify_resume(Path("missing.yaml"), (), workdir / "v", 5, 1, 1, print)


def test_training_that_fails_says_why(config, workdir, data):
    data.write_text("text,label\n")
    with pytest.raises(RnncliError, match=r"^training failed: .*tiny\.csv.*") as caught:
        verify_resume(config, (), workdir / "v", 5, 1, 1, lambda text: None)
    assert "\n" not in str(caught.value)


def test_a_verdict_is_ready_for_json():
    assert dataclasses.asdict(verifying.Verdict(2, [0, 3], ["metrics"], {"metrics": "ab"}))["killed_at"] == [0, 3]
