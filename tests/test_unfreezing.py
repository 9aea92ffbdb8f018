"""Layers that are trained one after the other, and each at its own rate, in whole runs of every task."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_runs import Silent, tiny_config, tiny_values, write_config, write_csv
from tiny_tasks import language_config, tagging_config, trainer_of, write_conllu, write_text

from rnncli import stacks
from rnncli.config import parse_config
from rnncli.errors import CheckpointError, ConfigError
from rnncli.layer_groups import layer_groups
from rnncli.optim import SparseRows, values_of
from rnncli.progress import ConsoleProgress
from rnncli.randomness import generator
from rnncli.resuming import restore_trainer
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.team import Member
from rnncli.trained import load_trained
from rnncli.training import StepDone
from rnncli.work import trained_weights

DEEP = {"cell": "lstm", "hidden": 5, "layers": 2, "state_dropout": 0.2, "dropout": 0.2}
REGULARIZED = {"pooling": ["max", "attention"], "activation_penalty": 0.5, "slowness_penalty": 2.0}


def classifier(folder, model=None, **sections):
    model = {"embedding": {"dim": 6}, "rnn": {**DEEP, "bidirectional": True}, **REGULARIZED, **(model or {})}
    return tiny_config(write_csv(folder / "a.csv"), model=model, **sections)


CONFIGS = {
    "classifier": classifier,
    "wide": lambda folder, **sections: classifier(folder, {"ngrams": {"orders": 2, "lr": 0.03}}, **sections),
    "tagger": lambda folder, **sections: tagging_config(
        write_conllu(folder / "a.conllu"), model={"rnn": {**DEEP, "bidirectional": True}}, **sections
    ),
    "language model": lambda folder, **sections: language_config(
        write_text(folder / "a.txt"), model={"rnn": DEEP, "activation_penalty": 0.5}, **sections
    ),
    "tied": lambda folder, **sections: language_config(
        write_text(folder / "a.txt"), model={"rnn": DEEP, "tied": True, "embedding": {"dim": 5}}, **sections
    ),
}
every_model = pytest.mark.parametrize("kind", CONFIGS)
FAST = {"optim": {"name": "adam", "lr": 0.05, "layer_decay": 0.5}}


def growing(kind, folder, epochs=0.5, **train):
    train = {"epochs": 3, "unfreeze_epochs": epochs, **train}
    return CONFIGS[kind](folder, train=train, **FAST)


def copied(arrays):
    return {name: array.copy() for name, array in arrays.items()}


@every_model
def test_a_gradient_without_some_weights_is_that_of_the_others_to_the_bit(kind, tmp_path):
    trainer, _ = trainer_of(CONFIGS[kind](tmp_path), tmp_path)
    work, items = trainer.work, trainer.work.order(0)[0]
    names = trained_weights(trainer.model)
    whole = work.compute(items, generator(1, "dropout", 0), 0, 1)
    assert whole.grads.keys() == names.keys()
    groups = layer_groups(names)
    choices = [{name for group in groups[depth:] for name in group.names} for depth in range(1, len(groups))]
    for resting in [*choices, set(groups[1].names), set(groups[-1].names) | {"output.b"}]:
        part = work.compute(items, generator(1, "dropout", 0), 0, 1, resting)
        assert (part.loss, part.hits) == (whole.loss, whole.hits)
        assert part.grads.keys() == names.keys() - resting
        for name, grad in part.grads.items():
            assert values_of(grad).tobytes() == values_of(whole.grads[name]).tobytes(), name
            if isinstance(grad, SparseRows):
                np.testing.assert_array_equal(grad.rows, whole.grads[name].rows)


@pytest.mark.parametrize(("kind", "steps"), [("classifier", [0, 2, 4, 4]), ("tied", [2, 2, 2, 2])])
def test_layers_are_not_gone_back_through_for_nothing(kind, steps, tmp_path, monkeypatch):
    """One layer's backward pass a direction; where the output has the embedding's weights, its gradient needs all."""
    calls = []
    backward = stacks.recurrent_backward
    monkeypatch.setattr(stacks, "recurrent_backward", lambda *a, **k: calls.append(1) or backward(*a, **k))
    trainer, _ = trainer_of(growing(kind, tmp_path, 0.001), tmp_path)
    seen = []
    for event in trainer.run():
        if isinstance(event, StepDone):
            seen.append(len(calls))
            calls.clear()
    assert seen[:4] == steps


@every_model
def test_a_layer_rests_until_its_turn_with_its_moments_and_its_mean(kind, tmp_path):
    trainer, _ = trainer_of(growing(kind, tmp_path, average=0.9), tmp_path)
    every = round(trainer.steps_per_epoch / 2)
    groups = layer_groups(trained_weights(trainer.model))
    assert len(groups) == (3 if kind == "tied" else 4)
    before = copied(trainer.model.params)
    for event in trainer.run():
        if not isinstance(event, StepDone):
            continue
        arrays = {**trainer.model.params, **trainer.arrays()}
        for depth, group in enumerate(groups):
            rests = event.step <= depth * every
            for name in group.names:
                moved = (arrays[name] != before[name]).any()
                assert moved or rests, (name, event.step)
                if rests:
                    assert arrays[name].tobytes() == before[name].tobytes()
                    assert arrays[f"average/{name}"].tobytes() == before[name].tobytes()
                    assert not any(arrays[f"{moment}/{name}"].any() for moment in "mv")
        if kind == "wide":
            assert (arrays["ngrams.W"] != before["ngrams.W"]).any()
    assert event.step > len(groups) * every


@every_model
def test_the_norm_that_is_clipped_is_of_the_weights_that_move(kind, tmp_path):
    trainer, _ = trainer_of(growing(kind, tmp_path), tmp_path)
    first = trainer.work.compute(trainer.work.order(0)[0], generator(1, "dropout", 0), 0, 1)
    rests = {name for group in layer_groups(first.grads)[1:] for name in group.names}
    norm = sum(float((values_of(g).astype(float) ** 2).sum()) for n, g in first.grads.items() if n not in rests) ** 0.5
    assert next(iter(trainer.run())).grad_norm == pytest.approx(norm, rel=1e-6)


@every_model
def test_the_first_step_of_a_layer_is_its_rate_long(kind, tmp_path):
    """As Adam's first step always is: its correction counts the updates of the layer, not those of the run."""
    trainer, _ = trainer_of(growing(kind, tmp_path, 0.001), tmp_path)
    groups, run = layer_groups(trained_weights(trainer.model)), trainer.run()
    for depth, group in enumerate(groups):
        before = copied(trainer.model.params)
        assert next(run).step == depth + 1
        longest = max(np.abs(trainer.model.params[name] - before[name]).max() for name in group.names)
        assert longest == pytest.approx(0.05 * 0.5**depth, rel=1e-3)


@every_model
def test_a_run_resumed_from_any_step_is_the_same_run(kind, tmp_path):
    config = growing(kind, tmp_path, average=0.9, checkpoint_every_steps=1)

    class Copies(Silent):
        saved = ()

        def step(self, event, speed):
            if last.exists():  # as the step before left it
                self.saved += (last.read_bytes(),)

    last, copies = RunDir(tmp_path / "straight").last, Copies()
    train_run(config, RunDir(tmp_path / "straight"), copies)
    end, copy, resting = load_trained(last), tmp_path / "copy.safetensors", set()
    for content in copies.saved[::2]:
        copy.write_bytes(content)
        trainer, data = trainer_of(config, tmp_path)
        restore_trainer(trainer, load_trained(copy), data, "it")
        resting.add(trainer.optimizer.resting)
        list(trainer.run())
        arrays = {**trainer.model.params, **trainer.arrays()}
        for name, array in {**end.model.params, **end.arrays}.items():
            assert arrays[name].tobytes() == array.tobytes(), (name, trainer.step)
    assert len(resting) == (3 if kind == "tied" else 4)  # before, between and after the layers' turns


def test_a_checkpoint_that_lacks_the_moments_of_a_layer_that_rests_is_refused(tmp_path):
    config = growing("classifier", tmp_path, 3, max_steps=2)
    run_dir = RunDir(tmp_path / "run")
    train_run(config, run_dir, Silent())
    trainer, data = trainer_of(config, tmp_path)
    saved = load_trained(run_dir.last)
    restore_trainer(trainer, saved, data, "it")
    assert trainer.optimizer.resting
    del saved.arrays["m/rnn0.fwd.Wh"]
    with pytest.raises(CheckpointError, match=r"'m/rnn0\.fwd\.Wh' is missing"):
        restore_trainer(trainer, saved, data, "it")


def test_a_batch_that_is_skipped_delays_the_layers(tmp_path):
    """Updates are counted, of which a skipped batch makes none; so the numbers of a layer's updates have no gap."""
    trainer, _ = trainer_of(growing("classifier", tmp_path, 0.5, on_nonfinite="skip"), tmp_path)
    every = round(trainer.steps_per_epoch / 2)
    bad = int(trainer.work.train.ids[0])
    trainer.model.params["embedding.W"][bad] = np.nan
    skipped = 0
    for event in trainer.run():
        if isinstance(event, StepDone):
            skipped += event.skipped
            assert trainer.optimizer.step_count == event.step - skipped
            assert ("rnn1.fwd.Wx" in trainer.optimizer.resting) is (event.step - skipped < every)
        if event.step == 2 * every:
            break
    assert 0 < skipped < every


@pytest.mark.parametrize("shares_memory", [True, False])
@pytest.mark.parametrize("size", [2, 3, 9])
@every_model
def test_a_team_of_any_size_does_what_one_does(kind, size, shares_memory, tmp_path):
    """9 ranks have batches of 4 or 8: some have nothing to compute, and some nothing to move at first."""
    trainer, _ = trainer_of(growing(kind, tmp_path, 0.001), tmp_path)
    trainer.model.params = {
        name: array if array.dtype.kind == "i" else array.astype(np.float64)
        for name, array in trainer.model.params.items()
    }
    carried = {name: array.astype(np.float64) for name, array in trainer.work.carried.items()}
    orders = trainer.work.order(0)[:6]

    def run(size, shares_memory):
        def work(exchange):
            model = replace(trainer.model, params=exchange.place(trainer.model.params if not exchange.rank else None))
            own = replace(trainer.work, model=model, carried=exchange.place(carried if not exchange.rank else None))
            optimizer = replace(trainer.optimizer, step_count=0, state={})
            optimizer.prepare(trained_weights(model))
            optimizer.state = exchange.place(optimizer.state if not exchange.rank else None)
            member = Member(exchange, own, optimizer, 5, 0.5)
            outcomes = [member._step(number, items, 0.01) for number, items in enumerate(orders)]
            member._collect()
            return outcomes, member.work.model.params, optimizer.state

        weights = copied(trainer.model.params)
        try:
            return on_every_rank(size, work, shares_memory=shares_memory)
        finally:
            trainer.model.params = weights

    ((alone, weights, moments),) = run(1, False)
    ranks = run(size, shares_memory)
    for outcomes, params, _ in ranks:
        for ours, theirs in zip(outcomes, alone, strict=True):
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-9)
            assert ours.norm == pytest.approx(theirs.norm, rel=1e-9)
        for name, array in weights.items():
            np.testing.assert_allclose(params[name], array, rtol=1e-6, atol=1e-9, err_msg=name)
    for name, array in moments.items():
        np.testing.assert_allclose(ranks[0][2][name], array, rtol=1e-6, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("kind", ["wide", "tagger", "language model"])
def test_two_processes_train_like_one(kind, tmp_path):
    found = {}
    for workers in (1, 2):
        config = CONFIGS[kind](
            tmp_path,
            optim={"name": "sgd", "lr": 0.05, "layer_decay": 0.5},
            train={"epochs": 2, "unfreeze_epochs": 0.5, "workers": workers},
        )
        run_dir = RunDir(tmp_path / str(workers))
        assert train_run(config, run_dir, Silent()).processes == workers
        found[workers] = load_trained(run_dir.last)
    for name, array in found[1].model.params.items():
        np.testing.assert_allclose(found[2].model.params[name], array, rtol=1e-4, atol=1e-5, err_msg=name)


def test_all_at_once_at_one_rate_is_the_default(tmp_path):
    trainer, _ = trainer_of(CONFIGS["classifier"](tmp_path), tmp_path)
    assert trainer.optimizer.resting == frozenset()
    assert set(trainer.optimizer.factors.values()) == {1.0}
    assert trainer.layers == []


def test_n_grams_keep_their_rate_and_are_trained_from_the_start(tmp_path):
    trainer, _ = trainer_of(growing("wide", tmp_path), tmp_path)
    optimizer = trainer.optimizer
    assert {optimizer.factors[name] for name in ("ngrams.W", "ngrams.b")} == {0.03 / 0.05}
    assert optimizer.resting == {name for name in trained_weights(trainer.model) if name.startswith(("emb", "rnn"))}


@pytest.mark.parametrize(
    ("train", "every"),
    [
        ({"unfreeze_epochs": 1}, 5),
        ({"unfreeze_epochs": 0.3, "epochs": 1}, 2),
        ({"unfreeze_epochs": 1e-9}, 1),  # at least one update of the output alone: no value is without effect
    ],
)
def test_fractions_of_an_epoch_are_whole_updates(train, every, tmp_path):
    trainer, _ = trainer_of(CONFIGS["classifier"](tmp_path, train=train), tmp_path)
    assert trainer.steps_per_epoch == 5
    assert [trainer.optimizer.delays[name] for name in ("rnn1.fwd.b", "rnn0.bwd.b", "embedding.W")] == [
        every,
        2 * every,
        3 * every,
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"train": {"unfreeze_epochs": 0}}, "0 is not allowed .a number, above 0,"),
        ({"train": {"unfreeze_epochs": 2.5, "epochs": 2}}, "2.5 is more than train.epochs, 2"),
        ({"optim": {"name": "adam", "layer_decay": 0}}, "0 is not allowed .a number, above 0, at most 1."),
        ({"optim": {"name": "sgd", "layer_decay": 1.1}}, "1.1 is not allowed .a number, above 0, at most 1."),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        parse_config(tiny_values("a.csv", **changes), "row")


def test_neither_changes_within_a_run(tmp_path):
    config, run_dir = growing("classifier", tmp_path), RunDir(tmp_path / "run")
    train_run(config, run_dir, Silent())
    for section, key in (("train", "unfreeze_epochs"), ("optim", "layer_decay")):
        other = parse_config(
            config.model_dump() | {section: {**getattr(config, section).model_dump(), key: 0.9}}, "other"
        )
        with pytest.raises(ConfigError, match=f"{section}.{key}: the run has 0.5"):
            train_run(other, run_dir, Silent(), resume=True, given=(f"{section}.{key}=0.9",))


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({}, None),
        (FAST, "learning rates: output 0.05, rnn1 0.025, rnn0 0.0125, embedding 0.00625"),
        (
            {"train": {"unfreeze_epochs": 1}},
            "learning rates: output 0.01, rnn1 0.01 from step 6, rnn0 never, embedding never",
        ),
    ],
    ids=["plain", "decay", "unfreezing"],
)
def test_it_is_said_when_and_how_fast_each_layer_is_trained(sections, line, tmp_path):
    trainer, _ = trainer_of(CONFIGS["classifier"](tmp_path, **sections), tmp_path)
    stream = io.StringIO()
    ConsoleProgress(1, stream).started(trainer)
    assert stream.getvalue().splitlines()[1:] == ([] if line is None else [line])


def test_the_json_of_a_run_has_it(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "a.csv")
    values = tiny_values("a.csv", optim={"name": "adam", "lr": 0.01, "layer_decay": 0.7})
    done = cli("train", write_config(tmp_path / "c.yaml", values), "--set", "train.unfreeze_epochs=1", "--json")
    assert json.loads(done.out)["layers"] == [
        {"layer": "output", "lr": 0.01, "first_step": 1},
        {"layer": "rnn0", "lr": 0.01 * 0.7, "first_step": 6},
        {"layer": "embedding", "lr": 0.01 * 0.7**2, "first_step": 11},
    ]


def test_a_plan_measures_steps_of_all_layers_and_says_so(tmp_path, cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "a.csv", repeats=3)
    file = write_config(tmp_path / "c.yaml", tiny_values("a.csv"))
    said = "each as if every layer were trained from the start"
    plans = {
        setting: cli("plan", file, "--seconds", "0.1", "--set", f"train.unfreeze_epochs={setting}").out
        for setting in ("null", "2")
    }
    assert said in plans["2"]
    assert said not in plans["null"]
