import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_runs import jsonl, tiny_values, write_config, write_csv
from tiny_tasks import language_values, write_text

from rnncli import run, seeds
from rnncli.errors import GradientError


@pytest.fixture
def config(workdir):
    return write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "tiny.csv"), name="c"))


def test_mean_and_spread_of_the_best_and_the_last_validation(cli, config):
    done = cli("train", config, "--seeds", 3, "--set", "train.epochs=3", "--set", "optim.lr=0.2")
    assert done.code == 0
    lines = done.out.splitlines()
    held = "the validation part is that of seed 1"
    assert lines[0] == f"3 seeds of c: weights, order and dropout differ; {held}"
    rows = {}
    for line in lines:
        if line.startswith(("best ", "last ", "best and last")):
            table = rows.setdefault(line.split(" validation")[0], {})
        name = line[:7].strip()
        if name in ("seed 1", "seed 2", "seed 3", "mean", "std dev", "min", "max"):
            table[name] = line[len(name) :].split()
    found = [jsonl(Path(f"runs/c-seed{seed}/metrics.jsonl")) for seed in (1, 2, 3)]
    losses = [[row for row in one if row["kind"] == "validation"][-1]["loss"] for one in found]
    last = rows.get("last", rows.get("best and last"))
    assert [last[f"seed {seed}"][1] for seed in (1, 2, 3)] == [f"{loss:.4f}" for loss in losses]
    assert last["mean"][0] == f"{sum(losses) / 3:.4f}"
    assert (last["min"][0], last["max"][0]) == (f"{min(losses):.4f}", f"{max(losses):.4f}")
    assert last["std dev"][2] == "pt"
    assert lines[-1] == "next: rnncli eval runs/c-seed{1,2,3}/best.safetensors --ensemble"
    errors = done.err.splitlines()
    assert [line.split(":")[0] for line in errors] == ["seed 1 (1 of 3)", "seed 2 (2 of 3)", "seed 3 (3 of 3)"]


def test_json_has_every_figure(cli, config):
    done = cli("train", config, "--seeds", "4,2", "--json", "--run-dir", "elsewhere/x")
    assert done.code == 0
    found = json.loads(done.out)
    assert [one["seed"] for one in found["seeds"]] == [4, 2]
    assert [one["run_dir"] for one in found["seeds"]] == ["elsewhere/x-seed4", "elsewhere/x-seed2"]
    assert found["split"] == 1
    losses = [one["last"]["loss"] for one in found["seeds"]]
    assert found["last"]["loss"]["mean"] == sum(losses) / 2
    assert set(found["best"]["accuracy"]) == {"mean", "deviation", "low", "high", "size"}


def test_the_split_may_vary(cli, config):
    done = cli("train", config, "--seeds", "2", "--vary-split")
    assert done.out.splitlines()[0] == "2 seeds of c: weights, order, dropout and the validation part differ"
    assert done.out.splitlines()[-1] == "next: rnncli eval runs/c-seed1/best.safetensors"
    refused = cli.refused("eval", "runs/c-seed1", "runs/c-seed2", "--ensemble", code=1)
    assert "may have been trained on" in refused  # why that is not what comes next
    assert json.loads(cli("train", config, "--seeds", "2", "--vary-split", "--resume", "--json").out)["split"] == (
        "by seed"
    )


def test_a_language_model_has_no_split_to_speak_of(cli, workdir):
    config = write_config(workdir / "l.yaml", language_values(write_text(workdir / "t.txt"), name="l"))
    done = cli("train", config, "--seeds", "2")
    assert done.out.splitlines()[0] == "2 seeds of l: weights, order and dropout differ"
    assert "perplexity" in done.out
    assert done.out.splitlines()[-1] == "next: rnncli eval runs/l-seed1/best.safetensors"
    assert "has nothing to vary" in cli.refused("train", config, "--seeds", "2", "--vary-split", code=2)


@contextmanager
def interrupted_at(call):
    calls = 0

    def number():
        nonlocal calls
        calls += 1
        return 2 if calls == call else 0

    yield number


def test_ctrl_c_ends_all_with_what_is_there_and_resume_goes_on(cli, config, monkeypatch):
    usual, notes = run.note_interrupts, iter([interrupted_at(0), interrupted_at(3)])
    monkeypatch.setattr(run, "note_interrupts", lambda: next(notes))
    done = cli("train", config, "--seeds", "3")
    assert done.failed(130) == (
        f"rnncli: interrupted after 1 of 3 seeds. To go on: rnncli train {config} --seeds 3 --resume"
    )
    assert done.out.splitlines()[0].startswith("1 seed of c: ")
    assert "next:" not in done.out
    assert not Path("runs/c-seed3").exists()
    monkeypatch.setattr(run, "note_interrupts", usual)
    again = cli("train", config, "--seeds", "3", "--resume")
    assert again.code == 0, again
    assert ["trained before" in line for line in again.err.splitlines()] == [True, False, False]
    whole = cli("train", config, "--seeds", "3", "--run-dir", "runs/w")
    tables = [
        [line for line in one.out.splitlines() if not line.startswith(("trained", "next"))] for one in (again, whole)
    ]
    assert tables[0] == tables[1]


def test_a_finished_seed_is_not_counted_as_trained_with_another_optimizer(cli, config):
    assert cli("train", config, "--seeds", "2").code == 0
    before = Path("runs/c-seed1/config.yaml").read_text()
    said = cli.refused("train", config, "--seeds", "3", "--resume", "--set", "optim.lr=0.5", code=2)
    assert "runs/c-seed1: was trained with optim.lr 0.01, now it is 0.5. Add --overwrite" in said
    assert Path("runs/c-seed1/config.yaml").read_text() == before
    assert not Path("runs/c-seed3").exists()
    more = cli("train", config, "--seeds", "2", "--resume", "--set", "train.epochs=4")  # all seeds go on alike
    assert more.code == 0
    assert "trained before" not in more.err


def test_a_failed_seed_is_named_and_the_exit_code_tells(cli, config, monkeypatch):
    whole = seeds.train_run

    def failing(settings, *arguments, **options):
        if settings.seed == 1:
            raise GradientError("the loss is nan")
        return whole(settings, *arguments, **options)

    monkeypatch.setattr(seeds, "train_run", failing)
    done = cli("train", config, "--seeds", "3")
    assert done.code == 1
    assert done.err.splitlines()[0] == "seed 1 (1 of 3): failed: the loss is nan"
    assert done.out.splitlines()[0].startswith("2 seeds of c")
    assert "--ensemble" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "one"], "must be how many seeds"),
        (["--seeds", "3", "--run-dir", "."], "--run-dir .: has no name"),
        (["--seeds", "3", "--run-dir", ".."], "--run-dir ..: has no name"),
        (["--seeds", "3", "--profile"], "exclude each other"),
        (["--vary-split"], "which is missing"),
        (["--seeds", "3", "--overwrite", "--resume"], "exclude each other"),
        (["--seeds", "3", "--set", "seed=9223372036854775806"], "--seeds: seed"),
        (["--seeds", "3", "--set", f"name={'n' * 98}"], "cannot be the name of a folder"),
    ],
)
def test_what_is_misused_is_refused(cli, config, arguments, said):
    assert said in cli.refused("train", config, *arguments, code=2)
    assert not Path("runs").exists()


def test_a_folder_is_no_config_of_seeds(cli, config):
    cli("train", config)
    assert "needs the YAML file" in cli.refused("train", "runs/c", "--seeds", "2", "--resume", code=2)
