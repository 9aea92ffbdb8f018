"""An explanation of a text, for a model of each task."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_models import CELLS, classifier, language_model, tagger

from rnncli.errors import ConfigError, RnncliError
from rnncli.explaining import GROWTH, explain
from rnncli.explanations import Method
from rnncli.predicting import probabilities
from rnncli.subjects import word_baselines

TEXT = "GOOD film,<br /><br />isn't  bad!! frobnicator"


def text_of(pieces):
    return "".join(piece.text for piece in pieces)


@pytest.fixture
def trained():
    return classifier(CELLS[1], directions=2)


def test_the_predicted_label_is_explained_and_the_pushes_add_up(trained):
    explanation = explain(trained, TEXT)
    p = probabilities(trained, [TEXT])[0].astype(np.float64)
    place = int(p.argmax())
    assert (explanation.label, explanation.predicted) == (place, place)
    np.testing.assert_allclose(explanation.probabilities, p, rtol=1e-5)
    found = explanation.attribution
    assert found.score == pytest.approx(np.log(p[place] / (1 - p[place])), rel=1e-4)
    assert explanation.scores.sum() == pytest.approx(found.score - found.baseline_score, abs=0.01)
    assert explanation.leave_one_out is None
    assert explanation.rank_correlation is None
    assert explanation.tokens == ["good", "film", ",", "is", "n't", "bad", "!!", "frobnicator"]


def test_two_labels_are_one_scale():
    trained = classifier(CELLS[2], loss="binary")
    one, other = (explain(trained, TEXT, label=label) for label in ("neg", "pos"))
    assert one.attribution.score == pytest.approx(-other.attribution.score)
    np.testing.assert_allclose(one.scores, -other.scores, rtol=1e-4, atol=1e-6)


def test_a_label_the_model_does_not_have(trained):
    with pytest.raises(ConfigError, match=r"'great' is not a label of the model. Give one of bad, fine, good"):
        explain(trained, TEXT, label="great")
    with pytest.raises(ConfigError, match=r"Did you mean 'fine'\?"):
        explain(trained, TEXT, label="fien")


def test_the_text_is_shown_as_it_was_written(trained):
    pieces = explain(trained, TEXT).pieces()
    assert text_of(pieces) == TEXT.replace("<br />", "\n")
    assert [piece.text for piece in pieces if piece.push is not None] == (
        ["GOOD", "film", ",", "is", "n't", "bad", "!!", "frobnicator"]
    )
    assert [piece.text for piece in pieces if piece.unknown] == [",", "frobnicator"]
    assert not any(piece.unread for piece in pieces)


@pytest.mark.parametrize(
    ("truncate", "read", "unread"), [("tail", "!! frobnicator", "GOOD"), ("head", "GOOD film", "!!")]
)
def test_what_max_length_cuts_off_is_shown_as_unread(truncate, read, unread):
    trained = classifier(CELLS[0], data={"max_length": 2, "truncate": truncate})
    explanation = explain(trained, TEXT)
    pieces = explanation.pieces()
    assert text_of(pieces) == TEXT.replace("<br />", "\n")
    assert "".join(piece.text for piece in pieces if piece.push is not None or piece.text == " ") == read
    assert unread in "".join(piece.text for piece in pieces if piece.unread)
    assert (len(explanation.tokens), explanation.subject.unread) == (2, 6)


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_text_without_words_is_the_unknown_one(trained, text):
    explanation = explain(trained, text, leave_one_out=True)
    assert explanation.tokens == ["<unk>"]
    assert explanation.subject.known == [False]
    assert explanation.leave_one_out.tolist() == pytest.approx([0], abs=1e-6)  # without it there is the unknown one
    assert text_of(explanation.pieces()) == "<unk>"
    np.testing.assert_allclose(explanation.probabilities, probabilities(trained, [text])[0], rtol=1e-5)


@pytest.mark.parametrize("baseline", ["zero", "mean", "common", "unknown"])
def test_a_baseline_that_is_asked_for(trained, baseline):
    explanation = explain(trained, TEXT, method=Method(baseline=baseline))
    assert explanation.method.baseline == baseline
    W = trained.model.params["embedding.W"]
    vector = word_baselines(W)[baseline]
    expected = {"zero": 0 * W[0], "mean": W.mean(axis=0), "unknown": W[0]}
    if baseline == "common":
        shares = 1 / (np.arange(1, len(W)) + 2.7)
        expected["common"] = np.average(W[1:], axis=0, weights=shares)
    np.testing.assert_allclose(vector, expected[baseline], rtol=1e-5, atol=1e-7)
    scores = trained.model  # the model reads the vector in every word's place
    params = {**scores.params, "embedding.W": np.tile(vector, (len(W), 1))}
    p = probabilities(replace(trained, model=replace(scores, params=params)), [TEXT])[0].astype(np.float64)
    k = explanation.label
    assert explanation.attribution.baseline_score == pytest.approx(np.log(p[k] / (1 - p[k])), rel=1e-3, abs=1e-4)


def test_the_even_baseline_is_the_one_of_the_most_even_prediction(trained):
    chosen = explain(trained, TEXT).method.baseline
    entropies = {}
    for name, vector in word_baselines(trained.model.params["embedding.W"]).items():
        params = {**trained.model.params, "embedding.W": np.tile(vector, (11, 1))}
        p = probabilities(replace(trained, model=replace(trained.model, params=params)), [TEXT])[0]
        entropies[name] = -np.sum(p * np.log(p))
    assert chosen == max(entropies, key=lambda name: entropies[name])


def test_gradient_times_input_is_another_answer(trained):
    integrated, naive = (explain(trained, TEXT, method=Method(name)) for name in ("integrated", "gradient"))
    assert naive.attribution.steps == 1
    assert abs(naive.attribution.error) > abs(integrated.attribution.error)
    assert not np.allclose(naive.scores, integrated.scores)


def test_steps_and_tolerance_have_an_effect():
    trained = classifier(CELLS[2], pooling="max")
    rough, fine = (explain(trained, TEXT, method=Method(tolerance=t)) for t in (10.0, 1e-5))
    assert rough.attribution.steps == 16
    assert fine.attribution.steps > 16
    assert explain(trained, TEXT, method=Method(steps=64, tolerance=10.0)).attribution.steps == 64


def test_a_tag_of_a_word():
    trained = tagger(CELLS[1], {"kind": "characters"})
    explanation = explain(trained, "good film n't Bad", word=2)
    assert explanation.tokens == ["good", "film", "n't", "Bad"]
    assert explanation.subject.known == [True, True, True, True]
    assert explanation.subject.asked == "the tag of word 2, film"
    assert explanation.subject.labels == ("DET", "NOUN", "VERB")
    assert explanation.method.baseline == "zero"
    assert explanation.scores.sum() + explanation.attribution.baseline_score == pytest.approx(
        explanation.attribution.score, abs=0.01
    )
    other = explain(trained, "good film n't Bad", word=3)
    assert not np.allclose(other.scores, explanation.scores)


@pytest.mark.parametrize(("word", "words"), [(None, "is missing"), (5, "5 is not there"), (0, "0 is not there")])
def test_a_word_that_is_not_there(word, words):
    with pytest.raises(ConfigError, match=f"--word: {words}.*this text has 4. Give the number of one, from 1 to 4"):
        explain(tagger(CELLS[0], None), "good film n't bad", word=word)


def test_only_taggers_have_words(trained):
    with pytest.raises(ConfigError, match="--word: is for taggers; this is a model of task classification"):
        explain(trained, TEXT, word=1)


def test_what_comes_next():
    trained = language_model(CELLS[3])
    explanation = explain(trained, "ab x", leave_one_out=True)
    assert explanation.tokens == ["a", "b", "' '", "\N{REPLACEMENT CHARACTER}"]
    assert explanation.subject.known == [True, True, True, False]
    assert text_of(explanation.pieces()) == "ab x"
    assert explanation.shown(2) == "' '"
    assert explanation.shown(3) == "x"
    assert explain(trained, "ab", label=" ").subject.labels[explain(trained, "ab", label=" ").label] == "' '"
    assert set(explanation.subject.baselines) == {"zero", "mean"}
    with pytest.raises(ConfigError, match=r"'unknown' is not there for this model. Give one of zero, mean"):
        explain(trained, "ab", method=Method(baseline="unknown"))


def test_a_language_model_of_words_begins_with_the_end_of_a_text():
    trained = language_model(CELLS[1], kind="word", ends=True)
    explanation = explain(trained, "Good film")
    assert explanation.tokens == ["(end of text)", "good", "film"]
    assert text_of(explanation.pieces()) == "Good film"
    assert explanation.shown(0) == "(end of text)"
    assert explanation.shown(1) == "Good"


def test_weights_that_are_not_finite_are_told(trained):
    trained.model.params["output.b"][0] = np.nan
    with pytest.raises(RnncliError, match="are not finite"):
        explain(trained, TEXT)


def test_a_baseline_that_is_not_finite_is_told(trained):
    trained.model.params["embedding.W"][-1] = np.nan  # of a word that the text does not have
    for baseline in ("mean", "even"):
        with pytest.raises(RnncliError, match="are not finite"):
            explain(trained, "good", method=Method(baseline=baseline))
    assert np.isfinite(explain(trained, "good", method=Method(baseline="zero")).scores).all()


def test_more_steps_allow_more_points():
    trained = classifier(CELLS[1], pooling="max")
    most = [explain(trained, TEXT, method=Method(steps=n, tolerance=1e-30)).attribution.steps for n in (8, 16)]
    assert most[0] <= 8 * GROWTH < most[1] <= 16 * GROWTH


def test_json_has_it_all(trained):
    explanation = explain(trained, TEXT, leave_one_out=True)
    facts = json.loads(json.dumps(explanation.as_json()))
    assert facts["text"] == TEXT
    assert facts["predicted"] == facts["label"]
    assert facts["log_odds"] == explanation.attribution.score
    assert facts["error"] == explanation.attribution.error
    assert facts["points"] == explanation.attribution.steps
    assert facts["rank_correlation"] == explanation.rank_correlation
    assert sum(facts["probabilities"].values()) == pytest.approx(1)
    words = facts["words"]
    assert [word["push"] for word in words] == explanation.scores.tolist()
    assert [word["leave_one_out"] for word in words] == explanation.leave_one_out.tolist()
    assert [TEXT[word["start"] : word["end"]] for word in words][:3] == ["GOOD", "film", ","]
    assert [word["word"] for word in words if not word["known"]] == [",", "frobnicator"]
    own = explain(tagger(CELLS[1], None), "good film", word=1, leave_one_out=True).as_json()["words"]
    assert own[0]["leave_one_out"] is None
    assert own[1]["leave_one_out"] is not None


def test_the_same_text_gives_the_same_bits(trained):
    first, second = (explain(trained, TEXT, leave_one_out=True).as_json() for _ in range(2))
    assert first == second


def test_attention_is_how_much_each_word_counts():
    trained = classifier(CELLS[1], directions=2, pooling=["max", "attention"])
    explanation = explain(trained, TEXT)
    weights = explanation.subject.attention
    assert weights.shape == (len(explanation.tokens),)
    assert weights.sum() == pytest.approx(1)
    h, _ = reading_of(trained, explanation)
    scores = h @ trained.model.params["attention.w"]
    np.testing.assert_allclose(weights, np.exp(scores) / np.exp(scores).sum(), rtol=1e-4)
    half, order = explanation.attended()
    assert weights[order[:half]].sum() >= 0.5 > weights[order[: half - 1]].sum()
    assert [word["attention"] for word in explanation.as_json()["words"]] == weights.tolist()
    assert [piece.attention for piece in explanation.pieces() if piece.push is not None] == weights.tolist()


def reading_of(trained, explanation):
    """Return the states of the last layer, both directions side by side, and the scores."""
    reading = explanation.subject.read(explanation.subject.inputs[None])
    return np.concatenate([run.h for run in reading.runs[-2:]], axis=1), reading.scores


def test_without_attention_nothing_is_said_of_it(trained):
    explanation = explain(trained, TEXT)
    assert explanation.subject.attention is None
    assert "attention" not in explanation.as_json()["words"][0]
    assert explain(language_model(CELLS[1]), "abc").subject.attention is None
