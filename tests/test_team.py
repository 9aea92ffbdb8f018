"""A team of any size does what one process does."""

from dataclasses import replace

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_runs import prepared, sample_config, tiny_config, write_csv

from rnncli.data.batches import make_batch, make_part
from rnncli.randomness import generator
from rnncli.sharding import deal
from rnncli.team import Member
from rnncli.work import trained_weights

RICH = {
    "embedding": {"dim": 8, "dropout": 0.3},
    "rnn": {"cell": "lstm", "hidden": 6, "layers": 2, "bidirectional": True, "dropout": 0.3},
    "dropout": 0.3,
}
REGULARIZED = {
    "embedding": {"dim": 8, "dropout": 0.3, "word_dropout": 0.3},
    "rnn": {**RICH["rnn"], "state_dropout": 0.3, "recurrent_dropout": 0.3},
    "pooling": ["max", "attention"],
    "dropout": 0.3,
    "variational": True,
    "activation_penalty": 0.5,
    "slowness_penalty": 2.0,
}
WIDE = {**RICH, "ngrams": {"orders": 2, "dropout": 0.4, "lr": 0.03}}
FED = {**REGULARIZED, "ngrams": {"orders": 2, "inputs": True, "share": 0.7}}
ROWS = np.array([3, 50, 7, 31, 18, 90, 2, 64, 11])


@pytest.fixture(scope="module", params=[RICH, REGULARIZED, WIDE, FED], ids=["rich", "regularized", "wide", "fed"])
def trainer(request):
    """Return a trainer in float64, where rounding cannot be taken for a difference."""
    config = sample_config(model=request.param, train={"class_weights": "balanced", "label_smoothing": 0.2})
    trainer, _ = prepared(config)
    trainer.model.params = {name: array.astype(np.float64) for name, array in trainer.model.params.items()}
    return trainer


def dropout(number):
    return generator(5, "dropout", number)


def member_of(trainer, exchange):
    """Return a rank's team, with weights of its own unless memory is shared."""
    model = replace(trainer.model, params=exchange.place(trainer.model.params if exchange.rank == 0 else None))
    work = replace(trainer.work, model=model)
    optimizer = replace(trainer.optimizer, state={})
    optimizer.prepare(model.params)
    optimizer.state = exchange.place(optimizer.state if exchange.rank == 0 else None)
    return Member(exchange, work, optimizer, 5, 0.5)


@pytest.fixture(scope="module")
def fresh(trainer):
    """Return a function that gives a trainer whose weights no test has moved."""
    weights = {name: array.copy() for name, array in trainer.model.params.items()}

    def give():
        trainer.model.params = {name: array.copy() for name, array in weights.items()}
        return trainer

    return give


@pytest.mark.parametrize("shares_memory", [True, False])
@pytest.mark.parametrize("size", [2, 3, 5, 12])
def test_a_step_does_not_depend_on_how_many_share_it(fresh, size, shares_memory):
    """12 ranks have 9 texts: some have none."""

    def run(size, shares_memory):
        trainer = fresh()

        def work(exchange):
            member = member_of(trainer, exchange)
            outcomes = [member._step(number, ROWS, 0.01) for number in range(3)]
            member._collect()
            return outcomes, member.work.model.params, member.optimizer.state

        return on_every_rank(size, work, shares_memory=shares_memory)

    ((alone, weights, moments),) = run(1, True)
    ranks = run(size, shares_memory)
    for outcomes, params, _ in ranks:
        for ours, theirs in zip(outcomes, alone, strict=True):
            assert ours.loss == pytest.approx(theirs.loss, rel=1e-12)
            assert ours.norm == pytest.approx(theirs.norm, rel=1e-10)
            assert (ours.hits, ours.finite) == (theirs.hits, theirs.finite)
        for name, array in weights.items():
            np.testing.assert_allclose(params[name], array, rtol=1e-7, atol=1e-10, err_msg=name)
    for name, array in moments.items():
        np.testing.assert_allclose(ranks[0][2][name], array, rtol=1e-7, atol=1e-12, err_msg=name)


def test_all_ranks_have_the_same_bits(fresh):
    trainer = fresh()

    def work(exchange):
        member = member_of(trainer, exchange)
        for number in range(3):
            member._step(number, ROWS, 0.01)
        return member.work.model.params

    first, *others = on_every_rank(3, work)
    for params in others:
        assert all((params[name] == array).all() for name, array in first.items())


@pytest.mark.parametrize("size", [2, 3])
def test_the_gradients_of_the_parts_add_up_to_that_of_the_batch(fresh, size):
    trainer = fresh()
    (member,) = on_every_rank(1, lambda exchange: member_of(trainer, exchange))
    work = member.work
    whole = work.pass_through(make_batch(trainer.work.train, ROWS), dropout(4))
    sums = {name: np.zeros_like(array) for name, array in trainer.model.params.items()}
    expected = {name: np.zeros_like(array) for name, array in trainer.model.params.items()}
    for target, grads in [(expected, whole.grads)] + [
        (sums, work.pass_through(make_part(work.train, ROWS, places), dropout(4), work.share(ROWS, places)).grads)
        for places in deal(trainer.work.train.lengths[ROWS], size)
    ]:
        for name, grad in grads.items():
            if name in trainer.model.sparse:
                target[name][grad.rows] += grad.values
            else:
                target[name] += grad
    for name in trained_weights(trainer.model):
        array = expected[name]
        assert array.any()
        np.testing.assert_allclose(sums[name], array, rtol=1e-9, atol=1e-13, err_msg=name)


def test_in_single_precision_the_parts_agree_to_rounding(tmp_path):
    trainer, _ = prepared(sample_config(model=RICH))
    (member,) = on_every_rank(1, lambda exchange: member_of(trainer, exchange))
    work = member.work
    expected = work.pass_through(make_batch(work.train, ROWS), dropout(4)).grads["rnn0.fwd.Wh"]
    parts = [
        work.pass_through(make_part(work.train, ROWS, places), dropout(4), work.share(ROWS, places)).grads[
            "rnn0.fwd.Wh"
        ]
        for places in deal(trainer.work.train.lengths[ROWS], 2)
    ]
    np.testing.assert_allclose(parts[0] + parts[1], expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())


def test_what_is_dropped_is_the_same_for_a_part(fresh):
    trainer = fresh()
    whole = make_batch(trainer.work.train, ROWS)
    logits, _ = trainer.model.forward(whole, generator(1, "dropout", 0))
    plain, _ = trainer.model.forward(whole)
    assert not np.allclose(logits, plain)
    for places in deal(trainer.work.train.lengths[ROWS], 4):
        part = make_part(trainer.work.train, ROWS, places)
        ours, _ = trainer.model.forward(part, generator(1, "dropout", 0))
        np.testing.assert_allclose(ours, logits[part.part.sequences], rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(part.y, whole.y[part.part.sequences])


@pytest.mark.parametrize("size", [2, 3, 7])
def test_scores_are_the_same_bits_for_any_team(fresh, size, monkeypatch):
    from rnncli import scoring

    monkeypatch.setattr(scoring, "SCORING_BATCH", 16)
    trainer = fresh()
    expected = scoring.score(trainer.model, trainer.work.valid)
    found = on_every_rank(size, lambda exchange: scoring.score(trainer.model, trainer.work.valid, exchange))[0]
    assert found.tobytes() == expected.tobytes()


def test_a_gradient_that_is_not_finite_on_one_rank_moves_nothing_on_any(tmp_path):
    trainer, _ = prepared(tiny_config(write_csv(tmp_path / "tiny.csv"), train={"batch_size": 8}))
    rows = np.arange(8)
    token = make_part(trainer.work.train, rows, deal(trainer.work.train.lengths[rows], 2)[1]).ids[0]
    trainer.model.params["embedding.W"][token] = np.nan

    def work(exchange):
        member = member_of(trainer, exchange)
        before = {name: array.copy() for name, array in member.work.model.params.items()}
        outcome = member._step(0, rows, 0.01)
        assert not outcome.finite
        assert member.optimizer.step_count == 0
        return all(
            np.array_equal(before[name], array, equal_nan=True) for name, array in member.work.model.params.items()
        )

    assert on_every_rank(2, work) == [True, True]
