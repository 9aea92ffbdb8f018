import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from rnncli.errors import GradientError
from rnncli.metrics import (
    accuracy,
    class_scores,
    classification_report,
    confusion_matrix,
    macro_f1,
    roc_auc,
)


@st.composite
def predictions(draw):
    classes = draw(st.integers(2, 5))
    rows = draw(st.integers(1, 60))
    ids = st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)
    return np.array(draw(ids)), np.array(draw(ids)), classes


@given(predictions())
@settings(deadline=None)
def test_counts_and_scores_are_those_of_scikit_learn(drawn):
    true, predicted, classes = drawn
    ids = list(range(classes))
    confusion = confusion_matrix(true, predicted, classes)
    np.testing.assert_array_equal(confusion, oracle.confusion_matrix(true, predicted, labels=ids))
    assert accuracy(true, predicted) == oracle.accuracy_score(true, predicted)
    expected = oracle.precision_recall_fscore_support(true, predicted, labels=ids, zero_division=0)
    for ours, theirs in zip(class_scores(confusion), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    theirs = oracle.f1_score(true, predicted, labels=ids, average="macro", zero_division=0)
    assert macro_f1(confusion) == pytest.approx(theirs, rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=60))
@settings(deadline=None)
def test_roc_auc_with_ties_is_that_of_scikit_learn(rows):
    true, scores = np.array(rows).T
    if len(set(true)) == 1:
        assert roc_auc(true, scores) is None
    else:
        assert roc_auc(true, scores) == pytest.approx(oracle.roc_auc_score(true, scores), abs=1e-12)


def test_roc_auc_counts_pairs():
    assert roc_auc([0, 0, 1, 1], [1, 2, 2, 3]) == (2 + 1 + 0.5) / 4
    assert roc_auc([1, 0], [1.0, 2.0]) == 0.0


@given(st.integers(2, 6), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_the_loss_is_the_log_loss(classes, rows, seed):
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(rows, classes))
    true = rng.integers(classes, size=rows)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    theirs = oracle.log_loss(true, probabilities, labels=range(classes))
    report = classification_report(true, logits, [str(label) for label in range(classes)])
    assert report["loss"] == pytest.approx(theirs, rel=1e-9)


def test_the_loss_is_stable_at_any_magnitude():
    logits = np.array([[1000.0, -1000.0], [1000.0, -1000.0]], dtype=np.float32)
    assert classification_report([0, 1], logits, ["a", "b"])["loss"] == 1000.0


def test_a_class_that_never_occurs_scores_zero_and_counts_in_the_macro_average():
    report = classification_report([0, 0], [[1, 0, 0], [1, 0, 0]], ["a", "b", "c"])
    assert [entry["f1"] for entry in report["classes"]] == [1.0, 0.0, 0.0]
    assert report["macro_f1"] == pytest.approx(1 / 3)
    assert report["roc_auc"] is None


def test_report_is_json_and_consistent():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(50, 2)).astype(np.float32)
    true = rng.integers(2, size=50)
    report = json.loads(json.dumps(classification_report(true, logits, ["neg", "pos"]), allow_nan=False))
    assert report["rows"] == 50
    assert sum(map(sum, report["confusion"])) == 50
    assert report["accuracy"] == oracle.accuracy_score(true, logits.argmax(axis=1))
    margin = logits[:, 1].astype(np.float64) - logits[:, 0]
    assert report["roc_auc"] == pytest.approx(oracle.roc_auc_score(true, margin))
    assert [entry["label"] for entry in report["classes"]] == ["neg", "pos"]
    assert [entry["support"] for entry in report["classes"]] == np.bincount(true).tolist()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_not_finite_are_refused(bad):
    with pytest.raises(GradientError, match="not finite"):
        classification_report([0], [[bad, 0.0]], ["a", "b"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: accuracy([], []),
        lambda: accuracy([0, 1], [0]),
        lambda: confusion_matrix([0, 2], [0, 1], 2),
        lambda: confusion_matrix([0, -1], [0, 1], 2),
        lambda: roc_auc([0, 2], [0.1, 0.2]),
        lambda: roc_auc([0, 1], [0.1]),
        lambda: classification_report([0], [[1.0, 2.0, 3.0]], ["a", "b"]),
        lambda: classification_report([], np.zeros((0, 2)), ["a", "b"]),
    ],
)
def test_what_cannot_be_scored_is_refused(call):
    with pytest.raises(ValueError, match=r"\w"):
        call()
