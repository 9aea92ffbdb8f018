"""Models that read embedded texts: they score as ever, and their gradients are those of finite differences."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from made_models import CELLS, classifier, language_model, tagger

from rnncli.attributions import integrated_gradients, log_odds
from rnncli.layers import softmax
from rnncli.predicting import probabilities, tag_words
from rnncli.readings import classifier_reader, language_reader, tagger_reader
from rnncli.sampling import Stepper
from rnncli.score_functions import score_function
from rnncli.subjects import classified_text, next_token, tagged_word

TEXT = "good film, n't bad !! unheard is good 3.5"
POOLINGS = ["last", "mean", "max", "attention", ["max", "attention"]]
CASES = [
    (cell, directions, layers, pooling, loss)
    for (cell, directions, layers), (pooling, loss) in zip(
        itertools.product(CELLS, [1, 2], [1, 2]),
        itertools.cycle(itertools.product(POOLINGS, ["softmax", "binary"])),
        strict=False,
    )
]
each_classifier = pytest.mark.parametrize(("cell", "directions", "layers", "pooling", "loss"), CASES, ids=str)


def in_float64(model):
    return replace(model, params={name: array.astype(np.float64) for name, array in model.params.items()})


def check_gradient(read, x, label):
    """Compare the gradient of the log-odds with central differences, at some places of each text."""
    odds, gradient = score_function(read, label)(x)
    assert gradient.shape == x.shape
    rng, eps = np.random.default_rng(5), 1e-6
    for _ in range(12):
        place = tuple(rng.integers(0, x.shape))
        above, below = x.copy(), x.copy()
        above[place] += eps
        below[place] -= eps
        up, down = (log_odds(read(moved).scores, label)[0][place[0]] for moved in (above, below))
        assert gradient[place] == pytest.approx((up - down) / (2 * eps), rel=2e-5, abs=1e-8)
    return odds


@each_classifier
def test_the_gradient_by_every_input_is_that_of_finite_differences(cell, directions, layers, pooling, loss):
    model = in_float64(classifier(cell, directions, layers, pooling=pooling, loss=loss).model)
    x = np.random.default_rng(1).normal(0, 1, (3, 6, 4))
    check_gradient(classifier_reader(model), x, 1)


@each_classifier
def test_integrated_gradients_are_complete(cell, directions, layers, pooling, loss):
    model = in_float64(classifier(cell, directions, layers, pooling=pooling, loss=loss).model)
    x = np.random.default_rng(2).normal(0, 1, (6, 4))
    f = score_function(classifier_reader(model), 0)
    found = integrated_gradients(f, x, np.zeros_like(x), tolerance=1e-4, most_steps=4096)
    difference = float(np.diff(f(np.stack([0 * x, x]))[0])[0])
    assert found.pushes.sum() == pytest.approx(difference, abs=1e-4)
    # A plain sum of a thousand midpoints, which knows nothing of pieces.
    alphas = (np.arange(1000) + 0.5) / 1000
    slopes = f(alphas[:, None, None] * x)[1]
    np.testing.assert_allclose(found.pushes, np.sum(slopes.mean(axis=0) * x, axis=1), atol=2e-3)


@each_classifier
def test_a_text_is_scored_as_the_model_scores_it(cell, directions, layers, pooling, loss):
    trained = classifier(cell, directions, layers, pooling=pooling, loss=loss)
    before = {name: array.copy() for name, array in trained.model.params.items()}
    subject = classified_text(trained, TEXT)
    np.testing.assert_allclose(softmax(subject.scores), probabilities(trained, [TEXT])[0], rtol=2e-6)
    assert {name for name, array in trained.model.params.items() if not np.array_equal(array, before[name])} == set()


def test_a_frozen_embedding_has_a_gradient_too():
    model = classifier({"cell": "gru", "reset": "before"}).model
    x = np.random.default_rng(1).normal(0, 1, (2, 5, 4)).astype(np.float32)
    free, frozen = (
        score_function(classifier_reader(m), 0)(x) for m in (model, replace(model, frozen=("embedding.W",)))
    )
    for a, b in zip(free, frozen, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("spelling", [None, {"kind": "characters"}, {"kind": "ngrams", "buckets": 50}])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_tagger_asked_for_one_word(cell, spelling):
    trained = tagger(cell, spelling)
    tags = tag_words(trained, [TEXT.split()])[0]
    for word in (1, 3, 9):
        subject = tagged_word(trained, TEXT, word)
        p = softmax(subject.scores)
        assert trained.learned.tags[int(p.argmax())] == tags.tags[word - 1]
        assert p.max() == pytest.approx(tags.probabilities[word - 1], rel=1e-5)
    model = in_float64(trained.model)
    x = np.random.default_rng(1).normal(0, 1, (3, *subject.inputs.shape))
    check_gradient(tagger_reader(model, 4), x, 2)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_language_model_asked_for_what_comes_next(cell, tied):
    trained = language_model(cell, tied=tied)
    subject = next_token(trained, "abac")
    stepper = Stepper(trained.model)
    stepper.reset()
    for token in trained.learned.encode("abac"):
        scores = stepper.read(int(token))
    np.testing.assert_allclose(subject.scores, scores, rtol=1e-4, atol=1e-5)
    model = in_float64(trained.model)
    check_gradient(language_reader(model), np.random.default_rng(1).normal(0, 1, (3, 5, 5)), 2)
