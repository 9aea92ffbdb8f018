"""Thresholds between two classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rnncli.thresholds import GOALS, Threshold, find_threshold, predicted_classes, threshold_figures


def both(p, positive=1):
    p = np.asarray(p, np.float32)
    return np.stack([1 - p, p] if positive else [p, 1 - p], axis=1)


def test_at_the_threshold_a_text_is_positive():
    probabilities = both([0.25, 0.5, 0.75])
    assert predicted_classes(probabilities, Threshold(1, 0.5)).tolist() == [0, 1, 1]
    assert predicted_classes(probabilities, Threshold(0, 0.5)).tolist() == [0, 0, 1]
    assert predicted_classes(probabilities, Threshold(1, 0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("positive", [0, 1])
def test_the_figures_are_those_of_scikit_learn(positive):
    rng = np.random.default_rng(positive)
    y, p = rng.integers(0, 2, 60), rng.random((60, 1)).astype(np.float32)
    probabilities = np.hstack([1 - p, p])
    threshold = Threshold(positive, 0.4)
    predicted = predicted_classes(probabilities, threshold)
    assert threshold_figures(y, probabilities, threshold) == pytest.approx(
        {
            "threshold": 0.4,
            "accuracy": metrics.accuracy_score(y, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
            "precision": metrics.precision_score(y, predicted, pos_label=positive),
            "recall": metrics.recall_score(y, predicted, pos_label=positive),
            "f1": metrics.f1_score(y, predicted, pos_label=positive),
        }
    )


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.floats(0, 1, width=32) | st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        min_size=2,
        max_size=25,
    ).filter(lambda rows: len({y for y, _ in rows}) == 2),
    st.integers(0, 1),
    st.sampled_from(GOALS),
)
def test_no_other_threshold_does_better(rows, positive, goal):
    y, p = np.array([y for y, _ in rows]), [p for _, p in rows]
    probabilities = both(p, positive)
    found = find_threshold(y, probabilities, positive, goal)
    assert 0 <= found.value <= 1
    best = threshold_figures(y, probabilities, found)[goal]
    for value in {0.0, 1.0, 0.5, *map(float, probabilities[:, positive])}:
        assert threshold_figures(y, probabilities, Threshold(positive, value))[goal] <= best + 1e-12
    # A text that is compared in float32, as arrays are with Python's numbers, is on the same side.
    alike = probabilities[:, positive] >= found.value
    assert np.array_equal(alike, predicted_classes(probabilities, found) == positive)


def test_it_is_short_and_stays_at_the_usual_one_where_that_does_as_well():
    assert find_threshold([0, 1], both([0.1, 0.9]), 1, "accuracy").value == 0.5
    assert find_threshold([0, 1], both([0.1, 0.3]), 1, "accuracy").value == 0.2
    assert find_threshold([0, 1], both([0.611, 0.6123]), 1, "accuracy").value == 0.612
    assert find_threshold([1, 1, 0], both([0.2, 0.4, 0.1]), 1, "f1").value == 0.15
    # 0.2 to 0.3 and 0.7 to 0.9 do as well: the nearer one is taken.
    assert find_threshold([0, 1, 0, 1], both([0.2, 0.4, 0.7, 0.9]), 1, "accuracy").value in (0.3, 0.8)


@pytest.mark.parametrize("p", [0.1, 0.3, 0.6, 0.7, 0.9, 0.999])
def test_neighbours_are_told_apart_in_float32_too(p):
    for low in np.float32(p) + np.arange(9, dtype=np.float32) * np.spacing(np.float32(p)):
        high = np.nextafter(low, np.float32(1))
        value = find_threshold([0, 1], both([low, high]), 1, "accuracy").value
        assert low < np.float32(value) <= high
        assert float(low) < value <= float(high)


def test_goals_differ():
    y = [0] * 8 + [1, 1]
    p = both([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.7, 0.8, 0.6, 0.65])
    assert find_threshold(y, p, 1, "f1").value < 0.65
    assert find_threshold(y, p, 1, "accuracy").value <= 0.6
    y = [0] * 6 + [1, 0, 0, 0, 1]
    p = both([0.1] * 6 + [0.2, 0.3, 0.3, 0.4, 0.9])
    values = {goal: find_threshold(y, p, 1, goal).value for goal in GOALS}
    assert values["accuracy"] > 0.4
    assert values["balanced_accuracy"] < 0.2 < values["accuracy"]


def test_one_class_alone_is_refused():
    with pytest.raises(ValueError, match="both classes"):
        find_threshold([1, 1], both([0.2, 0.3]), 1, "f1")
