"""Integrated gradients against what is known in closed form, log-odds against probabilities, ranks against SciPy."""

import numpy as np
import pytest

from rnncli.attributions import POINTS, gradient_times_input, integrated_gradients, log_odds, rank_correlation


def rng(seed=0):
    return np.random.default_rng(seed)


def linear(w):
    return lambda x: (np.sum(x * w, axis=(1, 2)), np.broadcast_to(w, x.shape))


def product(x):
    """F = x_0 x_1, of two steps of one number."""
    a, b = x[:, 0, 0], x[:, 1, 0]
    return a * b, np.stack([b, a], axis=1)[..., None]


def steep(x):
    """F = tanh(60 (s - 0.3)), s the mean of the inputs: it jumps at a third of the path."""
    s = x.mean(axis=(1, 2))
    slope = 60 * (1 - np.tanh(60 * (s - 0.3)) ** 2) / x[0].size
    return np.tanh(60 * (s - 0.3)), np.broadcast_to(slope[:, None, None], x.shape)


def kinked(x):
    """F = max over the steps of a x, which the first step leads until the second one overtakes it."""
    at = x[..., 0] * np.array([1.0, 3.0]) - np.array([0.0, 0.8])
    first = at.argmax(axis=1)
    gradient = np.zeros_like(x)
    gradient[np.arange(len(x)), first, 0] = np.array([1.0, 3.0])[first]
    return at.max(axis=1), gradient


def test_of_a_linear_score_both_ways_give_each_step_its_own_part():
    w, x, baseline = rng().normal(size=(3, 7, 4))
    expected = np.sum(w * (x - baseline), axis=1)
    for found in (
        gradient_times_input(linear(w), x, baseline),
        integrated_gradients(linear(w), x, baseline, tolerance=1e-12),
    ):
        np.testing.assert_allclose(found.pushes, expected, rtol=1e-12)
        assert found.score == pytest.approx(np.sum(w * x))
        assert found.baseline_score == pytest.approx(np.sum(w * baseline))
        assert found.error == pytest.approx(0, abs=1e-12)


def test_of_a_product_each_factor_gets_half_and_the_gradient_gives_each_the_whole():
    x, nothing = np.array([[3.0], [-2.0]]), np.zeros((2, 1))
    whole = integrated_gradients(product, x, nothing)
    np.testing.assert_allclose(whole.pushes, [-3, -3])
    naive = gradient_times_input(product, x, nothing)
    np.testing.assert_allclose(naive.pushes, [-6, -6])
    assert naive.error == pytest.approx(-6)


def test_a_baseline_other_than_zero_is_where_the_path_begins():
    x, baseline = np.array([[3.0], [2.0]]), np.array([[1.0], [2.0]])
    np.testing.assert_allclose(integrated_gradients(product, x, baseline).pushes, [4, 0])  # only the first one changes


@pytest.mark.parametrize("score", [steep, kinked])
def test_more_points_are_taken_where_they_are_needed_until_the_sum_is_right(score):
    x, nothing = np.ones((2, 1)), np.zeros((2, 1))
    few = integrated_gradients(score, x, nothing, steps=8, tolerance=1e-4, most_steps=8)
    assert few.steps == 8
    assert abs(few.error) > 1e-3
    found = integrated_gradients(score, x, nothing, steps=8, tolerance=1e-4)
    assert 8 < found.steps < 400
    assert abs(found.error) <= 1e-4
    assert found.pushes.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-4)


def test_the_kink_divides_the_path_between_the_two_steps():
    found = integrated_gradients(kinked, np.ones((2, 1)), np.zeros((2, 1)), tolerance=1e-6, most_steps=4096)
    np.testing.assert_allclose(found.pushes, [0.4, 1.8], atol=1e-6)  # the second step overtakes at a = 0.4


def test_the_points_stop_at_the_limit():
    found = integrated_gradients(steep, np.ones((2, 1)), np.zeros((2, 1)), steps=16, tolerance=1e-15, most_steps=64)
    assert 16 <= found.steps <= 64


def test_a_score_that_is_not_a_number_ends_it():
    def broken(x):
        scores, gradients = linear(np.ones((3, 2)))(x)
        return np.where(scores < 1, np.nan, scores), gradients

    assert np.isnan(integrated_gradients(broken, np.ones((3, 2)), np.zeros((3, 2))).baseline_score)


@pytest.mark.parametrize(("steps", "points"), [(1, 8), (8, 8), (9, 16), (16, 16)])
def test_steps_are_rounded_up_to_whole_pieces(steps, points):
    assert POINTS == 8
    w = np.ones((3, 2))
    assert integrated_gradients(linear(w), w, 0 * w, steps=steps).steps == points


def test_long_texts_are_read_a_few_at_a_time(monkeypatch):
    w, x = rng().normal(size=(2, 50, 3))
    whole = integrated_gradients(linear(w), x, 0 * x)
    sizes = []

    def counting(inputs):
        sizes.append(len(inputs))
        return linear(w)(inputs)

    monkeypatch.setattr("rnncli.attributions.ROWS_AT_ONCE", 120)
    pieces = integrated_gradients(counting, x, 0 * x)
    assert max(sizes) == 2
    assert sum(sizes) == 20  # sixteen points, and the four ends of two pieces
    np.testing.assert_allclose(pieces.pushes, whole.pushes)


@pytest.mark.parametrize("classes", [2, 5])
def test_log_odds_are_those_of_the_probabilities(classes):
    scores = rng(1).normal(0, 3, (6, classes))
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    for label in range(classes):
        odds, gradient = log_odds(scores, label)
        np.testing.assert_allclose(odds, np.log(p[:, label] / (1 - p[:, label])))
        for k in range(classes):
            moved = np.zeros(classes)
            moved[k] = 1e-6
            numeric = (log_odds(scores + moved, label)[0] - log_odds(scores - moved, label)[0]) / 2e-6
            np.testing.assert_allclose(gradient[:, k], numeric, atol=1e-7)


def test_log_odds_are_finite_where_probabilities_are_not_and_turn_their_sign_with_the_label():
    scores = np.array([[800.0, -800.0], [-1e4, 1e4]], np.float32)
    odds, gradient = log_odds(scores, 0)
    np.testing.assert_allclose(odds, [1600, -2e4])
    np.testing.assert_allclose(gradient, [[1, -1], [1, -1]])
    np.testing.assert_array_equal(log_odds(scores, 1)[0], -odds)
    assert odds.dtype == np.float32
    assert np.isfinite(log_odds(np.array([[800.0, -800.0, 0.0]]), 1)[0]).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_rank_correlation_is_scipys(seed):
    stats = pytest.importorskip("scipy.stats")
    a, b = rng(seed).integers(0, 9, (2, 40)).astype(float)  # with many equal values
    assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_the_rank_correlation_of_what_does_not_vary_is_none():
    assert rank_correlation(np.array([1.0]), np.array([2.0])) is None
    assert rank_correlation(np.ones(4), np.arange(4.0)) is None
    assert rank_correlation(np.arange(4.0), np.ones(4)) is None
    assert rank_correlation(np.arange(4.0), np.exp(np.arange(4.0))) == pytest.approx(1)
    assert rank_correlation(np.arange(4.0), -np.arange(4.0)) == pytest.approx(-1)
