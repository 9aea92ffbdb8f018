"""Leaving words out, where what that does can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from made_models import CELLS, classifier, tagger

from rnncli.attributions import log_odds
from rnncli.explaining import explain
from rnncli.predicting import probabilities, tag_words
from rnncli.readings import classifier_reader
from rnncli.score_functions import scores_without

WORDS = "good film is bad . is good"


def bag_of_words():
    """A classifier whose states are tanh(x) of their own word alone: its scores are the mean of what the words say."""
    model = classifier({"cell": "rnn"}, pooling="mean", loss="binary").model
    params = dict(model.params)
    params["rnn0.fwd.Wh"] = np.zeros_like(params["rnn0.fwd.Wh"])
    return replace(model, params={name: array.astype(np.float64) for name, array in params.items()})


def test_leaving_a_word_out_of_a_bag_takes_it_out_of_the_mean():
    model, x = bag_of_words(), np.random.default_rng(3).normal(0, 1, (6, 4))
    p = model.params
    said = np.tanh(x @ p["rnn0.fwd.Wx"] + p["rnn0.fwd.b"]) @ p["output.w"][:, 0]
    read = classifier_reader(model)
    found = scores_without(x, lambda t: read, 1, np.zeros((1, 4)))
    expected = (said.sum() - said) / 5 + p["output.b"][0]
    np.testing.assert_allclose(found, expected)


def test_of_long_texts_a_few_are_read_at_once(monkeypatch):
    monkeypatch.setattr("rnncli.score_functions.ROWS_AT_ONCE", 14)
    read, sizes = classifier_reader(bag_of_words()), []

    def counting(x):
        sizes.append(len(x))
        return read(x)

    scores_without(np.ones((6, 4)), lambda t: counting, 1, np.zeros((1, 4)))
    assert sizes == [2, 2, 2]


def test_what_is_left_of_a_single_word_is_nothing():
    read, x, nothing = classifier_reader(bag_of_words()), np.ones((1, 4)), np.full((1, 4), 0.5)
    found = scores_without(x, lambda t: read, 0, nothing)
    assert found.tolist() == log_odds(read(nothing[None]).scores, 0)[0].tolist()


@pytest.mark.parametrize("rows", [1, 14, 10_000])
def test_it_is_the_text_without_the_word(rows, monkeypatch):
    monkeypatch.setattr("rnncli.score_functions.ROWS_AT_ONCE", rows)
    trained = classifier(CELLS[1], directions=2, layers=2)
    explanation = explain(trained, WORDS, label="good", leave_one_out=True)
    words = WORDS.split()
    shorter = [" ".join(words[:t] + words[t + 1 :]) for t in range(len(words))]
    p = probabilities(trained, [WORDS, *shorter])[:, 2].astype(np.float64)
    odds = np.log(p / (1 - p))
    np.testing.assert_allclose(explanation.leave_one_out, odds[0] - odds[1:], rtol=1e-3, atol=1e-5)


def test_of_a_tag_all_but_its_own_word_can_be_left_out():
    trained = tagger(CELLS[2], {"kind": "characters"})
    words = WORDS.split()
    whole = tag_words(trained, [words])[0]
    explanation = explain(trained, WORDS, word=4, leave_one_out=True)
    assert np.isnan(explanation.leave_one_out).tolist() == [place == 3 for place in range(7)]
    whole_p = float(whole.probabilities[3])
    for place in (0, 2, 4, 6):
        left = words[:place] + words[place + 1 :]
        own = 3 if place > 3 else 2
        found = tag_words(trained, [left])[0]
        assert left[own] == "bad"
        if found.tags[own] == whole.tags[3]:
            p = float(found.probabilities[own])
            expected = np.log(whole_p / (1 - whole_p)) - np.log(p / (1 - p))
            assert explanation.leave_one_out[place] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert -1 <= explanation.rank_correlation <= 1
