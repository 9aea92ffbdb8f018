"""What states add to the loss of a classifier in training."""

import numpy as np
import pytest
from tiny_runs import prepared, tiny_config, trained, write_csv

from rnncli.data.batches import make_batch, make_part
from rnncli.packing import make_packing
from rnncli.penalized import Penalties, penalize, penalize_backward
from rnncli.randomness import generator
from rnncli.training import StepDone, Validated

WEIGHTS = Penalties(activation=0.5, slowness=2.0)


@pytest.fixture
def data(workdir):
    return write_csv(workdir / "tiny.csv")


def test_nothing_is_computed_where_nothing_counts():
    packing = make_packing(np.array([3, 1]))
    assert penalize(np.ones((4, 2)), packing, Penalties(), 4, 2) == (0, None)
    assert penalize_backward(None) is None


def test_both_penalties_add_up():
    packing, h = make_packing(np.array([3, 1])), np.array([[1.0], [2.0], [4.0], [3.0]])  # 1, 4, 3 and 2
    value, cache = penalize(h, packing, WEIGHTS, 4, 2)
    assert value == 0.5 * (1 + 16 + 9 + 4) / 4 + 2 * (9 + 1) / 2
    assert penalize_backward(cache)[:, 0].tolist() == [0.25 - 6, 0.5, 1 + 6 + 2, 0.75 - 2]


def test_the_penalties_of_parts_add_up_to_that_of_the_batch(data):
    trainer, _ = prepared(tiny_config(data, model={"activation_penalty": 0.5, "slowness_penalty": 2.0}))
    model, texts, rows = trainer.model, trainer.work.train, np.arange(7)
    model.params = {name: array.astype(np.float64) for name, array in model.params.items()}

    def penalty_of(batch):
        return model.penalty(model.forward(batch, generator(1, "dropout", 0))[1])

    parts = [make_part(texts, rows, np.array(places)) for places in ([0, 3], [1, 2, 4, 5], [6])]
    assert sum(map(penalty_of, parts)) == pytest.approx(penalty_of(make_batch(texts, rows)), rel=1e-12)


def test_the_training_loss_has_the_penalty_and_the_validation_loss_has_not(data):
    def first(kind, events):
        return next(event for event in events if isinstance(event, kind))

    changes = {"optim": {"name": "sgd", "lr": 1e-12}}
    _, plain = trained(tiny_config(data, **changes))
    trainer, penalized = trained(tiny_config(data, **changes, model={"activation_penalty": 100.0}))
    batch = make_batch(trainer.work.train, trainer.work.order(0)[0])
    penalty = trainer.model.penalty(trainer.model.forward(batch, generator(1, "dropout", 0))[1])
    assert penalty > 0.1
    assert first(StepDone, penalized).loss == pytest.approx(first(StepDone, plain).loss + penalty, rel=1e-5)
    figures = [first(Validated, events).figures["loss"] for events in (plain, penalized)]
    assert figures[1] == pytest.approx(figures[0], rel=1e-5)
    assert trainer.model.penalty(trainer.model.forward(batch)[1]) == 0


@pytest.mark.parametrize(("key", "measure"), [("activation", np.square), ("slowness", lambda h: np.square(np.diff(h)))])
def test_what_is_penalized_gets_smaller(key, measure, data):
    def states(**model):
        trainer, _ = trained(tiny_config(data, model=model, train={"epochs": 4}))
        batch = make_batch(trainer.work.train, np.array([5]))  # of one text, whose rows are its steps
        _, _, (runs, _), *_ = trainer.model.forward(batch)[1]
        return measure(runs[-1].h.T).mean()

    assert states(**{f"{key}_penalty": 30.0}) < 0.5 * states()
