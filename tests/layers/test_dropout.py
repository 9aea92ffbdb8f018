import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import both_types

from rnncli.layers import dropout_backward, dropout_forward, dropout_mask

FLOAT32 = np.dtype(np.float32)


@both_types
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_a_factor_is_zero_at_the_rate_and_one_on_average(rate, dtype):
    count = 200_000
    mask = dropout_mask((count,), rate, np.random.default_rng(3), np.dtype(dtype))
    assert mask.dtype == dtype
    assert set(np.unique(mask)) == {dtype(0), dtype(1 / (1 - rate))}
    spread = 5 * np.sqrt(rate * (1 - rate) / count)  # five standard deviations
    assert np.mean(mask == 0) == pytest.approx(rate, abs=spread)
    assert np.mean(mask, dtype=np.float64) == pytest.approx(1, abs=spread / (1 - rate))


@both_types
def test_rate_zero_drops_nothing(dtype):
    np.testing.assert_array_equal(dropout_mask((50, 20), 0.0, np.random.default_rng(0), np.dtype(dtype)), 1)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.floats(0, 0.99))
def test_the_seed_decides_and_the_generator_moves_on(seed, rate):
    rng = np.random.default_rng(seed)
    first, second = (dropout_mask((40, 50), rate, rng, FLOAT32) for _ in range(2))
    np.testing.assert_array_equal(first, dropout_mask((40, 50), rate, np.random.default_rng(seed), FLOAT32))
    if 0.05 < rate < 0.95:
        assert (first != second).any()


def test_both_types_drop_the_same_places():
    single, double = (dropout_mask((99,), 0.3, np.random.default_rng(1), np.dtype(t)) for t in (np.float32, float))
    np.testing.assert_array_equal(single == 0, double == 0)


def test_forward_and_backward_multiply_by_the_mask():
    rng = np.random.default_rng(0)
    x, dout = rng.standard_normal((2, 5, 4))
    mask = dropout_mask(x.shape, 0.5, rng, x.dtype)
    out, cache = dropout_forward(x, mask)
    dx = dropout_backward(dout, cache)
    for place in np.ndindex(x.shape):
        factor = 2.0 if mask[place] else 0.0
        assert out[place] == x[place] * factor
        assert dx[place] == dout[place] * factor
