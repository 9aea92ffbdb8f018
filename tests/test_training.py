import dataclasses
import json
import math
import warnings

import numpy as np
import pytest
from tiny_runs import digest_of, prepared, sample_config, tiny_config, trained, write_csv

from rnncli.data.dataset import load_dataset
from rnncli.errors import GradientError
from rnncli.metrics import accuracy
from rnncli.scoring import score
from rnncli.training import StepDone, Validated


@pytest.fixture
def data(tmp_path):
    return write_csv(tmp_path / "tiny.csv", repeats=2)


def steps(events):
    return [event for event in events if isinstance(event, StepDone)]


def validations(events):
    return [event for event in events if isinstance(event, Validated)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_learns(cell):
    """In the sample, words of praise and blame are negated as often as not: counting words gets 58%."""
    config = sample_config(model={"rnn": {"cell": cell, "hidden": 16}}, train={"epochs": 12})
    trainer, events = trained(config)
    assert accuracy(trainer.work.train.labels, score(trainer.model, trainer.work.train).argmax(axis=1)) > 0.95
    assert max(event.figures["accuracy"] for event in validations(events)) > 0.8


def test_the_plain_cell_learns_what_it_can(data):
    _, events = trained(tiny_config(data, model={"rnn": {"cell": "rnn", "hidden": 8}}, train={"epochs": 15}))
    assert validations(events)[-1].figures["accuracy"] == 1


PINNED = {
    "lstm": [0.687099, 0.689533, 0.718558, 0.739115, 0.728138, 0.695051, 0.694469, 0.692321, 0.684458, 0.685253],
    "gru": [0.688629, 0.679805, 0.706928, 0.737162, 0.715986, 0.693315, 0.685278, 0.695109, 0.670950, 0.667173],
    "rnn": [0.689175, 0.708544, 0.715640, 0.738917, 0.711488, 0.680191, 0.699340, 0.692520, 0.678506, 0.688958],
}


@pytest.mark.parametrize("cell", PINNED)
def test_the_first_losses_are_the_known_ones(cell):
    """A change of anything that training computes shows here; update the numbers only when it was meant."""
    _, events = trained(sample_config(model={"rnn": {"cell": cell, "hidden": 16}}, train={"epochs": 1}))
    assert [event.loss for event in steps(events)[:10]] == pytest.approx(PINNED[cell], rel=1e-4)


RICH = {
    "model": {
        "embedding": {"dim": 8, "dropout": 0.2},
        "rnn": {"cell": "lstm", "hidden": 8, "layers": 2, "bidirectional": True, "dropout": 0.2},
        "dropout": 0.2,
    }
}


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data):
    (one, events), (same, same_events) = (trained(tiny_config(data, **RICH)) for _ in range(2))
    assert digest_of(one) == digest_of(same)
    assert events == same_events
    assert digest_of(one) != digest_of(trained(tiny_config(data, seed=2, **RICH))[0])


def test_a_validation_in_between_changes_nothing(data):
    one, events = trained(tiny_config(data, **RICH))
    often, often_events = trained(tiny_config(data, train={"validate_every": 1}, **RICH))
    assert len(validations(often_events)) == one.total_steps > len(validations(events)) == 2
    assert steps(often_events) == steps(events)
    assert digest_of(often) == digest_of(one)


def test_epochs_and_steps_are_counted(data):
    trainer, events = trained(tiny_config(data, train={"epochs": 3, "batch_size": 5}))
    per_epoch = math.ceil(len(trainer.work.train) / 5)
    done = steps(events)
    assert [event.step for event in done] == list(range(1, 3 * per_epoch + 1))
    assert [event.epoch for event in done] == [epoch for epoch in (1, 2, 3) for _ in range(per_epoch)]
    for epoch in (1, 2, 3):
        assert sum(event.texts for event in done if event.epoch == epoch) == len(trainer.work.train)
        assert sum(event.tokens for event in done if event.epoch == epoch) == len(trainer.work.train.ids)
    assert [(event.step, event.epoch) for event in validations(events)] == [(per_epoch * i, i) for i in (1, 2, 3)]


def test_every_epoch_deals_its_batches_anew(data):
    _, events = trained(tiny_config(data, train={"epochs": 3, "batch_size": 5}))
    dealt = {epoch: [event.tokens for event in steps(events) if event.epoch == epoch] for epoch in (1, 2, 3)}
    assert dealt[1] != dealt[2] != dealt[3] != dealt[1]


def test_the_last_step_is_always_validated(data):
    trainer, events = trained(tiny_config(data, train={"validate_every": 5}))
    assert trainer.total_steps % 5
    assert [event.step for event in validations(events)] == [*range(5, trainer.total_steps, 5), trainer.total_steps]
    assert isinstance(events[-1], Validated)


def test_a_step_reports_its_batch_before_the_update(data):
    config = tiny_config(data, train={"batch_size": 1000, "epochs": 1})
    before, _ = prepared(config)
    scores = score(before.model, before.work.train)
    _, events = trained(config)
    assert events[0].accuracy == pytest.approx(accuracy(before.work.train.labels, scores.argmax(axis=1)))
    assert events[0].loss == pytest.approx(
        np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(scores)), before.work.train.labels]), rel=1e-5
    )


def scripted(config, metrics, monkeypatch):
    """Run with the figures of its validations given."""
    given = iter(metrics)
    monkeypatch.setattr("rnncli.classifying.classification_report", lambda *_: next(given))
    trainer, _ = prepared(config)
    return trainer, list(trainer.run())


FIGURES = [
    {"loss": 0.7, "accuracy": 0.5, "macro_f1": 0.50},
    {"loss": 0.6, "accuracy": 0.5, "macro_f1": 0.55},
    {"loss": 0.8, "accuracy": 0.6, "macro_f1": 0.52},
    {"loss": 0.6, "accuracy": 0.6, "macro_f1": 0.40},
]


@pytest.mark.parametrize(
    ("metric", "improved"),
    [
        ("loss", [True, True, False, False]),
        ("accuracy", [True, False, True, False]),
        ("macro_f1", [True, True, False, False]),
    ],
)
def test_best_is_by_the_chosen_metric_and_a_tie_is_no_improvement(data, metric, improved, monkeypatch):
    config = tiny_config(data, train={"epochs": 4, "best_metric": metric})
    trainer, events = scripted(config, FIGURES, monkeypatch)
    assert [event.improved for event in validations(events)] == improved
    best = min if metric == "loss" else max
    assert trainer.best == best(figures[metric] for figures in FIGURES)


@pytest.mark.parametrize(("patience", "expected"), [(1, 2), (2, 4), (3, 4), (None, 4)])
def test_patience_counts_validations_without_improvement(data, patience, expected, monkeypatch):
    figures = [{"loss": 1, "accuracy": value, "macro_f1": 0} for value in (0.5, 0.4, 0.5, 0.3)]
    config = tiny_config(data, train={"epochs": 4, "patience": patience})
    if patience == 2:
        figures.insert(1, {"loss": 1, "accuracy": 0.6, "macro_f1": 0})
        expected = 4  # improvement at the second, then two without
    trainer, events = scripted(config, figures, monkeypatch)
    assert len(validations(events)) == expected
    assert (trainer.step < trainer.total_steps) is (patience == 1)


def test_the_plateau_schedule_lowers_the_rate_of_the_steps_after_the_validation(data, monkeypatch):
    figures = [{"loss": value, "accuracy": 0.5, "macro_f1": 0} for value in (0.5, 0.6, 0.4, 0.4)]
    optim = {"name": "adam", "lr": 0.01, "schedule": {"name": "plateau", "patience": 1, "factor": 0.1}}
    trainer, events = scripted(tiny_config(data, optim=optim, train={"epochs": 4}), figures, monkeypatch)
    rates = {event.epoch: event.lr for event in steps(events)}
    assert rates == pytest.approx({1: 0.01, 2: 0.01, 3: 0.001, 4: 0.001})
    assert trainer.counters()["plateau"] == {"factor": pytest.approx(0.01), "lowest": 0.4, "waited": 0}


def test_the_rate_of_a_step_is_that_of_the_schedule(data):
    optim = {"name": "adam", "lr": 0.02, "schedule": {"name": "linear", "warmup_steps": 3, "final": 0.5}}
    trainer, events = trained(tiny_config(data, optim=optim))
    rates = [event.lr for event in steps(events)]
    assert rates[:4] == pytest.approx([0.005, 0.01, 0.015, 0.02])
    assert rates[-1] == pytest.approx(0.01)
    assert rates == [0.02 * trainer.settings.schedule(step) for step in range(trainer.total_steps)]


def test_clipping_bounds_the_step_and_reports_the_norm_before(data):
    def first_step(limit):
        config = tiny_config(data, optim={"name": "sgd", "lr": 1, "momentum": 0, "clip_norm": limit})
        trainer, _ = prepared(config)
        before = {name: array.copy() for name, array in trainer.model.params.items()}
        event = next(trainer.run())
        moved = sum(float(((trainer.model.params[name] - before[name]) ** 2).sum()) for name in before)
        return event.grad_norm, moved**0.5

    norm, moved = first_step(None)
    assert moved == pytest.approx(norm, rel=1e-3)
    clipped_norm, clipped_moved = first_step(norm / 10)
    assert clipped_norm == norm
    assert clipped_moved == pytest.approx(norm / 10, rel=1e-3)


DIVERGING = {"optim": {"name": "adamw", "lr": 100, "weight_decay": 1}, "model": {"rnn": {"cell": "rnn", "hidden": 8}}}


@pytest.mark.parametrize("validate_every", [None, 1])
def test_what_is_not_finite_ends_the_run_with_one_error_and_no_warning(data, validate_every):
    trainer, _ = prepared(tiny_config(data, train={"epochs": 50, "validate_every": validate_every}, **DIVERGING))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(GradientError, match="not finite") as caught:
            list(trainer.run())
    assert "\n" not in str(caught.value)
    assert "optim.lr" in str(caught.value)


def test_an_update_that_is_not_finite_is_not_made(data):
    trainer, _ = prepared(tiny_config(data))
    run = trainer.run()
    next(run)
    trainer.model.params["output.b"][0] = np.nan
    before = digest_of(trainer)
    with pytest.raises(GradientError, match=r"at step 2 the loss is nan"):
        next(run)
    assert digest_of(trainer) == before
    assert (trainer.step, trainer.optimizer.step_count) == (1, 1)


def test_class_weights_change_the_loss_that_is_trained_on_and_not_that_of_the_validation(data):
    plain, events = trained(tiny_config(data, train={"epochs": 1}))
    heavy, heavy_events = trained(tiny_config(data, train={"epochs": 1, "class_weights": {"neg": 9, "pos": 1}}))
    assert events[0].loss != heavy_events[0].loss
    share = [float((score(t.model, t.work.valid).argmax(axis=1) == 0).mean()) for t in (plain, heavy)]
    assert share[1] > share[0]
    same, _ = prepared(tiny_config(data, train={"class_weights": {"neg": 9, "pos": 1}}))
    without, _ = prepared(tiny_config(data))
    assert same._validate().figures == without._validate().figures


def test_a_run_goes_on_from_its_step_with_the_same_batches(data):
    config = tiny_config(data, **RICH)
    whole, events = trained(config)
    half, _ = prepared(config)
    run = half.run()
    first = [next(run) for _ in range(5)]
    rest = list(dataclasses.replace(half).run())
    assert steps(first + rest) == steps(events)
    assert digest_of(half) == digest_of(whole)


def test_counters_are_ready_for_json(data):
    optim = {"name": "adam", "schedule": {"name": "plateau"}}
    trainer, _ = prepared(tiny_config(data, optim=optim))
    waiting = {"factor": 1.0, "lowest": None, "waited": 0}
    assert trainer.counters() == {
        **{"step": 0, "updates": 0, "validated": 0, "skipped": 0, "norms": []},
        **{"best": None, "waited": 0, "plateau": waiting, "averaged": None},
    }
    list(trainer.run())
    counters = trainer.counters()
    assert json.loads(json.dumps(counters, allow_nan=False)) == counters
    assert counters["step"] == counters["updates"] == counters["validated"] == trainer.total_steps
    assert len(counters["norms"]) == 5
    assert prepared(tiny_config(data))[0].counters()["plateau"] is None


def test_the_cache_of_the_data_changes_no_bit(data, workdir):
    config = tiny_config(data)
    from rnncli.assembly import build_trainer

    digests = []
    for _ in range(2):  # written, then read
        trainer = build_trainer(config, load_dataset(config.data, config.seed, workdir / "cache"))
        list(trainer.run())
        digests.append(digest_of(trainer))
    assert len(list((workdir / "cache").iterdir())) == 1
    assert digests == [digest_of(trained(config)[0])] * 2
