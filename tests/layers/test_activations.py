import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from variants import both_types

from rnncli.layers import log_softmax, sigmoid, softmax

any_number = st.floats(-1e300, 1e300)
rows = hnp.arrays(np.float64, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=any_number)


@settings(deadline=None, max_examples=60)
@given(st.floats(allow_nan=False))
def test_sigmoid_is_the_textbook_formula_wherever_that_can_be_computed(x):
    with np.errstate(all="raise", under="ignore"):
        got = float(sigmoid(np.array(x)))
    assert 0 <= got <= 1
    # The scalar formula in the form that does not overflow, by the standard library rather than by NumPy.
    expected = 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(max(x, -746.0)) / (1 + math.exp(max(x, -746.0)))
    # Below 1e-300 lie the subnormal numbers, where NumPy's exp is coarser.
    assert got == pytest.approx(expected, rel=1e-14, abs=1e-300)


@both_types
def test_sigmoid_at_the_ends(dtype):
    x = np.array([-np.inf, -1e4, 0, 1e4, np.inf], dtype)
    with np.errstate(all="raise", under="ignore"):
        y = sigmoid(x)
    np.testing.assert_array_equal(y, [0, 0, 0.5, 1, 1])
    assert y.dtype == dtype


def test_sigmoid_keeps_its_relative_precision_far_below_zero():
    # tanh(x / 2) / 2 + 1 / 2 would be exactly 0 here.
    assert sigmoid(np.array(-40.0)) == pytest.approx(math.exp(-40), rel=1e-14, abs=0)


@settings(deadline=None, max_examples=60)
@given(rows)
def test_sigmoid_is_odd_about_one_half(x):
    np.testing.assert_allclose(sigmoid(x) + sigmoid(-x), 1, rtol=1e-15)


@settings(deadline=None, max_examples=60)
@given(rows)
def test_softmax_is_a_distribution_over_the_last_axis(x):
    with np.errstate(all="raise", under="ignore"):
        p = softmax(x)
    assert p.shape == x.shape
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-14)


@settings(deadline=None, max_examples=60)
@given(rows)
def test_log_softmax_is_the_logarithm_of_softmax(x):
    with np.errstate(all="raise", under="ignore"):
        log_p = log_softmax(x)
    assert (log_p <= 0).all()
    np.testing.assert_allclose(np.exp(log_p), softmax(x), rtol=1e-12, atol=1e-300)


def test_log_softmax_is_exact_where_softmax_is_zero():
    log_p = log_softmax(np.array([0.0, -1e4, 1e4]))
    np.testing.assert_array_equal(log_p, [-1e4, -2e4, 0])


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.float64, (2, 4), elements=st.floats(-50, 50)), st.floats(-1e3, 1e3))
def test_softmax_is_the_textbook_formula_and_ignores_a_common_shift(x, shift):
    expected = [[math.exp(value) / sum(math.exp(other) for other in row) for value in row] for row in x.tolist()]
    np.testing.assert_allclose(softmax(x), expected, rtol=1e-13)
    np.testing.assert_allclose(softmax(x + shift), expected, rtol=1e-10)


@both_types
def test_softmax_of_an_excluded_class_is_zero(dtype):
    with np.errstate(all="raise", under="ignore"):
        p = softmax(np.array([[-np.inf, 1e4, 1e4]], dtype))
        log_p = log_softmax(np.array([[-np.inf, 1e4, 1e4]], dtype))
    np.testing.assert_array_equal(p, [[0, 0.5, 0.5]])
    np.testing.assert_allclose(log_p, [[-np.inf, -math.log(2), -math.log(2)]], rtol=1e-6)
    assert p.dtype == log_p.dtype == dtype
