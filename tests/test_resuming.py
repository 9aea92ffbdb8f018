"""A run that is stopped anywhere and continued ends in the same bits as one that never was."""

import itertools
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import Silent, digest_of, jsonl, tiny_config, write_csv

from rnncli.assembly import build_trainer
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.config import load_config, parse_config
from rnncli.data.dataset import load_dataset
from rnncli.errors import CheckpointError, ConfigError, DataError, RnncliError
from rnncli.recording import Sums
from rnncli.resuming import SAFE, changed_keys, flattened, restore_trainer
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tasks import TASKS
from rnncli.trained import load_trained, save_trained
from rnncli.training import Validated
from rnncli.verifying import TIMINGS, digests_of


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv")


# ---- stopped after every single event -------------------------------------------------------------------------------

CELLS = [
    {"cell": "rnn", "hidden": 5},
    {"cell": "lstm", "hidden": 5},
    {"cell": "gru", "hidden": 5},
    {"cell": "gru", "hidden": 5, "reset": "after"},
]
DEEP = {"layers": 2, "bidirectional": True, "dropout": 0.2}
REGULARIZED = {
    "embedding": {"dim": 6, "dropout": 0.2, "word_dropout": 0.2},
    "rnn": {"cell": "lstm", "hidden": 5, **DEEP, "state_dropout": 0.2, "recurrent_dropout": 0.2},
    "pooling": ["max", "attention"],
    "variational": True,
    "activation_penalty": 0.5,
    "slowness_penalty": 2.0,
}
OPTIMIZERS = [{"name": "adam", "lr": 0.05}, {"name": "adamw", "lr": 0.05}, {"name": "sgd", "lr": 0.5}]
SCHEDULES = [
    {"name": "constant", "warmup_steps": 3},
    {"name": "linear", "warmup_steps": 3},
    {"name": "cosine"},
    {"name": "step", "every_epochs": 1},
    {"name": "plateau", "patience": 2, "warmup_steps": 2},
]


def variants():
    """Yield every cell bare, then all optimizers with all schedules on cells with dropout everywhere; then the rest."""
    for cell in CELLS:
        yield {"model": {"rnn": cell}}
    cells, every = itertools.cycle(CELLS), itertools.cycle([None, 3, 2, 4])
    for optimizer, schedule in itertools.product(OPTIMIZERS, SCHEDULES):
        rnn = {**next(cells), **DEEP}
        model = {"embedding": {"dim": 6, "dropout": 0.2}, "rnn": rnn, "dropout": 0.2}
        yield {"model": model, "optim": {**optimizer, "schedule": schedule}, "train": {"validate_every": next(every)}}
    slow = {"name": "adam", "lr": 1e-9}
    yield {"optim": slow, "train": {"epochs": 5, "patience": 2, "validate_every": 2, "best_metric": "loss"}}
    yield {"train": {"class_weights": "balanced", "max_steps": 7}, "model": {"pooling": "last"}}
    yield {"model": REGULARIZED}
    yield {"model": {"ngrams": {"dropout": 0.3}}, "train": {"average": 0.9}}
    yield {"model": {"ngrams": {"loss": "joint", "naive_bayes": "start"}, "loss": "binary"}}
    fed = {"embedding": {"dim": 6, "dropout": 0.2}, "ngrams": {"inputs": True, "share": 0.7}}
    yield {"model": fed, "train": {"batch_size": 5}}
    yield {"model": {"loss": "binary", "pooling": "max"}, "train": {"validate_every": 1, "batch_size": 5}}


def saved_after_every_event(config, folder):
    """Train, saving at the start and after everything that happens; return trainer, events, data and checkpoints."""
    data = load_dataset(config.data, config.seed, None)
    trainer = build_trainer(config, data)
    events, paths = [], []

    def save():
        paths.append(folder / f"{len(paths)}.safetensors")
        progress = {**trainer.counters(), "sums": asdict(Sums()), "data": TASKS["classification"].digest(data)}
        save_trained(paths[-1], trainer, config, data, progress)

    save()
    for event in trainer.run():
        events.append(event)
        save()
    return trainer, events, data, paths


@pytest.mark.parametrize("changes", list(variants()), ids=lambda changes: re.sub(r"[^\w.]+", "-", str(changes))[:100])
def test_going_on_from_any_event_is_going_on(changes, data, workdir):
    config = tiny_config(data, **changes)
    whole, events, texts, paths = saved_after_every_event(config, workdir)
    steps = {event.step for event in events if isinstance(event, Validated)}
    assert len(steps) > 1
    assert whole.step in steps  # the last step is validated, so that a stop falls before and after it
    for done, path in enumerate(paths):
        trainer = build_trainer(config, texts)
        restore_trainer(trainer, load_trained(path), texts, str(path))
        assert list(trainer.run()) == events[done:]
        assert digest_of(trainer) == digest_of(whole)
        assert trainer.counters() == whole.counters()


@pytest.mark.parametrize("lost", ["step", "updates", "best", "waited", "validated", "norms", "plateau", "moments"])
def test_whatever_is_not_restored_would_be_seen(lost, data, workdir):
    """The comparison above fails for each thing that a checkpoint must carry."""
    optim = {"name": "adam", "lr": 1.0, "schedule": {"name": "plateau", "patience": 1}}
    config = tiny_config(data, optim=optim, train={"validate_every": 2, "patience": 50, "epochs": 2})
    whole, events, texts, paths = saved_after_every_event(config, workdir)
    done = 9
    fresh, saved = build_trainer(config, texts), load_trained(paths[done])
    if lost == "moments":
        saved.arrays.clear()
    else:
        assert saved.progress[lost] != fresh.counters()[lost]
        saved.progress[lost] = fresh.counters()[lost]
    fresh.restore(saved.progress, saved.model.params, saved.arrays)
    went_on = list(fresh.run())
    assert (went_on, digest_of(fresh), fresh.counters()) != (events[done:], digest_of(whole), whole.counters())


def test_a_batch_that_was_skipped_stays_skipped(data, workdir):
    config = tiny_config(data, train={"on_nonfinite": "skip", "epochs": 3})
    texts = load_dataset(config.data, config.seed, None)
    bad = np.setdiff1d(texts.train.ids, texts.valid.ids)[0]

    def poisoned():
        trainer = build_trainer(config, texts)
        trainer.model.params["embedding.W"][bad] = np.nan
        return trainer

    whole = poisoned()
    kept = [event._replace(loss=0.0, grad_norm=0.0) for event in whole.run() if hasattr(event, "skipped")]
    assert 0 < sum(event.skipped for event in kept) < len(kept)
    assert whole.optimizer.step_count < whole.step
    for stop in range(1, len(kept)):
        one, other = poisoned(), build_trainer(config, texts)
        run = one.run()
        while one.step < stop:
            next(run)
        other.restore(one.counters(), one.model.params, one.optimizer.state)
        rest = [event._replace(loss=0.0, grad_norm=0.0) for event in other.run() if hasattr(event, "skipped")]
        assert rest == kept[stop:]
        assert digest_of(other) == digest_of(whole)


# ---- whole runs -----------------------------------------------------------------------------------------------------

RICH = {
    "model": {"embedding": {"dim": 6, "dropout": 0.2}, "rnn": {"cell": "lstm", "hidden": 5, **DEEP}, "dropout": 0.2},
    "optim": {"name": "adam", "lr": 0.05, "schedule": {"name": "plateau", "patience": 1}},
    "train": {"epochs": 2, "validate_every": 3, "checkpoint_every_steps": 1, "log_every": 2},
}


def go(config, folder="runs/tiny", **options):
    run_dir = RunDir(Path(folder))
    return run_dir, train_run(config, run_dir, Silent(), **options)


def stopped_at_every_save(config, monkeypatch):
    """Train, keeping a copy of the folder as it is after each save of ``last``; return the run and the copies."""
    copies = []

    def save(path, *arguments):
        save_trained(path, *arguments)
        if path.name == "last.safetensors":
            copies.append(RunDir(Path(f"copies/{len(copies)}")))
            shutil.copytree(path.parent, copies[-1].root)

    with monkeypatch.context() as patch:
        patch.setattr("rnncli.run.save_trained", save)
        run_dir, summary = go(config, "runs/straight")
    return run_dir, summary, copies


def rows_without_times(run_dir):
    """Return the rows of metrics.jsonl, but those that say that the run was resumed."""
    rows = [row for row in jsonl(run_dir.metrics) if row["kind"] != "resumed"]
    return [{key: value for key, value in row.items() if key not in TIMINGS} for row in rows]


def test_a_run_resumed_from_any_save_is_the_same_run(data, monkeypatch):
    config = tiny_config(data, **RICH)
    straight, summary, copies = stopped_at_every_save(config, monkeypatch)
    total = summary.validations[-1]["step"]
    assert len(copies) == total + len(summary.validations)
    digests, rows = digests_of(straight), rows_without_times(straight)
    assert len({row["step"] for row in rows if row["kind"] == "step"}) == total // 2
    for copy in copies:
        done = load_trained(copy.last).progress["step"]
        known = len(copy.metrics.read_bytes())
        # What came after the checkpoint will come again; the last row was cut by the crash.
        copy.metrics.write_bytes(copy.metrics.read_bytes() + b'{"kind": "step", "step": 99}\n{"kind": "valid')
        _, resumed = go(config, copy.root, resume=True)
        assert rows_without_times(copy) == rows
        assert digests_of(copy) == digests
        history = [row for row in jsonl(copy.metrics) if row["kind"] == "resumed"]
        assert [(row["step"], row["changed"]) for row in history] == [(done, {})]
        assert copy.metrics.read_bytes()[known:].startswith(b'{"kind": "resumed"')
        for key in ("step", "loss", "accuracy", "train_loss", "improved"):
            assert [row[key] for row in resumed.validations] == [row[key] for row in summary.validations]
        assert resumed.best["step"] == summary.best["step"]
        assert resumed.parameters == summary.parameters
        seconds = [row["seconds"] for row in jsonl(copy.metrics)]
        assert seconds == sorted(seconds)
        assert resumed.seconds > resumed.train_seconds > 0


def test_a_run_may_be_resumed_many_times(data, monkeypatch):
    config = tiny_config(data, **RICH)
    straight, summary, _ = stopped_at_every_save(config, monkeypatch)
    run_dir = RunDir(Path("runs/again"))

    class OneStep(Silent):
        def step(self, event, tokens_per_second):
            if event.step == self.until:
                raise KeyboardInterrupt

    for until in range(2, summary.validations[-1]["step"] + 1):
        watcher = OneStep()
        watcher.until = until
        with pytest.raises(KeyboardInterrupt):
            train_run(config, run_dir, watcher, resume=until > 2)
    train_run(config, run_dir, Silent(), resume=True)
    assert rows_without_times(run_dir) == rows_without_times(straight)
    assert digests_of(run_dir) == digests_of(straight)
    assert len([row for row in jsonl(run_dir.metrics) if row["kind"] == "resumed"]) == until - 1


def test_a_finished_run_stays_as_it_is(data):
    config = tiny_config(data)
    run_dir, summary = go(config)
    before = {path: path.read_bytes() for path in (run_dir.last, run_dir.best, run_dir.config)}
    rows = jsonl(run_dir.metrics)
    for _ in range(3):
        _, again = go(config, resume=True)
        assert again.validations == summary.validations
        assert again.best == summary.best
        assert again.tokens_per_second == pytest.approx(summary.tokens_per_second)
        assert {path: path.read_bytes() for path in before} == before
        assert jsonl(run_dir.metrics)[:-1] == rows  # each time, the row that says so replaces the last one


def test_the_metrics_may_be_gone(data, monkeypatch):
    config = tiny_config(data, **RICH)
    straight, _, copies = stopped_at_every_save(config, monkeypatch)
    copies[5].metrics.unlink()
    go(config, copies[5].root, resume=True)
    rows = rows_without_times(copies[5])
    assert rows == rows_without_times(straight)[-len(rows) :]
    weights = {name: digest for name, digest in digests_of(straight).items() if "metrics" not in name}
    assert weights.items() <= digests_of(copies[5]).items()


def test_a_resume_needs_a_checkpoint(data):
    config = tiny_config(data)
    for prepare in (lambda: None, lambda: Path("runs/tiny").mkdir(parents=True)):
        prepare()
        with pytest.raises(RnncliError, match=r"^runs/tiny: holds no checkpoint to go on from\. .*--resume"):
            go(config, resume=True)
    assert list(Path("runs/tiny").iterdir()) == []


# ---- a config that has changed --------------------------------------------------------------------------------------


def with_key(config, key, value):
    values = config.model_dump(mode="json")
    section = values
    *path, name = key.split(".")
    for part in path:
        section = section[part]
    section[name] = value
    return parse_config(values, "changed")


REFUSED = [
    ("name", "other"),
    ("seed", 2),
    ("init_from", "a.safetensors"),
    ("data.train.path", "other.csv"),
    ("data.train.skip_labels", ["x"]),
    ("data.valid_fraction", 0.5),
    ("data.tokenizer.min_count", 2),
    ("data.max_length", 5),
    ("model.embedding.dropout", 0.5),
    ("model.rnn.hidden", 9),
    ("model.rnn.state_dropout", 0.5),
    ("model.rnn.recurrent_dropout", 0.5),
    ("model.embedding.word_dropout", 0.5),
    ("model.pooling", "max"),
    ("optim.beta1", 0.5),
    ("train.batch_size", 5),
    ("train.class_weights", "balanced"),
    ("train.label_smoothing", 0.1),
    ("train.average", 0.9),
    ("train.average_last", 1),
    ("model.embedding.vectors", "v.txt"),
    ("train.best_metric", "loss"),
]
CHANGED = [
    ("train.epochs", 5),
    ("train.max_steps", 7),
    ("train.patience", 3),
    ("train.log_every", 1),
    ("train.tensorboard", True),
    ("train.validate_every", 2),
    ("train.checkpoint_every_steps", 4),
    ("train.checkpoint_every_minutes", 0.5),
    ("train.on_nonfinite", "skip"),
    ("train.workers", 2),
    ("optim.lr", 0.002),
    ("optim.clip_norm", None),
    ("optim.schedule", {"name": "cosine", "warmup_steps": 0, "final": 0.1}),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_a_key_that_makes_another_run_is_refused_even_with_set(key, value):
    config = tiny_config("tiny.csv")
    for given in ((), (f"{key}={value}",)):
        with pytest.raises(ConfigError) as caught:
            changed_keys(config, with_key(config, key, value), given)
        text = str(caught.value)
        assert text.startswith(f"{key}: the run has ")
        assert "cannot change within a run" in text
        assert "init_from" in text
        assert "\n" not in text


def test_every_key_is_safe_or_refused():
    keys = {key for key, _ in REFUSED + CHANGED}
    assert {key for key, _ in CHANGED} == set(SAFE)
    assert keys <= {*flattened(tiny_config("tiny.csv")), "optim.schedule"}


@pytest.mark.parametrize(("key", "value"), CHANGED)
def test_a_safe_key_must_be_said_and_the_message_says_how(key, value):
    config = tiny_config("tiny.csv")
    new = with_key(config, key, value)
    with pytest.raises(ConfigError) as caught:
        changed_keys(config, new, ("seed=1", "train.epoch=3"))
    settings = []
    for line in str(caught.value).splitlines():
        name, setting = re.fullmatch(r"(\S+): the run has .+ say so: --set (\S+=.+)", line).groups()
        assert name == key or name.startswith(f"{key}.")
        settings.append(setting)
    changes = changed_keys(config, new, tuple(settings))
    assert changes == {
        name: [flattened(config).get(name), flattened(new).get(name)]
        for name in flattened(new)
        if flattened(config).get(name) != flattened(new).get(name)
    }
    assert changed_keys(config, new, (f"{key}=anything",)) == changes


def test_what_the_message_says_to_type_gives_the_config_that_was_meant(data):
    config = tiny_config(data)
    go(config)
    for key, value in CHANGED:
        new = with_key(config, key, value)
        with pytest.raises(ConfigError) as caught:
            changed_keys(config, new, ())
        settings = [line.partition("--set ")[2] for line in str(caught.value).splitlines()]
        assert load_config("runs/tiny/config.yaml", settings) == new


def test_all_that_differs_is_said_at_once(data):
    go(tiny_config(data))
    other = tiny_config(data, seed=3, model={"pooling": "max"}, train={"epochs": 7})
    before = {path.name: path.read_bytes() for path in Path("runs/tiny").iterdir()}
    with pytest.raises(ConfigError) as caught:
        go(other, resume=True)
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["model.pooling", "seed", "train.epochs"]
    assert lines[1].startswith("seed: the run has 1, the config now says 3. ")
    assert lines[2].endswith("--set train.epochs=7")
    assert {path.name: path.read_bytes() for path in Path("runs/tiny").iterdir()} == before


def test_more_epochs_are_the_run_of_more_epochs(data):
    more = tiny_config(data, train={"epochs": 4})
    straight, _ = go(more, "runs/straight")
    run_dir, _ = go(tiny_config(data))
    half = load_trained(run_dir.last).progress["step"]
    go(more, resume=True, given=("train.epochs=4",))
    assert rows_without_times(run_dir) == rows_without_times(straight)
    assert digests_of(run_dir) == digests_of(straight)
    (history,) = [row for row in jsonl(run_dir.metrics) if row["kind"] == "resumed"]
    assert (history["step"], history["changed"]) == (half, {"train.epochs": [2, 4]})
    assert load_config(run_dir.config) == more
    go(more, resume=True)  # it is the run's config from now on


def test_a_change_holds_even_if_the_run_is_killed_at_once(data):
    go(tiny_config(data))
    more = tiny_config(data, train={"epochs": 4})

    class Killed(Silent):
        def step(self, event, tokens_per_second):
            raise KeyboardInterrupt

    run_dir = RunDir(Path("runs/tiny"))
    with pytest.raises(KeyboardInterrupt):
        train_run(more, run_dir, Killed(), resume=True, given=("train.epochs=4",))
    go(load_config(run_dir.config), resume=True)
    assert [row["changed"] for row in jsonl(run_dir.metrics) if row["kind"] == "resumed"] == [
        {"train.epochs": [2, 4]},
        {},
    ]


def test_validating_more_often_from_here_on_changes_no_weight(data):
    config = tiny_config(data, **{**RICH, "optim": {"name": "adam", "lr": 0.01}})
    straight, _ = go(config, "runs/straight")
    run_dir, _ = go(with_key(config, "train.max_steps", 4))
    often = with_key(config, "train.validate_every", 1)
    _, summary = go(often, resume=True, given=("train.validate_every=1", "train.max_steps=null"))
    steps = [row["step"] for row in summary.validations]
    assert steps == [3, *range(4, steps[-1] + 1)]
    for kind in ("weights", "moments"):
        name = f"{kind} of last.safetensors"
        assert digests_of(run_dir)[name] == digests_of(straight)[name]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + "another good film,pos\n",
        lambda text: text.replace("film", "movie", 1),
        lambda text: text.replace("good", "fine", 1),
        lambda text: text.replace(",pos", ",neg", 1),
        lambda text: text.replace(",neg", ",bad"),
    ],
)
def test_other_data_is_refused(data, change):
    go(tiny_config(data))
    before = {path.name: path.read_bytes() for path in Path("runs/tiny").iterdir()}
    whole = data.read_text()
    data.write_text(change(whole))
    assert data.read_text() != whole
    with pytest.raises(DataError, match=r"^runs/tiny/last\.safetensors: the data has changed .*--set name=OTHER$"):
        go(tiny_config(data), resume=True)
    assert {path.name: path.read_bytes() for path in Path("runs/tiny").iterdir()} == before
    data.write_text(whole)
    go(tiny_config(data), resume=True)


# ---- checkpoints that lack something --------------------------------------------------------------------------------


def rewritten(path, change):
    """Change what a checkpoint holds and sign it again, as another version might have written it."""
    checkpoint = load_checkpoint(path)
    change(checkpoint.metadata["progress"], checkpoint.tensors)
    save_checkpoint(path, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)


KEYS = ["updates", "best", "waited", "validated", "skipped", "norms", "plateau", "sums", "data"]


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(lambda progress, _, key=key: progress.pop(key), id=f"without {key}") for key in KEYS),
        *(pytest.param(lambda progress, _, key=key: progress.update({key: "x"}), id=f"text {key}") for key in KEYS),
        pytest.param(lambda progress, _: progress["sums"].pop("metrics_bytes"), id="a sum missing"),
        pytest.param(lambda progress, _: progress["sums"].update(metrics_bytes=-1), id="a sum below zero"),
        pytest.param(lambda _, tensors: tensors.pop("m/output.b"), id="a moment missing"),
        pytest.param(lambda _, tensors: tensors.update({"m/output.x": np.zeros(2, np.float32)}), id="one too many"),
        pytest.param(lambda _, tensors: tensors.update({"x/output.b": np.zeros(2, np.float32)}), id="an unknown one"),
        pytest.param(lambda _, tensors: tensors.update({"m/output.b": np.zeros(3, np.float32)}), id="its shape"),
        pytest.param(lambda _, tensors: tensors.update({"m/output.b": np.zeros(2, np.float64)}), id="its type"),
    ],
)
def test_a_checkpoint_that_lacks_what_it_takes_is_one_line(data, change):
    run_dir, _ = go(tiny_config(data))
    rewritten(run_dir.last, change)
    with pytest.raises((CheckpointError, DataError)) as caught:
        go(tiny_config(data), resume=True)
    text = str(caught.value)
    assert text.startswith(str(run_dir.last))
    assert "\n" not in text
    load_trained(run_dir.last)  # good enough to evaluate


@pytest.mark.parametrize(("damaged", "good"), [("last", "best"), ("best", "last")])
def test_a_damaged_checkpoint_names_the_other(data, damaged, good):
    run_dir, _ = go(tiny_config(data))
    bad, other = getattr(run_dir, damaged), getattr(run_dir, good)
    for contents in (b"", bad.read_bytes()[:-1], bad.read_bytes().replace(b"output", b"uotput"), None):
        bad.unlink() if contents is None else bad.write_bytes(contents)
        with pytest.raises(CheckpointError, match=f"^{bad}: .* Use the one beside it: {other}$"):
            load_trained(bad)
    if damaged == "last":
        with pytest.raises(CheckpointError, match=str(other)):
            go(tiny_config(data), resume=True)
    other.write_bytes(b"neither")
    with pytest.raises(CheckpointError) as caught:
        load_trained(bad)
    assert "beside" not in str(caught.value)


def test_the_best_can_take_the_place_of_a_damaged_last(data):
    config = tiny_config(data, **RICH)
    straight, _ = go(config, "runs/straight")
    run_dir, _ = go(config)
    shutil.copy(run_dir.best, run_dir.last)
    assert load_trained(run_dir.last).progress["step"] < load_trained(straight.last).progress["step"]
    go(config, resume=True)
    assert digests_of(run_dir) == digests_of(straight)
