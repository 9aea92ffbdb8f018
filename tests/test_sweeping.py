"""Trials that are drawn, pruned, stopped, killed and shared, on a tiny classifier."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import Silent, jsonl, tiny_values, write_config, write_csv

from rnncli import sweeping
from rnncli.config import load_config, read_config
from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.run import Interrupted, Summary
from rnncli.run_dir import RunDir
from rnncli.sweeping import SweepDir, SweepStudy, make_trials, read_sweep
from rnncli.trained import load_trained
from rnncli.verifying import digests_of

SPACE = """
trials: {trials}
sampler: {sampler}
pruner: {pruner}
space:
  optim.lr: {{low: 1e-3, high: 0.1, log: true}}
  model.rnn.hidden: {{choice: [4, 8]}}
  model.dropout: {{low: 0, high: 0.4, step: 0.1}}
"""


@pytest.fixture
def config(workdir):
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", train={"epochs": 1})
    return write_config(workdir / "c.yaml", values)


def opened(config, trials=3, folder="runs/c-sweep", sampler="tpe", pruner="none", overrides=()):
    Path("s.yaml").write_text(SPACE.format(trials=trials, sampler=sampler, pruner=pruner))
    return SweepStudy(read_sweep(Path("s.yaml"), read_config(config, overrides)), SweepDir(Path(folder)))


def made(study):
    return list(make_trials(study, lambda drawn: Silent()))


def values_of(records):
    return [one.values for one in records]


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_as_many_trials_as_asked_for_and_of_their_runs_the_best(config):
    study = opened(config)
    found = made(study)
    assert [(one.number, one.state) for one in found] == [(n, "finished") for n in range(3)]
    assert study.records() == found
    for one in found:
        assert 1e-3 <= one.values["optim.lr"] <= 0.1
        assert one.values["model.rnn.hidden"] in (4, 8)
        assert one.values["model.dropout"] in (0.0, 0.1, 0.2, 0.3, 0.4)
        assert one.epoch == 1
    best = study.best()
    assert best.value == max(one.value for one in found)
    assert files("runs/c-sweep") == [".lock", "best", "best.yaml", "sweep.db"]
    assert files("runs/c-sweep/best") == [
        *(".lock", "best.safetensors", "config.yaml", "last.safetensors", "metrics.jsonl")
    ]
    trained = load_trained(Path("runs/c-sweep/best/best.safetensors"))
    assert trained.config.name == f"c-trial-{best.number}"
    assert trained.config.optim.lr == best.values["optim.lr"]
    assert made(opened(config)) == []  # all are there


def test_the_best_config_trains_to_the_same_bits(config):
    made(opened(config))
    text = Path("runs/c-sweep/best.yaml").read_text()
    assert "hidden: " in text
    best = load_config("runs/c-sweep/best.yaml")
    assert best.name == "c-best"
    sweeping.train_run(best, RunDir(Path("runs/again")), Silent())
    again, kept = (digests_of(RunDir(Path(folder))) for folder in ("runs/again", "runs/c-sweep/best"))
    assert {key: value for key, value in again.items() if "config" not in key} == {
        key: value for key, value in kept.items() if "config" not in key
    }


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_draws_the_same_also_after_a_pause(config, sampler):
    whole = values_of(made(opened(config, 4, "runs/a", sampler)))
    assert len({str(values) for values in whole}) > 1
    parts = values_of([*made(opened(config, 2, "runs/b", sampler)), *made(opened(config, 4, "runs/b", sampler))])
    assert parts == whole
    another = Path("s.yaml").read_text() + "seed: 2\n"
    Path("s.yaml").write_text(another)
    study = SweepStudy(read_sweep(Path("s.yaml"), read_config(config)), SweepDir(Path("runs/d")))
    assert values_of(made(study)) != whole


def test_tpe_learns_from_what_was_found(config, monkeypatch):
    """After its first ten trials it draws mostly from where the best were."""

    def trained(settings, folder, progress, **options):
        progress.best, progress.epoch = -abs(settings.model.dropout - 0.4) - settings.optim.lr, 1
        return Summary(folder.root)

    monkeypatch.setattr(sweeping, "train_run", trained)
    found = values_of(made(opened(config, 40)))
    first, last = (sum(values["optim.lr"] < 0.01 for values in part) for part in (found[:10], found[-10:]))
    assert last > first
    assert opened(config, 40).importance().keys() == {"optim.lr", "model.rnn.hidden", "model.dropout"}


def reporting(values):
    """Return what stands for training: validations with the values of the trial's number."""

    def trained(settings, folder, progress, **options):
        number = int(settings.name.rpartition("-")[2])
        progress.started(type("Trainer", (), {"total_steps": 4})())
        best = -1.0
        for step, value in enumerate(values(number), start=1):
            event = sweeping.Validated(step, step, {"accuracy": value}, value > best)
            best = max(best, value)
            progress.validated(event, 0.0)
        return Summary(folder.root)

    return trained


def test_a_trial_worse_than_half_of_those_before_is_pruned(config, monkeypatch):
    seen = [[0.5, 0.6, 0.7, 0.8]] * 5 + [[0.45, 0.46, 0.9, 0.9], [0.55, 0.7, 0.75, 0.2]]
    monkeypatch.setattr(sweeping, "train_run", reporting(lambda number: seen[number]))
    found = made(opened(config, 7, pruner="median"))
    assert [one.state for one in found] == ["finished"] * 5 + ["pruned", "finished"]
    assert (found[5].value, found[5].epoch) == (0.45, 1)
    assert found[6].value == 0.75
    study = opened(config, 7, "runs/unpruned", pruner="none")
    assert [one.state for one in made(study)] == ["finished"] * 7
    assert study.best().number == 5


def test_the_last_validation_prunes_nothing(config, monkeypatch):
    seen = [[0.5, 0.5, 0.5, 0.9]] * 5 + [[0.5, 0.5, 0.5, 0.4]]
    monkeypatch.setattr(sweeping, "train_run", reporting(lambda number: seen[number]))
    assert made(opened(config, 6, pruner="median"))[-1].state == "finished"


def test_a_trial_is_pruned_in_the_middle_of_its_run(config, monkeypatch):
    """With a real run, and another process of it to end."""
    whole = sweeping.train_run
    monkeypatch.setattr(sweeping, "train_run", reporting(lambda number: [1.0, 1.0, 1.0, 1.0]))
    settings = ["train.epochs=3", "train.workers=2"]
    made(opened(config, 5, pruner="median", overrides=settings))
    monkeypatch.setattr(sweeping, "train_run", whole)
    study = opened(config, 6, pruner="median", overrides=[*settings])
    steps = []

    class Watcher(Silent):
        def step(self, event, tokens_per_second):
            steps.append(event.epoch)

        def started(self, trainer):
            assert trainer.exchange.size == 2

    found = list(make_trials(study, lambda drawn: Watcher()))
    assert [one.state for one in found] == ["pruned"]
    assert max(steps) == 1
    assert study.folder.trials() == {}


def failing(error, at):
    whole = sweeping.train_run

    def trained(settings, *arguments, **options):
        if settings.name == f"c-trial-{at}":
            raise error
        return whole(settings, *arguments, **options)

    return trained


@pytest.mark.parametrize("error", [GradientError("the loss is nan"), MemoryError("8 GB"), ConfigError("not together")])
def test_a_trial_that_fails_is_noted_and_the_sweep_goes_on(config, monkeypatch, error):
    monkeypatch.setattr(sweeping, "train_run", failing(error, 1))
    found = made(opened(config))
    assert [one.state for one in found] == ["finished", "failed", "finished"]
    assert str(error) in found[1].why


@pytest.mark.parametrize("error", [RnncliError("no such file"), Interrupted("Ctrl-C"), KeyboardInterrupt()])
def test_what_stops_the_sweep_leaves_the_trial_to_be_made_again(config, monkeypatch, error):
    whole = values_of(made(opened(config, folder="runs/whole")))
    usual = sweeping.train_run
    monkeypatch.setattr(sweeping, "train_run", failing(error, 1))
    study = opened(config)
    with pytest.raises(type(error)):
        made(study)
    assert [one.state for one in study.records()] == ["finished", "stopped", "waiting"]
    assert files("runs/c-sweep") == [".lock", "best", "best.yaml", "sweep.db"]
    monkeypatch.setattr(sweeping, "train_run", usual)
    study = opened(config)
    made(study)
    assert [one.state for one in study.records()] == ["finished", "stopped", "finished", "finished"]
    assert study.records()[2].values == whole[1]


def test_a_trial_whose_process_is_gone_is_made_again_but_not_for_ever(config, monkeypatch):
    for _ in range(2):
        study = opened(config, 1)
        drawn = study.draw()
        drawn.claim.close()  # as the system does for a process that was killed
    study = opened(config, 2)
    found = made(study)
    assert [(one.number, one.state) for one in study.records()] == [(0, "stopped"), (1, "failed"), (2, "finished")]
    assert "killed, 2 times" in study.records()[1].why
    assert study.records()[0].values == study.records()[1].values
    assert [one.number for one in found] == [2]


def test_a_process_killed_before_it_kept_the_best_is_made_up_for(config, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(SweepStudy, "_keep_best", lambda study: None)
        made(opened(config, 1))
    assert files("runs/c-sweep") == [".lock", "sweep.db", "trial-0"]
    assert made(opened(config, 1)) == []
    assert files("runs/c-sweep") == [".lock", "best", "best.yaml", "sweep.db"]


def test_no_more_are_drawn_when_time_is_over(config):
    opened(config)
    with Path("s.yaml").open("a") as file:
        file.write("timeout_minutes: 0.000001\n")
    study = SweepStudy(read_sweep(Path("s.yaml"), read_config(config)), SweepDir(Path("runs/c-sweep")))
    assert len(made(study)) <= 1


def test_another_sweep_in_the_folder_is_refused(config):
    made(opened(config, 1))
    with pytest.raises(ConfigError, match=r"holds another sweep: config\.train\.epochs: the sweep has 1, now it is 2"):
        opened(config, 1, overrides=["train.epochs=2"])
    with pytest.raises(ConfigError, match=r"sampler: the sweep has tpe, now it is random\. Add --overwrite"):
        opened(config, 1, sampler="random")
    with pytest.raises(ConfigError, match="or --run-dir OTHER to keep both"):
        opened(config, 1, sampler="random")
    assert len(made(opened(config, 2, "runs/other", sampler="random"))) == 2
    assert len(made(opened(config, 2))) == 1  # more trials of the same


def test_the_sampler_is_told_whether_the_metric_is_to_be_large(config):
    assert opened(config).study.direction.name == "MAXIMIZE"
    lossy = opened(config, folder="runs/lossy", overrides=["train.best_metric=loss"])
    assert lossy.study.direction.name == "MINIMIZE"


def test_a_sweep_of_before_a_key_was_added_goes_on(config):
    study = opened(config, 1)
    made(study)
    identity = study.study.user_attrs["of"]
    del identity["config"]["train"]["label_smoothing"]
    study.study.set_user_attr("of", identity)
    assert len(made(opened(config, 2))) == 1
    identity["config"]["train"]["of_another_version"] = 1
    study.study.set_user_attr("of", identity)
    with pytest.raises(ConfigError, match="of_another_version: the sweep has 1, now it is -"):
        opened(config, 2)


def test_a_damaged_file_is_named(config):
    made(opened(config, 1))
    Path("runs/c-sweep/sweep.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(RnncliError, match=r"sweep\.db: cannot be used: file is not a database"):
        opened(config, 1)


def test_a_file_that_is_damaged_in_the_middle_of_a_trial_is_named(config):
    class Damaging(Silent):
        def validated(self, event, seconds):
            Path("runs/c-sweep/sweep.db").write_bytes(b"not a database" * 1000)

    with pytest.raises(RnncliError, match=r"sweep\.db: cannot be used: file is not a database"):
        list(make_trials(opened(config, 1), lambda drawn: Damaging()))


def test_the_file_is_plain_sqlite_with_json_in_it(config):
    """No table has a pickle in it: text, numbers and times only."""
    made(opened(config, 2))
    with sqlite3.connect("runs/c-sweep/sweep.db") as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        assert len(tables) > 5
        cells = [cell for name in tables for row in connection.execute(f"select * from {name}") for cell in row]
    connection.close()
    assert not any(isinstance(cell, bytes) for cell in cells)


SWEEP = [sys.executable, "-m", "rnncli", "sweep", "c.yaml", "s.yaml"]


def counted(folder="runs/c-sweep"):
    with sqlite3.connect(f"{folder}/sweep.db") as connection:
        found = [state for (state,) in connection.execute("select state from trials order by number")]
    connection.close()
    return found


def test_two_processes_share_the_trials(config):
    Path("s.yaml").write_text(SPACE.format(trials=6, sampler="tpe", pruner="median"))
    both = [subprocess.Popen(SWEEP, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert len(counted()) == 6
    lines = [line for _, errors in ends for line in errors.splitlines()]
    assert sorted(line.split("trial ")[1].split(":")[0] for line in lines) == [str(n) for n in range(6)]
    assert len({tuple(row.values()) for row in values_of(opened(config, 6, pruner="median").records())}) > 2
    assert SweepDir(Path("runs/c-sweep")).trials() == {}


def test_a_killed_sweep_goes_on(config):
    Path("s.yaml").write_text(SPACE.format(trials=3, sampler="tpe", pruner="none"))
    slow = [*SWEEP, "--set", "train.epochs=100000", "--set", "train.max_steps=100000"]
    process = subprocess.Popen(slow, stderr=subprocess.DEVNULL)
    metrics = Path("runs/c-sweep/trial-0/metrics.jsonl")
    for _ in range(600):
        if process.poll() is not None or (metrics.exists() and metrics.stat().st_size):
            break
        time.sleep(0.1)
    assert jsonl(metrics)
    with pytest.raises(RnncliError, match="another process is at work"):
        SweepDir(Path("runs/c-sweep")).clear()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert counted() == ["RUNNING"]
    study = opened(config, 3, overrides=["train.epochs=100000", "train.max_steps=100000"])
    drawn = study.draw()
    assert [one.state for one in study.records()] == ["stopped", "running"]
    assert drawn.values == study.records()[0].values
    study.stop(drawn)
    assert files("runs/c-sweep") == [".lock", "sweep.db"]
    study.folder.clear()
    assert files("runs/c-sweep") == [".lock"]
