import errno
import itertools
import os
import re
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, jsonl, prepared, tiny_config, write_csv

from rnncli import checkpoint, run
from rnncli.checkpoint import load_checkpoint
from rnncli.config import load_config
from rnncli.errors import CheckpointError, ConfigError, DataError, GradientError, RnncliError
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.trained import load_trained
from rnncli.training import Trainer

FILES = ["best.safetensors", "config.yaml", "last.safetensors", "metrics.jsonl"]
LOCK = ".lock"
STEP = [
    *("kind", "step", "epoch", "loss", "accuracy", "lr", "grad_norm", "texts", "tokens"),
    *("skipped", "counted", "tokens_per_second", "seconds", "peak_memory_mb"),
]
VALIDATION = [
    *("kind", "step", "epoch", "loss", "accuracy", "macro_f1", "improved", "train_loss"),
    *("seconds", "peak_memory_mb"),
]
TIMING = {"seconds", "tokens_per_second", "peak_memory_mb"}


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv", repeats=2)


def go(config, folder="runs/tiny", **options):
    run_dir = RunDir(Path(folder))
    return run_dir, train_run(config, run_dir, Silent(), **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != LOCK}


def failure(kind, config, *words, folder="runs/tiny", **options):
    """Return the one line of a run that must fail."""
    with pytest.raises(kind) as caught:
        go(config, folder, **options)
    text = str(caught.value)
    assert "\n" not in text
    for word in words:
        assert word in text
    return caught.value


def test_a_run_is_one_folder_with_four_files(data):
    config = tiny_config(data)
    run_dir, _ = go(config)
    assert sorted(contents(run_dir.root)) == FILES
    assert load_config(run_dir.config) == config


def test_metrics_have_every_validation_and_every_so_many_steps(data):
    config = tiny_config(data, train={"epochs": 3, "log_every": 4, "validate_every": 6})
    run_dir, summary = go(config)
    trainer, _ = prepared(config)
    rows = jsonl(run_dir.metrics)
    total = trainer.total_steps
    steps = [row for row in rows if row["kind"] == "step"]
    validations = [row for row in rows if row["kind"] == "validation"]
    assert [row["step"] for row in steps] == list(range(4, total + 1, 4))
    assert [row["step"] for row in validations] == sorted({*range(6, total + 1, 6), total})
    assert {tuple(row) for row in steps} == {tuple(STEP)}
    assert {tuple(row) for row in validations} == {tuple(VALIDATION)}
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert all(row["tokens_per_second"] > 0 < row["grad_norm"] for row in steps)
    events = [event for event in trainer.run() if hasattr(event, "grad_norm")]
    for row in steps:
        assert {key: row[key] for key in STEP[1:11]} == dict(events[row["step"] - 1]._asdict())
    first = validations[0]
    assert first["train_loss"] == pytest.approx(
        np.average([event.loss for event in events[:6]], weights=[event.texts for event in events[:6]])
    )
    assert validations[1]["train_loss"] == pytest.approx(
        np.average([event.loss for event in events[6:12]], weights=[event.texts for event in events[6:12]])
    )
    assert summary.validations == validations


def test_the_summary_says_what_happened(data):
    config = tiny_config(data)
    run_dir, summary = go(config)
    trainer, _ = prepared(config)
    assert summary.run_dir == run_dir.root
    assert summary.best in summary.validations
    assert summary.best["accuracy"] == max(row["accuracy"] for row in summary.validations)
    assert summary.parameters == sum(array.size for array in trainer.model.params.values())
    tokens = len(trainer.work.train.ids) * config.train.epochs
    assert summary.tokens_per_second == pytest.approx(tokens / summary.train_seconds)
    assert 0 < summary.train_seconds < summary.seconds
    assert 20 < summary.peak_memory_mb < 20_000
    assert not summary.stopped_early


def test_two_runs_of_the_same_seed_are_equal_but_for_the_time_they_took(data):
    model = {"embedding": {"dim": 8, "dropout": 0.3}, "dropout": 0.3}
    runs = [go(tiny_config(data, model=model), f"runs/{name}")[0] for name in ("one", "two")]
    for name in ("best", "last"):
        one, two = (load_checkpoint(getattr(folder, name)) for folder in runs)
        assert one.tensors.keys() == two.tensors.keys()
        for key, array in one.tensors.items():
            assert array.tobytes() == two.tensors[key].tobytes(), key
        assert one.vocabulary == two.vocabulary
        for key in ("config", "labels"):
            assert one.metadata[key] == two.metadata[key]
    one, two = (
        [{key: value for key, value in row.items() if key not in TIMING} for row in jsonl(folder.metrics)]
        for folder in runs
    )
    assert one == two
    other, _ = go(tiny_config(data, model=model, seed=2), "runs/other")
    assert load_checkpoint(other.last).tensors["output.w"].tobytes() != (
        load_checkpoint(runs[0].last).tensors["output.w"].tobytes()
    )


def test_what_is_saved_is_the_model_at_that_step(data):
    config = tiny_config(data, train={"validate_every": 5})
    run_dir, summary = go(config)
    trainer, _ = prepared(config)
    for event in trainer.run():
        if not hasattr(event, "grad_norm") and event.step == summary.best["step"]:
            best = {name: array.tobytes() for name, array in trainer.model.params.items()}
    loaded = load_trained(run_dir.best)
    assert loaded.progress["step"] == summary.best["step"]
    assert loaded.progress["metrics"]["accuracy"] == summary.best["accuracy"]
    assert loaded.progress["environment"]["processes"] == 1
    assert loaded.progress["environment"]["numpy"] == np.__version__
    assert {name: array.tobytes() for name, array in loaded.model.params.items()} == best
    last = load_checkpoint(run_dir.last).tensors
    assert all(array.tobytes() == last[name].tobytes() for name, array in trainer.model.params.items())
    assert load_trained(run_dir.last).progress["step"] == trainer.step


@pytest.mark.parametrize(("metric", "epoch"), [("accuracy", 2), ("loss", 3), ("macro_f1", 1)])
def test_best_holds_the_best_by_the_metric(data, metric, epoch, monkeypatch):
    columns = {"accuracy": [0.5, 0.7, 0.6, 0.6], "loss": [0.7, 0.6, 0.5, 0.6], "macro_f1": [0.8, 0.4, 0.6, 0.8]}
    figures = iter([dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)])
    monkeypatch.setattr("rnncli.classifying.classification_report", lambda *_: next(figures))
    run_dir, summary = go(tiny_config(data, train={"best_metric": metric, "epochs": 4}))
    assert summary.best["epoch"] == epoch
    assert load_trained(run_dir.best).progress["step"] == summary.best["step"]
    assert load_trained(run_dir.last).progress["step"] == summary.validations[-1]["step"]


def test_patience_stops_early(data):
    optim = {"name": "adam", "lr": 1e-9}  # nothing improves
    config = tiny_config(data, optim=optim, train={"epochs": 20, "patience": 2})
    _, summary = go(config)
    assert len(summary.validations) == 3
    assert summary.stopped_early


def test_class_weights_reach_the_training(data):
    _, plain = go(tiny_config(data), "runs/plain")
    _, heavy = go(tiny_config(data, train={"class_weights": {"neg": 50, "pos": 1}}), "runs/heavy")
    assert plain.validations[0]["train_loss"] != heavy.validations[0]["train_loss"]


# ---- an earlier run -------------------------------------------------------------------------------------------------


def test_an_earlier_run_is_refused_and_left_as_it_is(data):
    go(tiny_config(data))
    before = contents("runs/tiny")
    failure(RnncliError, tiny_config(data, seed=2), "runs/tiny: holds an earlier run", "--overwrite")
    assert contents("runs/tiny") == before


@pytest.mark.parametrize("name", FILES)
def test_any_file_of_a_run_is_an_earlier_run(data, name):
    Path("runs/tiny").mkdir(parents=True)
    Path("runs/tiny", name).write_text("mine")
    failure(RnncliError, tiny_config(data), "holds an earlier run")
    assert contents("runs/tiny") == {name: b"mine"}


def test_an_earlier_run_is_refused_before_the_data_is_read(data):
    go(tiny_config(data))
    data.unlink()
    failure(RnncliError, tiny_config(data), "holds an earlier run")


def test_other_files_in_the_folder_are_no_run_and_stay(data):
    Path("runs/tiny").mkdir(parents=True)
    Path("runs/tiny/notes.txt").write_text("mine")
    go(tiny_config(data))
    go(tiny_config(data), overwrite=True)
    assert Path("runs/tiny/notes.txt").read_text() == "mine"


def test_overwriting_leaves_nothing_of_the_earlier_run(data):
    go(tiny_config(data, train={"epochs": 4}))
    run_dir, summary = go(tiny_config(data, train={"epochs": 1}), overwrite=True)
    assert sorted(contents(run_dir.root)) == FILES
    assert {row["epoch"] for row in jsonl(run_dir.metrics)} == {1}
    assert load_trained(run_dir.best).progress["step"] == summary.best["step"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"data": {"train": {"format": "csv", "path": "missing.csv"}}}, DataError),
        ({"data": {"train": {"format": "csv", "path": "tiny.csv", "text": "txt"}}}, DataError),
        ({"data": {"tokenizer": {"min_count": 1000}}}, DataError),
        ({"train": {"class_weights": {"x": 1}}}, ConfigError),
    ],
)
def test_data_that_fails_leaves_the_earlier_run_although_it_may_be_overwritten(data, change, kind):
    go(tiny_config(data))
    before = contents("runs/tiny")
    failure(kind, tiny_config(data, **change), overwrite=True)
    assert contents("runs/tiny") == before


# ---- what cannot be written -----------------------------------------------------------------------------------------


def test_a_file_where_the_folder_should_be(data):
    Path("runs").mkdir()
    Path("runs/tiny").write_text("mine")
    error = failure(RnncliError, tiny_config(data), "runs/tiny: cannot be written", "--run-dir")
    assert error.exit_code == 1
    assert Path("runs/tiny").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_folder_that_is_read_only(data):
    Path("locked").mkdir()
    Path("locked").chmod(0o500)
    failure(RnncliError, tiny_config(data), "locked/x: cannot be written", folder="locked/x")


def test_a_full_disk_under_the_metrics(data, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    monkeypatch.setattr(RunDir, "metrics", Path("/dev/full"))
    monkeypatch.setattr(RunDir, "files", property(lambda self: (self.config, self.last, self.best)))
    failure(RnncliError, tiny_config(data), "/dev/full: cannot be written: No space left on device")


@pytest.mark.parametrize(
    ("name", "calls", "refused"),
    [("fsync", 1, "metrics.jsonl"), ("fsync", 2, "safetensors"), ("replace", 1, "safeten")],
)
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(data, monkeypatch, name, calls, refused):
    left = itertools.repeat(None, calls - 1)
    whole = getattr(os, name)

    def no_space(*arguments):
        for _ in left:
            return whole(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = tiny_config(data, train={"epochs": 3})
    kept = {}
    validate = Trainer._validate
    with monkeypatch.context() as patch:

        def fail_at_the_second(self):
            if self.epoch == 2:
                kept.update(contents("runs/tiny"))
                patch.setattr(checkpoint.os, name, no_space)
            return validate(self)

        patch.setattr(Trainer, "_validate", fail_at_the_second)
        error = failure(RnncliError, config, refused, "cannot be written", "No space left on device")
    assert error.exit_code == 1
    now = contents("runs/tiny")
    assert sorted(now) == FILES
    for file in ("best.safetensors", "last.safetensors"):
        assert now[file] == kept[file]
        load_trained(Path("runs/tiny", file))


def test_a_real_limit_on_the_size_of_files(data):
    """The system itself refuses to write more, in the middle of a checkpoint."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    config = tiny_config(data, model={"embedding": {"dim": 64}})
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, before[1]))
        failure(CheckpointError, config, "best.safetensors: cannot be written")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(contents("runs/tiny")) == ["config.yaml", "metrics.jsonl"]


# ---- what breaks off ------------------------------------------------------------------------------------------------


def test_a_run_that_diverges_keeps_what_was_saved_before(data):
    optim = {"name": "adamw", "lr": 100, "weight_decay": 1}
    model = {"rnn": {"cell": "rnn", "hidden": 8}}
    config = tiny_config(data, optim=optim, model=model, train={"epochs": 50, "validate_every": 2, "log_every": 1})
    error = failure(GradientError, config, "not finite", "optim.lr")
    assert error.exit_code == 1
    # Which of the two it is hangs on the last bits: a step that cannot be made, of which the state before is saved, or
    # a validation after one that could, of which nothing need be fit to be saved.
    kind, step = re.search(r"\b(at|after) step (\d+)", str(error)).groups()
    loaded = load_trained(Path("runs/tiny/last.safetensors"))
    saved = loaded.progress["step"]
    assert saved == int(step) - 1 if kind == "at" else 0 < saved <= int(step)
    assert load_trained(Path("runs/tiny/best.safetensors")).progress["step"] <= saved
    assert jsonl(RunDir(Path("runs/tiny")).metrics)[-1]["step"] in (int(step) - 1, int(step))
    assert all(np.isfinite(array).all() for array in loaded.model.params.values())


def test_an_interruption_saves_the_model_as_it_is(data, monkeypatch):
    seen = []

    class Watcher(Silent):
        def step(self, event, tokens_per_second):
            assert tokens_per_second > 0
            seen.append(event.step)

        def finished(self):
            seen.append("finished")

    class Note:
        def __enter__(self):
            return lambda: signal.SIGINT if len(seen) == 7 else 0

        def __exit__(self, *_):
            return False

    monkeypatch.setattr(run, "note_interrupts", Note)
    config = tiny_config(data)
    with pytest.raises(
        run.Interrupted, match=r"^interrupted at step 7 of \d+\. .*rnncli train --resume runs/tiny$"
    ) as caught:
        train_run(config, RunDir(Path("runs/tiny")), Watcher())
    assert caught.value.exit_code == 130
    assert seen == [1, 2, 3, 4, 5, 6, 7, "finished"]
    trainer, _ = prepared(config)
    events = trainer.run()
    while trainer.step < 7:
        next(events)
    loaded = load_checkpoint(Path("runs/tiny/last.safetensors"))
    arrays = {**trainer.model.params, **trainer.optimizer.state}
    assert all(array.tobytes() == loaded.tensors[name].tobytes() for name, array in arrays.items())


def test_the_cache_is_beside_the_runs_and_spares_the_reading(data, monkeypatch):
    go(tiny_config(data), "runs/one")
    assert len(list(Path("runs/.cache").iterdir())) == 1
    monkeypatch.setattr("rnncli.data.dataset.read_parts", None)  # reading again would fail
    go(tiny_config(data), "runs/two")
