"""ROC curves, reliability diagrams and intervals, against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from sklearn.calibration import calibration_curve

from rnncli.calibration import reliability, roc_curve, thinned, wilson_interval

RNG = np.random.default_rng(3)
Y = RNG.random(500) < 0.4
SCORES = np.round(RNG.normal(size=500) + Y, 1)  # with ties


def test_the_roc_curve_is_scikit_learns():
    x, y = roc_curve(Y, SCORES)
    expected = metrics.roc_curve(Y, SCORES)
    assert metrics.auc(x, y) == pytest.approx(metrics.roc_auc_score(Y, SCORES), abs=1e-12)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    theirs = {(round(a, 12), round(b, 12)) for a, b in zip(*expected[:2], strict=True)}
    ours = {(round(a, 12), round(b, 12)) for a, b in zip(x, y, strict=True)}
    assert ours <= theirs
    np.testing.assert_allclose(np.interp(expected[0], x, y, left=0)[-1], 1)


def test_points_on_a_straight_line_are_left_out():
    x, y = roc_curve([True, True, True, False, False, False], [6, 5, 4, 3, 2, 1])
    assert (x.tolist(), y.tolist()) == ([0, 0, 1], [0, 1, 1])
    x, y = roc_curve([True, False], [1, 1])
    assert (x.tolist(), y.tolist()) == ([0, 1], [0, 1])


@pytest.mark.parametrize("classes", [[True, True], [False, False], [True]])
def test_a_roc_curve_needs_both_classes(classes):
    with pytest.raises(ValueError, match="some of each class"):
        roc_curve(classes, [1, 2])


def test_reliability_is_scikit_learns():
    confidence = RNG.random(2000)
    right = RNG.random(2000) < confidence**1.3
    found = reliability(confidence, right, bins=10)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    np.testing.assert_allclose(found.accuracy, accuracy)
    np.testing.assert_allclose(found.confidence, mean)
    assert found.rows.sum() == 2000
    by_hand = sum(
        abs(
            right[(confidence > low) & (confidence <= low + 0.1)].mean()
            - confidence[(confidence > low) & (confidence <= low + 0.1)].mean()
        )
        * ((confidence > low) & (confidence <= low + 0.1)).mean()
        for low in np.arange(10) / 10
    )
    assert found.error == pytest.approx(by_hand)


def test_reliability_at_the_ends():
    found = reliability([0.0, 1.0, 1.0, 0.5], [False, True, True, False], bins=2)
    assert found.rows.tolist() == [2, 2]
    assert found.confidence.tolist() == [0.25, 1.0]
    assert found.error == pytest.approx(0.125)


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([0.5], [True, False])])
def test_reliability_needs_pairs(confidence, right):
    with pytest.raises(ValueError, match="as many answers"):
        reliability(confidence, right)


@pytest.mark.parametrize(("right", "rows"), [(0, 7), (7, 7), (3, 10), (880, 1000)])
def test_the_interval_of_a_part_is_scipys(right, rows):
    expected = stats.binomtest(right, rows).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval([right], [rows])
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_curve_is_thinned_and_keeps_its_ends():
    x = np.linspace(0, 1, 1000)
    few, y = thinned(x, x**2, 50)
    assert 40 <= len(few) <= 50
    assert (few[0], few[-1], y[-1]) == (0, 1, 1)
    assert thinned(x, x, 1000)[0] is x
