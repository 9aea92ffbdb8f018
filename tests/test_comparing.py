"""The bootstrap, McNemar's test, Holm's rule."""

import numpy as np
import pytest
from scipy import stats

from rnncli.comparing import Interval, bootstrap, chance_of_difference, holm, mcnemar, percentiles

RNG = np.random.default_rng(5)
RIGHT = RNG.random(400) < 0.8
WORDS = RNG.integers(1, 30, 300)
RIGHT_WORDS = RNG.binomial(WORDS, 0.9)


def test_the_interval_of_an_accuracy_is_that_of_the_binomial_distribution():
    samples = bootstrap(RIGHT, np.ones(400))
    low, high = percentiles(samples[0])
    p = RIGHT.mean()
    assert (low, high) == pytest.approx(stats.binom.interval(0.95, 400, p) / np.float64(400), abs=0.0026)
    assert samples.shape == (1, 10_000)
    assert samples.mean() == pytest.approx(p, abs=0.001)


def test_the_interval_is_scipys():
    result = stats.bootstrap(
        (RIGHT_WORDS, WORDS),
        lambda right, words, axis: right.sum(axis) / words.sum(axis),
        paired=True,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    ours = percentiles(bootstrap(RIGHT_WORDS, WORDS)[0])
    assert ours == pytest.approx(tuple(result.confidence_interval), abs=0.0006)


def test_resampling_units_by_hand_gives_the_same_spread():
    places = np.random.default_rng(2).integers(0, 300, (4000, 300))
    by_hand = RIGHT_WORDS[places].sum(1) / WORDS[places].sum(1)
    ours = bootstrap(RIGHT_WORDS, WORDS, draws=4000)[0]
    assert ours.std() == pytest.approx(by_hand.std(), rel=0.05)
    assert ours.mean() == pytest.approx(by_hand.mean(), abs=3e-4)


def test_runs_are_drawn_in_pairs():
    other = RIGHT.copy()
    other[:3] = ~other[:3]
    one, two = bootstrap(np.array([RIGHT, other]), np.ones((2, 400)))
    same, again = bootstrap(np.array([RIGHT, RIGHT]), np.ones((2, 400)))
    assert np.array_equal(same, again)
    # Independent samples would differ by sqrt(2) times the spread of one.
    assert (one - two).std() < 0.3 * one.std()


def test_the_same_seed_gives_the_same_draws_however_they_are_cut(monkeypatch):
    whole = bootstrap(RIGHT_WORDS, WORDS, draws=50)
    assert np.array_equal(whole, bootstrap(RIGHT_WORDS, WORDS, draws=50))
    assert not np.array_equal(whole, bootstrap(RIGHT_WORDS, WORDS, draws=50, seed=2))
    monkeypatch.setattr("rnncli.comparing._TOGETHER", 1000)
    np.testing.assert_allclose(whole, bootstrap(RIGHT_WORDS, WORDS, draws=50), rtol=1e-14)


def test_what_is_always_right_has_no_spread():
    assert percentiles(bootstrap(np.ones(7), np.ones(7))[0]) == Interval(1.0, 1.0)


def test_what_has_nothing_to_divide_by_is_0():
    assert set(bootstrap([2, 0], [2, 0], draws=50)[0]) == {0.0, 1.0}


@pytest.mark.parametrize(("counted", "sizes"), [([], []), ([1, 2], [1]), ([[1], [1]], [[1]])])
def test_what_does_not_pair_up_is_refused(counted, sizes):
    with pytest.raises(ValueError, match="as many sizes"):
        bootstrap(counted, sizes)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 0), (3, 9), (10, 10), (25, 60), (900, 1100), (30_000, 30_400)])
def test_mcnemar_is_the_exact_binomial_test(a, b):
    first = np.r_[np.ones(a, bool), np.zeros(b, bool), np.ones(50, bool), np.zeros(50, bool)]
    second = np.r_[np.zeros(a, bool), np.ones(b, bool), np.ones(50, bool), np.zeros(50, bool)]
    found = mcnemar(first, second)
    assert (found.first_only, found.second_only) == (a, b)
    expected = stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0
    assert found.p == pytest.approx(expected, rel=1e-7)
    assert mcnemar(second, first).p == found.p


def test_mcnemar_comes_near_the_chi_square_of_1947_where_there_is_much():
    a, b = 400, 470
    first = np.r_[np.ones(a, bool), np.zeros(b, bool)]
    corrected = (abs(a - b) - 1) ** 2 / (a + b)
    assert mcnemar(first, ~first).p == pytest.approx(stats.chi2.sf(corrected, 1), rel=0.01)


def test_the_chance_of_a_difference_is_that_of_mcnemar_where_both_apply():
    first, second = RIGHT, RIGHT.copy()
    second[np.flatnonzero(RIGHT)[:30]] = False
    second[np.flatnonzero(~RIGHT)[:15]] = True
    one, two = bootstrap([first, second], np.ones((2, 400)))
    assert chance_of_difference(one - two) == pytest.approx(mcnemar(first, second).p, abs=0.015)


def test_the_chance_of_a_difference_is_never_zero_and_at_most_one():
    assert chance_of_difference(np.ones(999)) == 0.002
    assert chance_of_difference(np.zeros(9)) == 1.0


def test_mcnemar_needs_the_same_units():
    with pytest.raises(ValueError, match="same units"):
        mcnemar([True], [True, False])


def test_holms_rule_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []
