import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, tiny_config, tiny_values, write_config, write_csv
from tiny_tasks import language_config, tagging_config, write_conllu, write_text

from rnncli import planning
from rnncli.config import load_config
from rnncli.data.dataset import load_dataset
from rnncli.plan_figures import real_share
from rnncli.planning import Plan, plan_run
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.trial import FEWEST, every_nth, spread


def fill_cache(config):
    """Let the data be found in the cache, so that no second process is needed."""
    planning.task_of(config).load(config, planning.CACHE)
    return config


@pytest.fixture
def config(workdir):
    return fill_cache(tiny_config(write_csv(workdir / "tiny.csv", repeats=3)))


def test_it_says_what_a_run_comes_to(config):
    plan = plan_run(config, 0.05)
    data = load_dataset(config.data, config.seed, None)
    summary = train_run(config, RunDir(Path("runs/real")), Silent())
    assert (plan.task, plan.processes, plan.epochs, plan.finite) == ("classification", 1, 2, True)
    assert plan.data["texts"] == len(data.train)
    assert plan.data["valid_texts"] == len(data.valid)
    assert plan.data["tokens"] == len(data.train.ids)
    assert plan.data["vocabulary"] == len(data.vocabulary)
    assert plan.data["labels"] == {
        label: int((data.train.labels == number).sum()) for number, label in enumerate(data.labels)
    }
    assert plan.data["lengths"]["longest"] == data.train.lengths.max()
    assert sum(weight["numbers"] for weight in plan.parameters) == summary.parameters
    assert plan.steps == summary.steps
    assert plan.validations == len(summary.validations)
    size = RunDir(Path("runs/real")).last.stat().st_size / 1e6
    assert plan.checkpoint_mb == pytest.approx(size, abs=0.002)  # less what a run notes of its figures
    assert plan.measured_steps >= FEWEST
    parts = plan.seconds
    steps = parts["epoch"] * plan.steps / plan.steps_per_epoch
    whole = parts["start"] + steps + plan.validations * parts["validation"] + plan.saves * parts["save"]
    assert parts["run"] == pytest.approx(whole)
    assert plan.tokens_per_second * parts["epoch"] == pytest.approx(plan.data["tokens"])
    assert 0 < plan.step_seconds["least"] <= plan.step_seconds["median"] <= plan.step_seconds["most"]
    assert plan.peak_memory_mb > 10
    assert 1 <= plan.distinct_per_step <= plan.tokens_per_step


def test_it_writes_nothing_but_the_cache(config, workdir):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    plan_run(config, 0.05)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_texts_that_are_not_in_the_cache_are_measured_by_a_process_of_its_own(workdir, monkeypatch):
    config = tiny_config(write_csv(workdir / "tiny.csv"))
    asked = []
    apart = planning._plan_in_child
    monkeypatch.setattr(planning, "_plan_in_child", lambda *given: asked.append(given) or apart(*given))
    first = plan_run(config, 0.05)
    assert (len(asked), [path.name for path in Path("runs").iterdir()]) == (1, [".cache"])
    second = plan_run(config, 0.05)
    assert len(asked) == 1
    for name in ("data", "padding", "parameters", "steps", "validations", "saves", "checkpoint_mb"):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize(
    ("train", "validations", "saves"),
    [
        ({"epochs": 2}, 2, 4),
        ({"epochs": 2, "validate_every": 4}, 7, 14),
        ({"epochs": 2, "validate_every": 100}, 1, 2),
        ({"epochs": 2, "max_steps": 5, "validate_every": 2}, 3, 6),
        ({"epochs": 1, "checkpoint_every_steps": 5}, 1, 4),
    ],
    ids=str,
)
def test_validations_and_saves_are_those_of_a_run(workdir, train, validations, saves):
    config = fill_cache(tiny_config(write_csv(workdir / "tiny.csv", repeats=3), train=train))
    plan = plan_run(config, 0.01)
    assert (plan.validations, plan.saves) == (validations, saves)
    assert len(train_run(config, RunDir(Path("runs/real")), Silent()).validations) == validations


def test_several_processes_share_the_steps(workdir):
    config = fill_cache(tiny_config(write_csv(workdir / "tiny.csv"), train={"workers": 2}))
    plan = plan_run(config, 0.05)
    assert plan.processes == 2
    assert plan.finite


@pytest.mark.parametrize("task", ["tagging", "language_model"])
@pytest.mark.parametrize("seconds", [0.05, 1e-5])
def test_every_task_can_be_planned(workdir, task, seconds):
    if task == "tagging":
        config = tagging_config(write_conllu(workdir / "a.conllu", 120))
    else:
        config = fill_cache(language_config(write_text(workdir / "a.txt", 200)))
    plan = plan_run(config, seconds)
    assert plan.task == task
    assert (plan.padding is None) == (task == "language_model")
    if task == "tagging":
        assert set(plan.data["labels"]) == {"DET", "NOUN", "VERB"}
        assert sum(plan.data["labels"].values()) == plan.data["tokens"]
    assert plan.validation_share == 1 if seconds > 0.01 else 0 < plan.validation_share < 0.7
    assert plan.seconds["validation"] > 0


def test_a_large_validation_part_is_sampled_and_left_as_it_was(config):
    plan = plan_run(config, 1e-5)
    assert 0 < plan.validation_share < 0.7


def test_every_nth_text_is_whole():
    data = load_dataset(tiny_config(Path(__file__).parents[1] / "data" / "sample.csv").data, 1, None)
    part = every_nth(data.valid, 3)
    assert len(part) == -(-len(data.valid) // 3)
    for number, row in enumerate(range(0, len(data.valid), 3)):
        whole = data.valid.ids[data.valid.offsets[row] : data.valid.offsets[row + 1]]
        assert (part.ids[part.offsets[number] : part.offsets[number + 1]] == whole).all()
        assert part.labels[number] == data.valid.labels[row]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100])
def test_places_are_spread_evenly_at_any_time(count):
    order = list(spread(count))
    assert sorted(order) == list(range(count))
    for some in range(8, count):
        gaps = np.diff(sorted([-1, *order[:some], count]))
        assert gaps.max() <= 4 * count / some


def test_the_share_of_real_tokens():
    lengths = np.array([1, 4, 2, 2])
    assert real_share(lengths, [np.array([0, 1]), np.array([2, 3])]) == 9 / 12
    assert real_share(lengths, [np.array([0, 1, 2, 3])]) == 9 / 16


# ---- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(config, workdir):
    return write_config(workdir / "c.yaml", tiny_values("tiny.csv"))


def test_the_command_says_it_in_words(cli, file):
    done = cli("plan", file, "--seconds", "0.1", "--set", "train.epochs=3")
    assert (done.code, done.err) == (0, "")
    begins = {line.split("  ")[0] for line in done.out.splitlines()}
    assert {"data", "labels", "vocabulary", "lengths", "steps", "padding", "parameters", "embedding.W"} <= begins
    assert {"speed", "memory", "checkpoint", "epoch", "validation", "whole run"} <= begins
    assert "3 times" in done.out
    assert done.out.endswith(f"next: rnncli train {file} --set train.epochs=3\n")
    assert not Path("runs/tiny").exists()
    assert max(map(len, done.out.splitlines())) <= 120


def test_a_busy_machine_is_told_of(cli, file, monkeypatch):
    from rnncli.cli import plan as command

    half = replace(command.plan_run(load_config(file), 0.05), cpu_share=0.5, tokens_per_second=1000.0)
    monkeypatch.setattr(command, "plan_run", lambda *_: half)
    assert "these steps had 50% of a core; with all of one, some 2,000 tokens/s\n" in cli("plan", file).out
    monkeypatch.setattr(command, "plan_run", lambda *_: replace(half, cpu_share=0.99, finite=False))
    done = cli("plan", file)
    assert "\nbusy" not in done.out
    assert "lower optim.lr" in done.out


def test_long_lines_are_broken_on_a_narrow_terminal():
    from rnncli.cli.plan import _wrapped

    assert _wrapped("data         " + "word " * 12, 40).splitlines() == [
        "data         word word word word word",
        "             word word word word word",
        "             word word",
    ]
    assert _wrapped("", 40) == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.00042, "0.4 ms"), (0.0946, "95 ms"), (0.1, "0.10 s"), (8.26, "8.3 s"), (74.4, "74 s"), (186, "3.1 min"),
        (2700, "45 min"), (12240, "3.4 h"),
    ],
)  # fmt: skip
def test_times_have_the_digits_that_tell_something(seconds, said):
    from rnncli.cli.plan import _seconds

    assert _seconds(seconds) == said


def test_its_json_has_every_figure(cli, file):
    done = cli("plan", file, "--seconds", "0.1", "--json")
    assert (done.code, done.err) == (0, "")
    assert set(json.loads(done.out)) == set(Plan.__dataclass_fields__)


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ("data.train.path=none.csv", 1, "none.csv"),
        ("data.train.path=.", 1, "."),
        ("model.rnn.cell=lsmt", 2, "Did you mean 'lstm'"),
        ("train.class_weights={pos: 1, other: 2}", 2, "train.class_weights"),
    ],
)
def test_what_cannot_be_trained_is_one_line(cli, file, change, code, named):
    assert named in cli.refused("plan", file, "--set", change, code=code)


def test_what_the_other_process_refuses_is_said_as_if_it_were_this_one(cli, workdir):
    write_csv(workdir / "tiny.csv")
    values = tiny_values("tiny.csv", train={"class_weights": {"pos": 1, "other": 2}})
    assert "train.class_weights: is for other, pos" in cli.refused("plan", write_config(Path("c.yaml"), values), code=2)


# A child of what runs in the background would ignore the signal.
INTERRUPTED = "import os, signal; signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)"


def test_a_process_that_dies_is_one_line(cli, workdir, monkeypatch):
    write_csv(workdir / "tiny.csv")
    monkeypatch.setattr(planning, "_CHILD", "import os, sys; sys.stdin.read(); os._exit(9)")
    file = write_config(workdir / "c.yaml", tiny_values("tiny.csv"))
    assert "ended with 9" in cli.refused("plan", file)
    monkeypatch.setattr(planning, "_CHILD", INTERRUPTED)
    monkeypatch.setattr(planning, "CACHE", Path("elsewhere"))
    assert cli("plan", file).code == 130
