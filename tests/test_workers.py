"""Runs of several processes, from the config to the checkpoint."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from running import INTERRUPTIBLE, is_running
from tiny_runs import Silent, jsonl, prepared, tiny_config, tiny_values, write_config, write_csv

from rnncli import evaluation
from rnncli.checkpoint import load_checkpoint
from rnncli.data.dataset import EncodedTexts
from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.evaluation import rows_of_config
from rnncli.run import train_run, worker_count
from rnncli.run_dir import RunDir
from rnncli.scoring import SCORING_BATCH
from rnncli.trained import load_trained
from rnncli.workers.processes import WorkerError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="memory is shared between processes in the way of POSIX")
PATIENCE = 20  # seconds; what ends at all ends within one or two
RICH = {
    "model": {
        "embedding": {"dim": 8, "dropout": 0.2},
        "rnn": {"cell": "lstm", "hidden": 6, "layers": 2, "bidirectional": True, "dropout": 0.2},
        "dropout": 0.2,
    },
    "train": {"epochs": 3, "batch_size": 6},
}


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv", repeats=3)


def go(config, folder, **options):
    run_dir = RunDir(Path(folder))
    return run_dir, train_run(config, run_dir, Silent(), **options)


def tensors_of(run_dir):
    return load_checkpoint(run_dir.last).tensors


def with_workers(data, workers, **changes):
    changes = {**RICH, **changes}
    return tiny_config(data, **{**changes, "train": {**RICH["train"], "workers": workers, **changes["train"]}})


def test_two_and_three_processes_train_like_one(data):
    optim = {"name": "sgd", "lr": 0.05, "clip_norm": 1.0}  # which, unlike Adam, would see gradients of another size
    alone, summary = go(with_workers(data, 1, optim=optim), "runs/1")
    for workers in (2, 3):
        shared, theirs = go(with_workers(data, workers, optim=optim), f"runs/{workers}")
        for name, array in tensors_of(alone).items():
            np.testing.assert_allclose(
                tensors_of(shared)[name], array, rtol=1e-4, atol=1e-5, err_msg=f"{name}, {workers} processes"
            )
        for ours, row in zip(summary.validations, theirs.validations, strict=True):
            assert row["loss"] == pytest.approx(ours["loss"], rel=1e-4)


def test_the_same_number_of_processes_gives_the_same_bits(data):
    runs = [go(with_workers(data, 3), f"runs/{name}")[0] for name in ("a", "b")]
    first, second = map(tensors_of, runs)
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


class StopAt(Silent):
    """Ends a run at a step as a second Ctrl-C does, at once."""

    def __init__(self, step):
        self.at = step

    def step(self, event, tokens_per_second):
        if event.step == self.at:
            raise KeyboardInterrupt


def test_a_run_of_two_that_was_stopped_goes_on_to_the_same_bits(data):
    config = with_workers(data, 2, train={"checkpoint_every_steps": 2, "workers": 2})
    straight, _ = go(config, "runs/straight")
    stopped = RunDir(Path("runs/stopped"))
    with pytest.raises(KeyboardInterrupt):
        train_run(config, stopped, StopAt(13), overwrite=True)
    train_run(config, stopped, Silent(), resume=True)
    expected, found = tensors_of(straight), tensors_of(stopped)
    assert all((found[name] == array).all() for name, array in expected.items())


def test_a_run_may_go_on_with_another_number_of_processes(data):
    config = with_workers(data, 2, train={"max_steps": 5})
    run_dir, _ = go(config, "runs/a")
    longer = with_workers(data, 1, train={"max_steps": 9})
    _, summary = go(longer, "runs/a", resume=True, given=("train.workers=1", "train.max_steps=9"))
    assert summary.steps == 4
    assert jsonl(run_dir.metrics)[-1]["step"] == 9


class KillAt(Silent):
    """Kills a worker after a step."""

    def __init__(self, step):
        self.at = step

    def started(self, trainer):
        self.trainer = trainer

    def step(self, event, tokens_per_second):
        if event.step == self.at:
            self.worker = self.trainer.exchange._workers[-1]
            self.worker.kill()
            self.worker.wait()


@pytest.mark.parametrize("checkpoint_every", [2, None])
def test_a_worker_that_is_killed_ends_the_run_and_what_is_saved_stays(data, checkpoint_every):
    config = with_workers(data, 3, train={"checkpoint_every_steps": checkpoint_every})
    run_dir = RunDir(Path("runs/a"))
    watcher = KillAt(5)
    with pytest.raises(WorkerError, match="process 3 of 3: was killed by SIGKILL") as caught:
        train_run(config, run_dir, watcher)
    assert ("rnncli train --resume runs/a" in str(caught.value)) == (checkpoint_every is not None)
    assert not any(is_running(worker.pid) for worker in [watcher.worker, *watcher.trainer.exchange._workers])
    if checkpoint_every:
        straight, _ = go(config, "runs/straight")
        assert load_checkpoint(run_dir.last).metadata["progress"]["step"] == 4
        train_run(config, run_dir, Silent(), resume=True)
        expected, found = tensors_of(straight), tensors_of(run_dir)
        assert all((found[name] == array).all() for name, array in expected.items())


def test_a_worker_that_raises_ends_the_run_with_its_words(data, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'rnncli.worker' in ' '.join(sys.orig_argv):\n"
        "    from rnncli import sharding\n"
        "    def deal(lengths, size):\n"
        "        raise ZeroDivisionError('nothing to deal')\n"
        "    sharding.deal = deal\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(WorkerError, match=r"process 2 of 2: ZeroDivisionError: nothing to deal \(.*sitecustom"):
        go(with_workers(data, 2), "runs/a")


class SpoilAt(Silent):
    """Makes a weight that a worker reads not a number, after a step."""

    def __init__(self, step):
        self.at = step

    def started(self, trainer):
        self.trainer = trainer

    def step(self, event, tokens_per_second):
        if event.step == self.at:
            self.trainer.model.params["rnn0.fwd.Wh"][0, 0] = np.nan


def test_what_is_not_finite_ends_a_run_of_two_and_is_named(data):
    config = with_workers(data, 2, train={"checkpoint_every_steps": 2})
    with pytest.raises(GradientError, match=r"at step 6 the loss is nan .*: the weights rnn0\.fwd\.Wh were not finite"):
        train_run(config, RunDir(Path("runs/a")), SpoilAt(5))
    assert load_checkpoint(Path("runs/a/last.safetensors")).metadata["progress"]["step"] == 4


def test_scores_are_the_same_bits_for_any_number_of_processes(workdir, monkeypatch):
    config = with_workers(write_csv(workdir / "many.csv", repeats=40), 1, train={"max_steps": 3})
    run_dir, _ = go(config, "runs/a")
    trained = load_trained(run_dir.best)
    rows, _ = rows_of_config(trained.config)
    assert len(rows) > 2 * SCORING_BATCH
    probabilities = []
    for count in (1, 2, 3):
        monkeypatch.setattr(evaluation, "_process_count", lambda model, texts, count=count: count)
        probabilities.append(evaluation.evaluate(trained, rows).probabilities.tobytes())
    assert len(set(probabilities)) == 1


def test_one_process_scores_where_several_cannot(data, monkeypatch):
    run_dir, _ = go(with_workers(data, 1), "runs/a")
    trained = load_trained(run_dir.best)
    rows, _ = rows_of_config(trained.config)
    expected = evaluation.evaluate(trained, rows).probabilities
    tried = []

    def refuse(count):
        tried.append(count)
        raise WorkerError("there is no memory")

    monkeypatch.setattr(evaluation, "_process_count", lambda model, texts: 3)
    monkeypatch.setattr(evaluation, "processes", refuse)
    assert (evaluation.evaluate(trained, rows).probabilities == expected).all()
    assert tried == [3]


@pytest.mark.parametrize(("tokens", "count"), [(10**4, 1), (2 * 10**6, 2), (10**9, 6)])
def test_as_many_processes_score_as_there_is_work_for(data, monkeypatch, tokens, count):
    trainer, _ = prepared(with_workers(data, 1))
    weights = sum(array.size for name, array in trainer.model.params.items() if name != "embedding.W")
    monkeypatch.setattr(evaluation, "physical_cores", lambda: 6)
    texts = EncodedTexts(np.zeros(tokens // 1000, np.int32), np.array([0, tokens // 1000]), np.array([0]))
    monkeypatch.setattr(evaluation, "WORTH_A_PROCESS", weights * 10**3)
    assert evaluation._process_count(trainer.model, texts) == count


def test_data_that_cannot_be_read_leaves_no_process_behind(data, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    config = with_workers("none.csv", 2)
    with pytest.raises(RnncliError, match=r"none\.csv"):
        go(config, "runs/a")
    assert len(started) == 1
    assert started[0].returncode is not None


def command_line(values, *arguments):
    config = write_config(Path("tiny.json"), values)
    return subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "train", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # with its workers' groups, what a terminal would have
    )


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process_behind(data, number):
    values = tiny_values(data, **RICH)
    values["train"] |= {"workers": 3, "epochs": 10**6}
    process = command_line(values)
    run_dir = RunDir(Path("runs/tiny"))
    until(run_dir.last.exists)
    workers = children_of(process.pid)
    assert len(workers) == 2
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=PATIENCE)
    until(lambda: not any(map(is_running, workers)))
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "To go on: rnncli train --resume runs/tiny" in err
    assert load_checkpoint(run_dir.last).metadata["progress"]["step"] > 0


def test_the_first_line_says_how_many_there_are(data):
    values = tiny_values(data)
    values["train"]["workers"] = 2
    _, err = (process := command_line(values)).communicate(timeout=60)
    assert process.returncode == 0, err
    assert "; 2 processes" in err


def test_auto_is_one_per_core_with_enough_texts_for_each(data, monkeypatch):
    from rnncli import run

    monkeypatch.setattr(run, "physical_cores", lambda: 6)
    for batch_size, count in ((1, 1), (16, 1), (33, 2), (64, 4), (96, 6), (1000, 6)):
        config = with_workers(data, "auto", train={"batch_size": batch_size})
        assert worker_count(config) == count
    assert worker_count(with_workers(data, 3)) == 3


@pytest.mark.parametrize("workers", [0, -1, 1025, "many", 1.5, None, True])
def test_other_numbers_of_processes_are_refused(data, workers):
    with pytest.raises(ConfigError, match=r"train\.workers: must be a whole number from 1 to 1024, or auto"):
        with_workers(data, workers)
