"""A text costs what it costs read in one piece, however it is cut up."""

from pathlib import Path

import numpy as np
import pytest
from threaded_exchange import on_every_rank
from tiny_tasks import language_config, trainer_of, write_text

from rnncli import language_scoring
from rnncli.data.language.steps import make_steps
from rnncli.errors import GradientError
from rnncli.language_scoring import score_text


@pytest.fixture(scope="module", params=["lstm", "gru"])
def trained(request, tmp_path_factory):
    """Return a trained model and its text, with documents."""
    folder = tmp_path_factory.mktemp("scoring")
    config = language_config(
        write_text(folder / "a.txt", 200), model={"rnn": {"cell": request.param, "hidden": [8, 6]}}, train={"epochs": 1}
    )
    trainer, data = trainer_of(config, folder)
    list(trainer.run())
    return trainer.model, np.asarray(data.train.tokens)


def step_by_step(model, tokens, end_of_text=None):
    """Return the cost of each token, computed one at a time with a state that is set to zero by hand."""
    state, out = model.fresh_state(1), []
    for token, following in zip(tokens[:-1].astype(int), tokens[1:].astype(int), strict=True):
        if token == end_of_text:
            state = model.fresh_state(1)
        steps = make_steps(np.array([[token]]), np.array([[following]]), np.zeros((1, 1), bool))
        found, state, _ = model.forward(steps, state, keep=False)
        out.append(model.nats(found, steps.y)[0][0])
    return np.array(out)


@pytest.mark.parametrize("documents", [False, True])
def test_it_does_not_depend_on_how_the_text_is_cut(trained, documents, monkeypatch):
    model, tokens = trained
    tokens = tokens[:1501]
    end = int(tokens[17]) if documents else None  # any token will do
    expected = step_by_step(model, tokens, end)
    monkeypatch.setattr(language_scoring, "SHORTEST", 16)
    for streams in (1, 2, 7, 64):
        each = np.zeros(len(tokens) - 1, np.float32)
        scored = score_text(model, tokens, end, most_streams=streams, each=each)
        assert scored.tokens == 1500
        assert scored.nats / 1500 == pytest.approx(expected.mean(), abs=1e-5)
        np.testing.assert_allclose(each, expected, atol=1e-4)
        assert each.sum() == pytest.approx(scored.nats, rel=1e-5)


def test_a_model_that_forgets_nothing_is_read_again_to_the_end(trained, monkeypatch):
    model, tokens = trained
    tokens = tokens[:401]
    if model.cell.name != "lstm":
        pytest.skip("the forget gate is an LSTM's")
    kept = {name: array.copy() for name, array in model.params.items()}
    try:
        for layer, H in enumerate(model.sizes):
            model.params[f"rnn{layer}.fwd.b"][H : 2 * H] = 12.0
        expected = step_by_step(model, tokens)
        monkeypatch.setattr(language_scoring, "SHORTEST", 16)
        monkeypatch.setattr(language_scoring, "STEPS", 8)
        monkeypatch.setattr(language_scoring, "REMEMBERED", 3)
        scored = score_text(model, tokens, None, most_streams=9)
        assert scored.nats / 400 == pytest.approx(expected.mean(), abs=1e-5)
        # Had it been taken for granted that the state is forgotten, it would have shown.
        monkeypatch.setattr(language_scoring, "AGREEMENT", 1e9)
        assert score_text(model, tokens, None, most_streams=9).nats / 400 != pytest.approx(expected.mean(), abs=1e-4)
    finally:
        model.params.update(kept)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_processes_get_the_same_bits(trained, size, monkeypatch):
    model, tokens = trained
    monkeypatch.setattr(language_scoring, "SHORTEST", 64)
    monkeypatch.setattr(language_scoring, "TOGETHER", 4)
    alone = score_text(model, tokens, None)
    for scored in on_every_rank(size, lambda exchange: score_text(model, tokens, None, exchange)):
        assert scored == alone


def test_the_whole_text_is_read_of_any_length(trained):
    model, tokens = trained
    for length in (2, 3, 511, 513, 1025, 1300):
        assert score_text(model, tokens[:length], None).tokens == length - 1


def test_outputs_that_are_not_finite_are_refused(trained):
    model, tokens = trained
    kept = model.params["output.b"].copy()
    model.params["output.b"][:] = np.nan
    with pytest.raises(GradientError, match="not finite"):
        score_text(model, tokens, None)
    model.params["output.b"][:] = kept
    kept = model.params["rnn0.fwd.Wh"].copy()
    model.params["rnn0.fwd.Wh"][:] = np.nan
    with pytest.raises(GradientError, match="not finite"):
        score_text(model, tokens, None)
    model.params["rnn0.fwd.Wh"][:] = kept


def test_a_validation_leaves_the_carried_state_alone(tmp_path):
    config = language_config(write_text(tmp_path / "a.txt"), train={"batch_size": 3})
    trainer, _ = trainer_of(config, Path(tmp_path))
    events = trainer.run()
    for _ in range(5):
        next(events)
    before = {name: array.copy() for name, array in trainer.work.carried.items()}
    assert any(array.any() for array in before.values())
    trainer._member.evaluate()
    assert all((trainer.work.carried[name] == array).all() for name, array in before.items())
