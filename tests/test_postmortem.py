"""What is said of a batch that went bad: planted in the weights, found by name, step and text."""

import re
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import digest_of, prepared, tiny_config, write_csv

from rnncli.checkpoint import load_checkpoint
from rnncli.data.batches import make_batch
from rnncli.errors import GradientError
from rnncli.optim import SparseRows
from rnncli.postmortem import explain, not_finite
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.trained import load_trained
from rnncli.training import MOST_SKIPPED, StepDone


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv", repeats=2)


def explained(trainer, rows, change=None):
    """Return what is said of one batch; ``change`` may spoil its logits and gradients."""
    batch = make_batch(trainer.work.train, rows)
    with np.errstate(all="ignore"):
        logits, cache = trainer.model.forward(batch, np.random.default_rng(1))
        _, dlogits = trainer.model.loss(logits, batch.y)
        grads = trainer.model.backward(dlogits, cache)
        if change:
            change(logits, grads)
        return explain(trainer.model, batch, rows, cache, logits, grads)


def tokens(trainer, row):
    return trainer.work.train.ids[trainer.work.train.offsets[row] : trainer.work.train.offsets[row + 1]]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_embedding_that_is_not_finite_is_named_with_its_token_step_and_text(data, cell, bad):
    trainer, _ = prepared(tiny_config(data, model={"rnn": {"cell": cell, "hidden": 4}}))
    rows = np.array([9, 3, 5, 7])
    counts = np.bincount(np.concatenate([tokens(trainer, row) for row in rows]))
    longest = max(rows, key=lambda row: len(tokens(trainer, row)))
    token = next(token for token in tokens(trainer, longest)[1:] if counts[token] == 1)
    time = list(tokens(trainer, longest)).index(token)
    trainer.model.params["embedding.W"][token, 1] = bad
    text = f"the weights embedding.W of token {token} were not finite before it, first read at step {time} of training"
    assert explained(trainer, rows) == f"{text} text {longest}"


def test_an_embedding_that_the_batch_does_not_read_is_not_blamed(data):
    trainer, _ = prepared(tiny_config(data))
    rows = np.array([2, 4])
    unread = np.setdiff1d(np.arange(len(trainer.model.params["embedding.W"])), np.concatenate([tokens(trainer, 2)]))
    unread = np.setdiff1d(unread, tokens(trainer, 4))
    trainer.model.params["embedding.W"][unread] = np.nan
    assert explained(trainer, rows) == "every tensor is finite, their sum is not"
    trainer.model.params["output.b"][0] = np.nan
    assert explained(trainer, rows) == "the weights output.b were not finite before it"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_other_weights_are_named(data, bad):
    rnn = {"cell": "gru", "hidden": 4, "layers": 2, "bidirectional": True, "reset": "after"}
    names = list(prepared(tiny_config(data, model={"rnn": rnn}))[0].model.params)
    assert len(names) == 19
    for name in names[1:]:
        trainer, _ = prepared(tiny_config(data, model={"rnn": rnn}))
        trainer.model.params[name].flat[-1] = bad
        assert explained(trainer, np.arange(4)) == f"the weights {name} were not finite before it"


def overflowing(params, cell, layer, direction):
    """Make the gates infinite by what comes in, and minus infinite by the state: together they are not a number.

    All weights are finite. The first step has no state yet, so that the second is the first that goes wrong.
    """
    if layer:
        for below in ("fwd", "bwd"):  # states well above zero
            params[f"rnn0.{below}.b"][-16:] = 9
    else:
        params["embedding.W"][...] = 1e30
    for kind, value in (("Wx", 3e38), ("Wh", -3e38)):
        array = params[f"rnn{layer}.{direction}.{kind}"]
        array[...] = value
        if cell == "gru":  # both of its gates half open
            array[:, :-16] = 0


@pytest.mark.parametrize("direction", ["fwd", "bwd"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_first_gates_that_go_wrong_are_named_with_step_and_text(data, cell, layer, direction):
    rnn = {"cell": cell, "hidden": 16, "layers": 2, "bidirectional": True}
    trainer, _ = prepared(tiny_config(data, model={"rnn": rnn}))
    lengths = trainer.work.train.lengths
    longest = int(lengths.argmax())
    rows = np.array([*np.flatnonzero(lengths < lengths[longest])[:3], longest])
    overflowing(trainer.model.params, cell, layer, direction)
    step = 1 if direction == "fwd" else lengths[longest] - 2  # the second, going backward
    place = f"first at step {step} of training text {longest}, in 4 of the batch's 4 texts"
    assert explained(trainer, rows) == f"the states of rnn{layer}.{direction} are not finite, {place}"


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_one_text_that_goes_wrong_is_named(data, cell):
    trainer, _ = prepared(tiny_config(data, model={"rnn": {"cell": cell, "hidden": 16}}))
    token = tokens(trainer, 9)[1]
    rows = np.array([9, *(row for row in range(len(trainer.work.train)) if token not in tokens(trainer, row))][:4])
    params = trainer.model.params
    overflowing(params, cell, 0, "fwd")
    params["embedding.W"][...] = 0
    params["rnn0.fwd.b"][-16:] = 9
    if cell == "lstm":
        params["rnn0.fwd.b"][...] = 9
    assert explained(trainer, rows) == "every tensor is finite, their sum is not"
    params["embedding.W"][token] = 1e30
    place = "first at step 1 of training text 9, in 1 of the batch's 4 texts"
    assert explained(trainer, rows) == f"the states of rnn0.fwd are not finite, {place}"


def test_logits_and_gradients_are_named(data):
    trainer, _ = prepared(tiny_config(data))
    rows = np.array([9, 3, 5, 7])
    order = make_batch(trainer.work.train, rows).packing.order

    def logits(logits, grads):
        logits[1:3, 0] = np.inf

    text = f"the logits are not finite, first of training text {rows[order[1]]}, in 2 of 4 texts"
    assert explained(trainer, rows, logits) == text

    def grad(logits, grads):
        grads["rnn0.fwd.Wh"][0, 0] = np.nan
        grads["embedding.W"].values[0, 0] = np.inf  # comes after it in the backward pass

    assert explained(trainer, rows, grad) == "the gradient of rnn0.fwd.Wh is the first that is not finite"

    def sparse(logits, grads):
        assert isinstance(grads["embedding.W"], SparseRows)
        grads["embedding.W"].values[0, 0] = np.nan

    assert explained(trainer, rows, sparse) == "the gradient of embedding.W is the first that is not finite"
    assert explained(trainer, rows) == "every tensor is finite, their sum is not"


def test_not_finite_names_the_first():
    arrays = {"a": np.zeros(2), "b": np.array([0, np.inf]), "c": np.array([np.nan])}
    assert not_finite(arrays) == "b"
    assert not_finite({"a": np.zeros(2), "n": np.arange(3)}) is None


# ---- in a run -------------------------------------------------------------------------------------------------------


class Spoil:
    """A watcher of runs that spoils the trainer's weights after a step."""

    def __init__(self, at, spoil):
        self.at, self.spoil = at, spoil

    def __getattr__(self, name):
        return lambda *_: None

    def started(self, trainer):
        self.trainer = trainer

    def step(self, event, tokens_per_second):
        if event.step == self.at:
            self.digest = digest_of(self.trainer)
            self.spoil(self.trainer)


def failed(config, watcher):
    run_dir = RunDir(Path("runs/x"))
    with pytest.raises(GradientError) as caught:
        train_run(config, run_dir, watcher)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1
    return run_dir, str(caught.value)


def test_a_run_that_stops_says_where_and_saves_the_state_before(data):
    """The loss overflows although every weight is finite, as after one step of a rate far too high."""

    def spoil(trainer):
        trainer.model.params["rnn0.fwd.b"][-8:] = 9
        trainer.model.params["output.w"][...] = [3e38, -3e38]

    watcher = Spoil(7, spoil)
    run_dir, text = failed(tiny_config(data, train={"checkpoint_every_steps": 3}), watcher)
    assert text.startswith("at step 8 the loss is ")
    assert re.search(r": the logits are not finite, first of training text \d+, in \d of \d texts; ", text)
    norms = re.search(r"the gradient norms before were (.*?)\. Lower optim\.lr, or set train\.on_nonfinite", text)[1]
    assert [float(norm) for norm in norms.split(", ")] == pytest.approx(watcher.trainer.norms, rel=1e-2)
    assert len(norms.split(", ")) == 5
    saved = load_trained(run_dir.last)
    assert saved.progress["step"] == watcher.trainer.step == 7
    tensors = load_checkpoint(run_dir.last).tensors
    arrays = {**watcher.trainer.model.params, **watcher.trainer.optimizer.state}
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in tensors.items()
    }


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_broken_do_not_replace_a_good_checkpoint(data, bad):
    def spoil(trainer):
        trainer.model.params["rnn0.fwd.Wh"][0, 0] = bad

    run_dir, text = failed(tiny_config(data, train={"checkpoint_every_steps": 3}), Spoil(7, spoil))
    assert "the weights rnn0.fwd.Wh were not finite before it" in text
    saved = load_trained(run_dir.last)
    assert saved.progress["step"] == 6
    assert not_finite(saved.model.params) is None


def test_a_periodic_save_of_broken_weights_stops_instead(data):
    def spoil(trainer):
        trainer.model.params["output.b"][0] = np.inf

    config = tiny_config(data, train={"checkpoint_every_steps": 1})
    run_dir, text = failed(config, Spoil(5, spoil))
    assert text.startswith("the weights output.b are not finite after step 5")
    assert "optim.lr" in text
    assert load_trained(run_dir.last).progress["step"] == 4


@pytest.mark.parametrize("metric", ["accuracy", "loss"])
def test_a_validation_that_is_not_finite_stops_too(data, metric):
    """The last step broke the weights, and no further step would notice."""
    config = tiny_config(data, train={"epochs": 1, "best_metric": metric})
    trainer, _ = prepared(config)

    def spoil(trainer):
        trainer.model.params["output.b"][0] = np.nan

    run_dir, text = failed(config, Spoil(trainer.total_steps, spoil))
    start = f"after step {trainer.total_steps} the outputs on the validation part are not finite: the weights output.b"
    assert text.startswith(start)
    assert "optim.lr" in text
    assert not run_dir.last.exists()
    assert not run_dir.best.exists()


DIVERGING = {"optim": {"name": "adamw", "lr": 100, "weight_decay": 1}, "model": {"rnn": {"cell": "rnn", "hidden": 8}}}


@pytest.mark.parametrize(
    ("clip_norm", "on_nonfinite", "remedy"),
    [
        (1.0, "stop", "Lower optim.lr, or set train.on_nonfinite to skip if it is one bad batch"),
        (1.0, "skip", "10 batches in a row were skipped; lower optim.lr"),
        (None, "stop", "Lower optim.lr, or set optim.clip_norm to 1.0"),
    ],
)
def test_a_huge_rate_is_told_which_setting_to_change(data, clip_norm, on_nonfinite, remedy):
    changes = {**DIVERGING, "optim": {**DIVERGING["optim"], "clip_norm": clip_norm}}
    train = {"epochs": 50, "validate_every": 10**6, "on_nonfinite": on_nonfinite}
    trainer, _ = prepared(tiny_config(data, train=train, **changes))
    with pytest.raises(GradientError) as caught:
        list(trainer.run())
    assert str(caught.value).startswith("at step ")
    assert str(caught.value).endswith(f". {remedy}")


def test_a_bad_batch_can_be_skipped(workdir):
    config = tiny_config(write_csv(workdir / "few.csv"), train={"on_nonfinite": "skip"})
    trainer, _ = prepared(config)
    only = np.setdiff1d(trainer.work.train.ids, trainer.work.valid.ids)  # a token that the validation does not read
    trainer.model.params["embedding.W"][only[0]] = np.nan
    run, counted = trainer.run(), []
    while True:
        before, updates = digest_of(trainer), trainer.optimizer.step_count
        event = next(run, None)
        if event is None:
            break
        if isinstance(event, StepDone):
            counted.append(event.skipped)
            assert event.skipped == (not np.isfinite(event.loss))
            assert event.skipped == (digest_of(trainer) == before)
            assert trainer.optimizer.step_count == updates + (not event.skipped)
    assert 0 < sum(counted) < len(counted) == trainer.total_steps
    assert trainer.optimizer.step_count == len(counted) - sum(counted)


def test_too_many_bad_batches_in_a_row_stop(data):
    trainer, _ = prepared(tiny_config(data, train={"on_nonfinite": "skip", "epochs": 20, "validate_every": 1000}))
    run = trainer.run()
    next(run)
    trainer.model.params["rnn0.fwd.b"][0] = np.nan
    before = digest_of(trainer)
    with pytest.raises(
        GradientError, match=rf"{MOST_SKIPPED} batches in a row were skipped; lower optim\.lr"
    ) as caught:
        list(run)
    assert str(caught.value).startswith(f"at step {MOST_SKIPPED + 2} ")
    assert digest_of(trainer) == before
    assert (trainer.step, trainer.optimizer.step_count) == (MOST_SKIPPED + 1, 1)
    assert trainer.skipped == MOST_SKIPPED  # the one that was refused is not among them
    with pytest.raises(GradientError, match=f"at step {MOST_SKIPPED + 2} "):
        next(trainer.run())  # and again if it is tried again
