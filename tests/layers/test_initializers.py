import numpy as np
import pytest

from rnncli.layers import glorot_uniform, orthogonal

every_shape = pytest.mark.parametrize("shape", [(60, 20), (20, 60), (40, 40), (1, 7), (1, 1)], ids=str)


@every_shape
def test_glorot_fills_its_limits_evenly(shape):
    rng = np.random.default_rng(0)
    limit = np.sqrt(6 / (shape[0] + shape[1]))
    draws = np.concatenate([glorot_uniform(shape, rng).ravel() for _ in range(1 + 20_000 // np.prod(shape))])
    assert np.abs(draws).max() <= limit
    assert np.abs(draws).max() > 0.999 * limit
    # A uniform distribution on [-limit, limit] has variance limit^2 / 3; five standard deviations are allowed.
    assert draws.mean() == pytest.approx(0, abs=5 * limit / np.sqrt(3 * len(draws)))
    assert draws.var() == pytest.approx(limit**2 / 3, rel=5 * np.sqrt(0.8 / len(draws)))


@every_shape
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    q = orthogonal(shape, np.random.default_rng(0))
    assert q.shape == shape
    product = q @ q.T if shape[0] <= shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-13)


def test_an_orthogonal_matrix_keeps_the_length_of_a_state():
    rng = np.random.default_rng(0)
    state = rng.standard_normal((5, 32))
    moved = state @ np.linalg.matrix_power(orthogonal((32, 32), rng), 500)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), np.linalg.norm(state, axis=1), rtol=1e-10)


def test_orthogonal_matrices_are_drawn_uniformly():
    # A QR factorisation alone favours one sign; over all orthogonal matrices every entry is even about zero and has
    # the mean square 1 / H, and rotations are as likely as reflections.
    draws = np.array([orthogonal((3, 3), np.random.default_rng(seed)) for seed in range(2000)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=5 / np.sqrt(3 * 2000))
    np.testing.assert_allclose((draws**2).mean(axis=0), 1 / 3, atol=5 * 0.3 / np.sqrt(2000))
    assert np.linalg.det(draws).mean() == pytest.approx(0, abs=5 / np.sqrt(2000))


@pytest.mark.parametrize("draw", [glorot_uniform, orthogonal])
def test_the_seed_decides_and_the_generator_moves_on(draw):
    rng = np.random.default_rng(4)
    first, second = draw((6, 5), rng), draw((6, 5), rng)
    assert first.dtype == np.float64
    np.testing.assert_array_equal(first, draw((6, 5), np.random.default_rng(4)))
    assert (first != second).all()
