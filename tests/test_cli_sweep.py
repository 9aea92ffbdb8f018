import json
import shutil
import sys
from pathlib import Path

import pytest
from tiny_runs import tiny_values, write_config, write_csv
from tiny_tasks import language_values, write_text

from rnncli import sweeping
from rnncli.cli import sweep as sweep_command
from rnncli.config import load_config, read_config
from rnncli.errors import GradientError
from rnncli.run import Interrupted

SPACE = "trials: {}\nspace:\n  optim.lr: {{low: 1e-3, high: 0.1, log: true}}\n  model.rnn.hidden: {{choice: [4, 8]}}\n"


@pytest.fixture
def config(workdir):
    (workdir / "s.yaml").write_text(SPACE.format(3))
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", train={"epochs": 1})
    return write_config(workdir / "c.yaml", values)


def test_trials_in_a_table_the_best_first_and_what_to_type_next(cli, config):
    done = cli("sweep", config, "s.yaml")
    assert done.code == 0
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["1/3  trial 0", "2/3  trial 1", "3/3  trial 2"]
    lines = done.out.splitlines()
    assert lines[0].split() == ["trial", "accuracy", "epoch", "optim.lr", "model.rnn.hidden", "time"]
    figures = [float(line.split()[1].rstrip("%")) for line in lines[1:4]]
    assert figures == sorted(figures, reverse=True)
    assert lines[4:6] == ["", "3 trials: 3 finished"]
    best = lines[1].split()
    assert lines[6] == f"best: runs/c-sweep/best.yaml (trial {best[0]}, accuracy {best[1]} at epoch 1)"
    assert lines[7] == "next: rnncli train runs/c-sweep/best.yaml --seeds 5"
    assert f"{load_config('runs/c-sweep/best.yaml').optim.lr:.12g}" == best[3]
    assert cli(*lines[7].removeprefix("next: rnncli ").replace("--seeds 5", "--seeds 2").split()).code == 0
    assert cli("eval", "runs/c-sweep/best/best.safetensors").code == 0
    again = cli("sweep", config, "s.yaml")
    assert again.out == done.out
    assert again.err == ""


def test_json_has_every_trial(cli, config):
    done = cli("sweep", config, "s.yaml", "--json", "--run-dir", "elsewhere", "--set", "train.best_metric=loss")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["folder"], found["metric"], found["direction"]) == ("elsewhere", "loss", "minimize")
    assert [one["number"] for one in found["trials"]] == [0, 1, 2]
    values = [one["value"] for one in found["trials"]]
    assert found["best"]["value"] == min(values)
    assert found["best"]["config"] == "elsewhere/best.yaml"
    assert found["trials"][found["best"]["number"]]["values"] == found["best"]["values"]
    assert found["importance"] == {}


def test_importance_once_there_are_enough_trials(cli, config):
    Path("s.yaml").write_text(SPACE.format(12))
    done = cli("sweep", config, "s.yaml", "--json")
    importance = json.loads(done.out)["importance"]
    assert importance.keys() == {"optim.lr", "model.rnn.hidden"}
    assert sum(importance.values()) == pytest.approx(1)
    text = cli("sweep", config, "s.yaml").out
    assert "share of the differences that each key explains: " in text
    assert "and 2 more; --json lists all" in text


def test_a_language_model(cli, workdir):
    config = write_config(workdir / "l.yaml", language_values(write_text(workdir / "t.txt"), name="l"))
    Path("s.yaml").write_text(SPACE.format(2))
    done = cli("sweep", config, "s.yaml")
    assert done.code == 0, done
    assert done.out.split()[:2] == ["trial", "loss"]
    values = [float(line.split()[1]) for line in done.out.splitlines()[1:3]]
    assert values == sorted(values)


def failing(error, at):
    whole = sweeping.train_run

    def trained(settings, *arguments, **options):
        if settings.name in at:
            raise error
        return whole(settings, *arguments, **options)

    return trained


def test_ctrl_c_says_how_to_go_on(cli, config, monkeypatch):
    stop = Interrupted("interrupted at step 3 of 9")
    stop.exit_code = 143
    whole = sweeping.train_run
    monkeypatch.setattr(sweeping, "train_run", failing(stop, ["c-trial-1"]))
    done = cli("sweep", config, "s.yaml", "--set", "seed=4", "--run-dir", "x y")
    assert done.failed(143) == (
        f"rnncli: interrupted. To go on: rnncli sweep {config} s.yaml --set seed=4 --run-dir 'x y'"
    )
    assert "1 trial: 1 finished; 1 more was stopped, to be made again" in done.out
    assert "next:" not in done.out
    assert Path("x y/best.yaml").exists()
    monkeypatch.setattr(sweeping, "train_run", whole)
    done = cli("sweep", config, "s.yaml", "--set", "seed=4", "--run-dir", "x y")
    assert "3 trials: 3 finished; 1 more was stopped" in done.out


def test_a_trial_of_another_process_is_waited_for_by_nobody(cli, config, monkeypatch):
    Path("s.yaml").write_text(SPACE.format(2))
    study = sweeping.SweepStudy(
        sweeping.read_sweep(Path("s.yaml"), read_config(config)), sweeping.SweepDir(Path("runs/c-sweep"))
    )
    drawn = study.draw()
    done = cli("sweep", config, "s.yaml")
    assert done.code == 0
    assert "2 trials: 1 finished, 1 running\n" in done.out
    assert done.out.splitlines()[-1] == "1 still in another process; the same command will say what came of it"
    assert "another process is at work here (trial 0)" in cli.refused("sweep", config, "s.yaml", "--overwrite")
    drawn.claim.close()
    done = cli("sweep", config, "s.yaml")
    assert "2 trials: 2 finished; 1 more was stopped" in done.out
    assert done.out.splitlines()[-1].startswith("next: ")


def test_failed_trials_are_named(cli, config, monkeypatch):
    monkeypatch.setattr(sweeping, "train_run", failing(GradientError("the loss is nan"), ["c-trial-1"]))
    done = cli("sweep", config, "s.yaml")
    assert done.code == 0
    assert "3 trials: 2 finished, 1 failed\ntrial 1 failed: the loss is nan\n" in done.out
    assert "2/3  trial 1: failed" in done.err
    names = [f"c-trial-{number}" for number in range(3)]
    monkeypatch.setattr(sweeping, "train_run", failing(GradientError("the loss is nan"), names))
    done = cli("sweep", config, "s.yaml", "--overwrite")
    assert done.code == 1
    assert done.out.startswith("3 trials: 3 failed\n")
    assert "best:" not in done.out
    assert not Path("runs/c-sweep/best.yaml").exists()


@pytest.mark.parametrize("width", [30, 60, 200])
def test_it_fits_the_screen(cli, config, monkeypatch, width):
    cli("sweep", config, "s.yaml")
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: type("Size", (), {"columns": width})())
    lines = cli("sweep", config, "s.yaml").out.splitlines()
    tables = [line for line in lines if not line.startswith(("best", "next"))]
    assert max(map(len, tables)) <= max(width, 40)
    assert any("hidden" in line for line in lines)


def test_short_names_tell_keys_apart():
    keys = ["model.dropout", "model.rnn.dropout", "optim.lr", "model.embedding.dropout"]
    assert list(sweep_command._short_names(keys).values()) == [
        *("model.dropout", "rnn.dropout", "lr", "embedding.dropout")
    ]


def test_an_unwritable_place_is_named(cli, config):
    Path("runs").write_text("a file")
    assert "cannot be written" in cli.refused("sweep", config, "s.yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.yaml", "s.yaml"], "none.yaml: there is no such file"),
        (["c.yaml", "none.yaml"], "none.yaml: there is no such file"),
        (["c.yaml", "c.yaml"], "space: is missing"),
        (["c.yaml", "s.yaml", "--set", "optim.lrr=1"], "--set optim.lrr=1: is not a key here"),
        (["c.yaml"], "Missing argument 'SWEEP'"),
    ],
)
def test_what_is_misused_is_refused_before_anything_is_made(cli, config, arguments, said):
    done = cli("sweep", *arguments)
    assert said in done.err
    assert "Traceback" not in done.err
    assert done.code == 2
    assert not Path("runs").exists()


def test_without_optuna_it_says_what_to_type(cli, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    said = cli.refused("sweep", config, "s.yaml")
    assert "pip install 'rnncli[sweep]'" in said
    assert not Path("runs").exists()
