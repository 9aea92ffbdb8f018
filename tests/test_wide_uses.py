"""What is done with a trained model that has n-grams: predicted, explained, exported, resumed, started from."""

import importlib.util
import itertools
from dataclasses import replace

import numpy as np
import pytest
from made_models import classifier
from tiny_runs import Silent, tiny_config

from rnncli.attributions import log_odds
from rnncli.cli.coloured_text import Look
from rnncli.cli.explain_text import explanation_lines
from rnncli.errors import ConfigError
from rnncli.explain_page import explain_page
from rnncli.explaining import explain
from rnncli.explanations import INTEGRATED
from rnncli.exporting import FORMATS, export_as
from rnncli.ngrams import bag_of
from rnncli.packing import make_packing
from rnncli.predicting import probabilities
from rnncli.readings import classifier_inputs, classifier_reader
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.score_functions import score_function
from rnncli.subjects import classified_text
from rnncli.trained import load_trained
from rnncli.wide_models import TABLE

TEXTS = ["film good and bad n1", "plot", "bad bad bad bad", "unheard of, good film and good film", "", "n0 " * 40]
WAYS = list(itertools.product([2, 3], ["own", "joint"], ["weight", "none"], ["softmax", "binary"]))
WAYS = [way for way in WAYS if way[0] == 2 or way[3] == "softmax"]
WAYS += [(*way, True) for way in WAYS if way[2] == "weight"] + [(3, "own", "start", "softmax", True)]


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """Return a function that gives a trained classifier of as many labels."""
    folder = tmp_path_factory.mktemp("wide")
    nouns, adjectives = (
        ["film", "plot", "cast"],
        {"good": "pos", "fine": "pos", "bad": "neg", "dull": "neg", "long": "x"},
    )
    for count in (2, 3):
        kept = [(word, label) for word, label in adjectives.items() if count == 3 or label != "x"]
        rows = [f"{noun} {word} and n{n},{label}" for n in range(4) for noun in nouns for word, label in kept]
        (folder / f"{count}.csv").write_text("\n".join(["text,label", *rows]) + "\n")

    made = {}

    def give(labels=2, loss="own", bayes="weight", of_net="softmax", inputs=False, **ngrams):
        key = (labels, loss, bayes, of_net, inputs, *ngrams.items())
        if key not in made:
            ngrams = {"loss": loss, "naive_bayes": bayes, "inputs": inputs, **ngrams}
            if inputs and loss == "own":
                ngrams["share"] = 0.7
            rnn = {"cell": "gru", "hidden": 5, "bidirectional": True}
            config = tiny_config(
                folder / f"{labels}.csv", model={"ngrams": ngrams, "rnn": rnn, "loss": of_net, "pooling": "attention"}
            )
            run = RunDir(folder / str(len(made)))
            train_run(config, run, Silent(), cache=folder / "cache")
            made[key] = load_trained(run.last)
        return made[key]

    return give


def odds_of(trained, text, label):
    return log_odds(np.log(probabilities(trained, [text]).astype(np.float64)), label)[0][0]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_is_explained_is_what_is_predicted_and_the_pushes_are_complete(model_of, way):
    trained = model_of(*way)
    for text in TEXTS:
        explanation = explain(trained, text, method=INTEGRATED._replace(tolerance=1e-4))
        found = explanation.attribution
        np.testing.assert_allclose(explanation.probabilities, probabilities(trained, [text])[0], rtol=1e-5, atol=1e-7)
        assert found.score == pytest.approx(odds_of(trained, text, explanation.label), abs=1e-4)
        assert explanation.scores.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-3)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_gradient_by_words_and_shares_is_that_of_finite_differences(model_of, way):
    trained = model_of(*way)
    x = classifier_inputs(trained.model, np.array([3, 1, 4, 1], np.int64)).astype(np.float64)
    model = trained.model
    params = {name: a if a.dtype == np.int32 else a.astype(np.float64) for name, a in model.params.items()}
    f = score_function(classifier_reader(type(model)(**{**vars(model), "params": params})), 0)
    _, gradient = f(x[None])
    D = trained.config.model.embedding.dim
    for place in [(0, 0), (1, 3), *((column % 4, column) for column in range(D, x.shape[1])), (3, x.shape[1] - 1)]:
        above, below = x.copy(), x.copy()
        above[place] += 1e-6
        below[place] -= 1e-6
        up, down = f(np.stack([above, below]))[0]
        assert gradient[0][place] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-8)


def test_a_words_push_has_its_part_of_every_ngram_it_is_in(model_of):
    """With a recurrent branch that says nothing, leaving a word of single ones out takes away what it pushed."""
    trained = model_of(orders=1)
    for name, array in trained.model.params.items():
        if not name.startswith("ngrams"):
            array[...] = 0
    found = explain(trained, "film good and dull", leave_one_out=True)
    np.testing.assert_allclose(found.scores, found.leave_one_out, atol=1e-5)
    assert found.rank_correlation == pytest.approx(1)
    assert found.scores[1] * found.scores[3] < 0  # good, dull


def test_leaving_a_word_out_makes_its_neighbours_neighbours(model_of):
    trained, text = model_of(2, "own", "weight"), "film good and bad"
    found = explain(trained, text, label="pos", leave_one_out=True)
    for t, left in enumerate(found.leave_one_out):
        others = " ".join(word for place, word in enumerate(text.split()) if place != t)
        assert left == pytest.approx(odds_of(trained, text, 1) - odds_of(trained, others, 1), abs=1e-4)


@pytest.mark.parametrize("inputs", [False, True])
def test_gradients_of_the_states_are_those_of_the_layers_alone(model_of, inputs):
    trained = model_of(inputs=inputs)
    trace = explain(trained, "film good and bad").trace()
    assert trace.dx.shape == (4, trained.config.model.embedding.dim)


def test_nothing_is_shared_where_no_ngram_is_known(model_of):
    model = model_of().model
    subject = classified_text(model_of(), "zzz yyy")
    unknown = model.shares(np.zeros(2, np.int64))
    np.testing.assert_array_equal(subject.inputs[:, -1:], unknown)
    assert not model.shares(np.array([10**6, 10**6 + 1])).any()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_numpy_folder_says_the_same(model_of, tmp_path, way):
    trained = model_of(*way)
    export_as("numpy", trained, tmp_path / "f")
    spec = importlib.util.spec_from_file_location(f"predict_wide_{WAYS.index(way)}", tmp_path / "f" / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = np.array([module.probabilities(text) for text in TEXTS])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, probabilities(trained, TEXTS), atol=1e-5, rtol=0)
    assert np.ptp(found[:, 0]) > 0.01


@pytest.mark.parametrize("form", sorted(set(FORMATS) - {"numpy"}))
def test_formats_without_such_a_layer_refuse_it_and_write_nothing(model_of, tmp_path, form):
    with pytest.raises(
        ConfigError, match=r"--to .*: has no layer for model.ngrams, .* Use --to numpy, or train without"
    ):
        export_as(form, model_of(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_the_ngrams_of_an_explanation_say_what_they_add(model_of, way):
    trained = model_of(*way)
    found = explain(trained, "film good and film good", label="pos")
    phrases = dict(found.phrases())
    assert {"film", "good", "good and", "and"} <= set(phrases)
    assert list(phrases.values()) == sorted(phrases.values(), key=lambda effect: -abs(effect))
    assert phrases["good"] > 0 > dict(explain(trained, "film bad", label="pos").phrases())["bad"]
    # Without the row of an n-gram the model says so much less.
    spans, _ = found.subject.phrases
    place = [" ".join(found.tokens[slice(*span)]) for span in spans].index("good and")
    model = trained.model
    ids = np.array(trained.learned.vocabulary.encode(found.tokens))
    rows = bag_of(ids, make_packing(np.array([5])), 3, model.keys).rows
    params = {**model.params, TABLE: model.params[TABLE].copy()}
    params[TABLE][rows[place]] = 0
    lacking, pos = replace(trained, model=replace(model, params=params)), trained.learned.labels.index("pos")
    whole, less = (odds_of(one, found.subject.text, pos) for one in (trained, lacking))
    assert phrases["good and"] == pytest.approx(whole - less, abs=1e-4)


def test_ngrams_are_named_wherever_an_explanation_is_shown(model_of):
    trained = model_of()
    found = explain(trained, "good and")
    (line,) = [line for line in explanation_lines(found, Look(200, None, False, 5)) if "n-grams " in line]
    assert line.startswith("n-grams     3 with a weight; by themselves: ")
    assert [phrase["text"] for phrase in found.as_json()["ngrams"]] == [name for name, _ in found.phrases()]
    page = explain_page("c", [(found, None)], 5)
    assert "here are 3 with a weight; by themselves: " in page
    assert "no n-gram" not in "\n".join(
        explanation_lines(explain(classifier({"cell": "rnn"}), "film"), Look(200, None, False, 5))
    )
