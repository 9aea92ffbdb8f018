import numpy as np
import pytest
from tiny_runs import prepared, sample_config

from rnncli import scoring
from rnncli.data.batches import make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.scoring import score


@pytest.fixture(scope="module")
def trainer():
    return prepared(sample_config())[0]


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_scores_do_not_depend_on_the_batch_size(trainer, size, monkeypatch):
    expected = score(trainer.model, trainer.work.train)
    monkeypatch.setattr(scoring, "SCORING_BATCH", size)
    np.testing.assert_allclose(score(trainer.model, trainer.work.train), expected, rtol=1e-5, atol=1e-6)


def test_scores_come_in_the_order_of_the_corpus(trainer):
    texts = trainer.work.train
    assert len(texts) > scoring.SCORING_BATCH
    scores = score(trainer.model, texts)
    assert scores.shape == (len(texts), 2)
    for row in (0, 1, len(texts) // 2, len(texts) - 1):
        alone, _ = trainer.model.forward(make_batch(texts, np.array([row])))
        np.testing.assert_allclose(scores[row], alone[0], rtol=1e-5, atol=1e-6)


def test_one_logit_becomes_two_scores():
    trainer, _ = prepared(sample_config(model={"loss": "binary"}))
    scores = score(trainer.model, trainer.work.valid)
    assert scores.shape == (len(trainer.work.valid), 2)
    assert not scores[:, 0].any()


def test_scoring_drops_nothing_and_changes_no_weight():
    rates = {"embedding": {"dim": 8, "dropout": 0.9}, "dropout": 0.9}
    dropping, plain = (prepared(sample_config(model=model))[0] for model in (rates, {"embedding": {"dim": 8}}))
    before = {name: array.copy() for name, array in dropping.model.params.items()}
    np.testing.assert_array_equal(score(dropping.model, dropping.work.valid), score(plain.model, plain.work.valid))
    assert all((dropping.model.params[name] == array).all() for name, array in before.items())


def test_a_text_of_one_token(trainer):
    texts = EncodedTexts(np.array([0], np.int32), np.array([0, 1]), np.array([1]))
    assert score(trainer.model, texts).shape == (1, 2)
