import json
from dataclasses import replace

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_runs import Silent, digest_of
from tiny_tasks import language_config, trainer_of, write_text

from rnncli.data.language.steps import make_steps
from rnncli.data.language.windows import lm_windows
from rnncli.errors import ConfigError, GradientError
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.team import Member
from rnncli.trained import load_trained
from rnncli.training import StepDone, Validated

RICH = {
    "embedding": {"dim": 5, "dropout": 0.2},
    "rnn": {"cell": "lstm", "hidden": [6, 5], "dropout": 0.2, "state_dropout": 0.2, "recurrent_dropout": 0.2},
    "dropout": 0.2,
    "variational": True,
    "activation_penalty": 1.0,
    "slowness_penalty": 2.0,
    "tied": True,
}
DOCUMENTS = {"document_boundary": "blank_line"}


@pytest.fixture
def text(workdir):
    return write_text(workdir / "a.txt")


def numbers(trainer):
    return {name: array.copy() for name, array in {**trainer.model.params, **trainer.arrays()}.items()}


def same(one, other):
    return one.keys() == other.keys() and all((array == other[name]).all() for name, array in one.items())


def test_it_learns(text):
    config = language_config(text, train={"epochs": 12}, model={"rnn": {"cell": "lstm", "hidden": 24}})
    trainer, _ = trainer_of(config)
    events = [event for event in trainer.run() if isinstance(event, Validated)]
    assert events[0].figures["loss"] > 1.5 > 1.0 > events[-1].figures["loss"]
    figures = events[-1].figures
    assert figures["perplexity"] == pytest.approx(np.exp(figures["loss"]))
    assert figures["bits_per_character"] == pytest.approx(figures["loss"] / np.log(2), rel=1e-3)
    assert 0.6 < figures["accuracy"] < 1


SAMPLED = {"train": {"sampled_softmax": 5}}


@pytest.mark.parametrize(
    "changes",
    [{}, {"model": RICH, "data": DOCUMENTS}, SAMPLED, {"model": RICH, **SAMPLED}],
    ids=["plain", "rich", "sampled", "rich, sampled"],
)
def test_the_same_seed_gives_the_same_bits(text, changes):
    runs = [trainer_of(language_config(text, **changes))[0] for _ in range(2)]
    events = [list(trainer.run()) for trainer in runs]
    assert events[0] == events[1]
    assert same(*map(numbers, runs))


def test_the_state_is_carried_from_window_to_window_and_begins_anew_with_an_epoch(text):
    """With a learning rate of nothing, the windows are those of one long reading."""
    config = language_config(text, optim={"name": "sgd", "lr": 1e-30}, train={"batch_size": 3})
    trainer, data = trainer_of(config)
    steps = [event for event in trainer.run() if isinstance(event, StepDone)]
    length = (len(data.train) - 1) // 3
    assert steps[-1].tokens < steps[0].tokens == 48  # the last window is shorter
    rows = [np.asarray(data.train.tokens[n * length : (n + 1) * length + 1], np.int64) for n in range(3)]
    dense = np.stack(rows)
    whole = make_steps(dense[:, :-1], dense[:, 1:], np.zeros((3, length), bool))
    out, after, _ = trainer.model.forward(whole, trainer.model.fresh_state(3))
    nats, _ = trainer.model.nats(out, whole.y)
    for epoch in (1, 2):
        losses = [event.loss * event.counted for event in steps if event.epoch == epoch]
        assert sum(losses) == pytest.approx(nats.sum(dtype=np.float64), rel=1e-6)
    np.testing.assert_allclose(trainer.work.carried["h0"], after[0][0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trainer.work.carried["c0"], after[0][1], rtol=1e-4, atol=1e-6)


def test_a_fresh_start_is_one_for_some_streams_and_all_of_a_window(text):
    config = language_config(text, train={"forget": 1.0, "batch_size": 3}, optim={"name": "sgd", "lr": 1e-30})
    trainer, _ = trainer_of(config)
    *_, last = (event for event in trainer.run() if isinstance(event, StepDone))
    window = trainer.work._window(trainer.steps_per_epoch - 1)
    steps = make_steps(window.inputs, window.targets, np.zeros(window.inputs.shape, bool))
    out, _, _ = trainer.model.forward(steps, trainer.model.fresh_state(3))
    assert last.loss == pytest.approx(trainer.model.loss(out, steps.y).loss, rel=1e-6)


@pytest.mark.parametrize("shares_memory", [True, False])
@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize(
    "loss", [{"label_smoothing": 0.2}, {"sampled_softmax": 5}, {"sampled_softmax": 5, "tied": False}]
)
def test_steps_do_not_depend_on_how_many_share_them(text, size, shares_memory, loss):
    """Four streams: of six ranks two have none. Every kind of dropout, documents and fresh starts."""
    model = {**RICH, "tied": loss.get("tied", True)}
    loss = {key: value for key, value in loss.items() if key != "tied"}
    train = {"batch_size": 4, "forget": 0.2, "average": 0.9, **loss}
    config = language_config(text, model=model, data=DOCUMENTS, train=train)
    trainer, _ = trainer_of(config)
    params = {name: array.astype(np.float64) for name, array in trainer.model.params.items()}

    def run(size, shares_memory):
        def work(exchange):
            lead = exchange.rank == 0
            model = replace(
                trainer.model, params=exchange.place({k: v.copy() for k, v in params.items()} if lead else None)
            )
            own = replace(trainer.work, model=model, carried={}, _windows=None)
            carried = {k: v.astype(np.float64) for k, v in own.carried.items()}
            own.carried = exchange.place(carried if lead else None)
            optimizer = replace(trainer.optimizer, state={})
            optimizer.prepare(params)
            optimizer.state = exchange.place(optimizer.state if lead else None)
            averages = replace(trainer.averages, state={})
            averages.prepare(params)
            averages.state = exchange.place(averages.state if lead else None)
            member = Member(exchange, own, optimizer, 5, 0.5, averages)
            outcomes = [member._step(number, np.array([number]), 0.01, 0.7) for number in range(4)]
            member._collect()
            return outcomes, {**model.params, **optimizer.state, **averages.state, **own.carried}

        return on_every_rank(size, work, shares_memory=shares_memory)[0]

    alone, expected = run(1, True)
    outcomes, found = run(size, shares_memory)
    for ours, theirs in zip(outcomes, alone, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
        assert ours.norm == pytest.approx(theirs.norm, rel=1e-9)
        assert ours.hits == theirs.hits
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-7, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("stop", "sampled"), [(1, None), (7, None), (12, None), (7, 5)])
def test_a_resumed_run_ends_in_the_same_bits(text, stop, sampled):
    """Also from the middle of an epoch, with a state carried and mean weights."""
    train = {"average": 0.95, "forget": 0.1, "checkpoint_every_steps": 1, "sampled_softmax": sampled}
    changes = {"model": RICH, "data": DOCUMENTS, "train": train}
    config = language_config(text, **changes)
    straight = RunDir(text.parent / "straight")
    train_run(config, straight, Silent())

    class Stop(Exception):
        pass

    class Watcher(Silent):
        def step(self, event, speed):
            if event.step == stop + 1:
                raise Stop

    broken = RunDir(text.parent / "broken")
    with pytest.raises(Stop):
        train_run(config, broken, Watcher())
    assert load_trained(broken.last).progress["step"] == stop
    train_run(config, broken, Silent(), resume=True)
    for name in ("last", "best"):
        one, other = (load_trained(getattr(run, name)) for run in (straight, broken))
        assert same(one.model.params, other.model.params)
        assert same(one.arrays, other.arrays)
        assert one.progress["step"] == other.progress["step"]
    assert {name for name in one.arrays if name.startswith("carried/")} == {
        f"carried/{s}{i}" for s in "hc" for i in (0, 1)
    }


@pytest.mark.parametrize("tied", [True, False])
def test_it_learns_from_some_of_the_tokens_what_it_would_from_all(text, tied):
    model = {"embedding": {"dim": 24}, "rnn": {"cell": "lstm", "hidden": 24}, "tied": tied}
    losses = []
    for sampled in (None, 6):
        config = language_config(text, train={"epochs": 12, "sampled_softmax": sampled, "window": 4}, model=model)
        *_, last = (event for event in trainer_of(config)[0].run() if isinstance(event, Validated))
        losses.append(last.figures["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], abs=0.1)


def test_the_rows_of_tokens_that_are_neither_read_nor_scored_stay(text):
    data = {"tokenizer": {"kind": "whitespace", "min_count": 1}}
    train = {"batch_size": 1, "window": 3, "sampled_softmax": 2}
    for tied in (True, False):
        config = language_config(text, data=data, train=train, model={"embedding": {"dim": 8}, "tied": tied})
        trainer, _ = trainer_of(config)
        part = trainer.work.compute(np.array([0]), np.random.default_rng(1), 0, 1)
        window = next(lm_windows(trainer.work.train.tokens, 1, 3))
        scored = trainer.work.draw(window.targets, np.random.default_rng(1)).classes
        assert len(scored) == len(np.unique(window.targets)) + 2 < len(trainer.model.params["output.b"])
        assert np.flatnonzero(part.grads["output.b"]).tolist() == scored.tolist()
        if tied:
            assert part.grads["embedding.W"].rows.tolist() == np.union1d(scored, window.inputs).tolist()
        else:
            assert np.flatnonzero(part.grads["output.w"].any(axis=0)).tolist() == scored.tolist()


def test_more_tokens_than_there_are_cannot_be_drawn(text):
    with pytest.raises(ConfigError, match=r"train\.sampled_softmax: 5,000 tokens cannot be drawn of \d+\. Lower it"):
        trainer_of(language_config(text, train={"sampled_softmax": 5000}))


def test_two_processes_train_and_are_resumed(text):
    config = language_config(text, model=RICH, train={"workers": 2, "max_steps": 6})
    run_dir = RunDir(text.parent / "two")
    summary = train_run(config, run_dir, Silent())
    assert summary.processes == 2
    alone = RunDir(text.parent / "one")
    train_run(language_config(text, model=RICH, train={"max_steps": 6}), alone, Silent())
    one, two = (load_trained(run.last) for run in (alone, run_dir))
    for name, array in one.model.params.items():
        np.testing.assert_allclose(two.model.params[name], array, rtol=2e-3, atol=2e-4, err_msg=name)
    for name in one.arrays:
        if name.startswith("carried/"):
            np.testing.assert_allclose(two.arrays[name], one.arrays[name], rtol=1e-2, atol=1e-3, err_msg=name)


def test_validations_are_of_the_mean_weights_which_a_checkpoint_has_too(text):
    config = language_config(text, train={"average": 0.9, "epochs": 2})
    run_dir = RunDir(text.parent / "x")
    summary = train_run(config, run_dir, Silent())
    saved = load_trained(run_dir.last)
    work = trainer_of(config)[0].work
    from rnncli.workers.exchange import ALONE

    losses = [replace(work, model=model).evaluate(ALONE)["loss"] for model in (saved.model, saved.use_average().model)]
    assert losses[1] == pytest.approx(summary.validations[-1]["loss"], rel=1e-6)
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_a_batch_that_is_not_finite_leaves_the_state_as_it_was(text):
    config = language_config(text, train={"on_nonfinite": "skip"})
    trainer, _ = trainer_of(config)
    run = trainer.run()
    next(run)
    before = {name: array.copy() for name, array in trainer.work.carried.items()}
    trainer.model.params["output.b"][0] = np.nan
    event = next(run)
    assert event.skipped
    assert same(before, trainer.work.carried)
    trainer.settings = replace(trainer.settings, on_nonfinite="stop")
    with pytest.raises(GradientError, match=r"the weights output\.b were not finite before it"):
        next(run)
    assert same(before, trainer.work.carried)


def test_samples_go_to_the_log_at_each_validation(text):
    config = language_config(text, train={"samples": 2, "sample_length": 12, "average": 0.9})
    run_dir = RunDir(text.parent / "x")
    seen = []

    class Watcher(Silent):
        def sampled(self, texts):
            seen.append(texts)

    train_run(config, run_dir, Watcher())
    rows = [json.loads(line) for line in run_dir.metrics.read_text().splitlines()]
    logged = [row for row in rows if row["kind"] == "sample"]
    assert [row["text"] for row in logged] == [text for texts in seen for text in texts]
    assert len(logged) == 4
    assert all(len(row["text"]) == 12 for row in logged)
    assert len({row["text"] for row in logged}) > 1


def test_a_text_too_short_for_its_streams_is_refused(workdir):
    path = workdir / "a.txt"
    path.write_text("abcdefghij")
    with pytest.raises(ConfigError, match=r"train\.batch_size"):
        trainer_of(language_config(path, train={"batch_size": 64}))


def test_weights_are_taken_by_character(workdir):
    one, two = workdir / "a.txt", workdir / "b.txt"
    one.write_text("the cat sat on the mat\n" * 20)
    two.write_text("a black dog sat on a hill\n" * 20)
    first, second = language_config(one, seed=1), language_config(two, seed=2)
    train_run(first, RunDir(workdir / "runs/first"), Silent())
    source = load_trained(workdir / "runs/first/last.safetensors")
    trainer, data = trainer_of(second)
    before = {name: array.copy() for name, array in trainer.model.params.items()}
    from rnncli.tasks import task_of

    task_of(second).take_weights(second, trainer.model, data, source, "first")
    ours, theirs = data.codec.vocabulary, source.learned.vocabulary
    for name, axis in (("embedding.W", 0), ("output.w", 1), ("output.b", 0)):
        for token in ours.tokens:
            row = np.take(trainer.model.params[name], ours.encode([token])[0], axis)
            known = token in theirs
            array, vocabulary = (source.model.params[name], theirs) if known else (before[name], ours)
            expected = np.take(array, vocabulary.encode([token])[0], axis)
            assert (row == expected).all(), (name, token)
    assert (trainer.model.params["rnn0.fwd.Wh"] == source.model.params["rnn0.fwd.Wh"]).all()
    assert digest_of(trainer)
