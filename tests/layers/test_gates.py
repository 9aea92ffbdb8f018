"""Gates in memory, and products in pieces."""

import numpy as np
import pytest

from rnncli.layers.gates import HALF, ONE, cut_columns, multiply, split_gates, step_gates


def test_gates_are_split_along_the_columns_without_a_copy():
    a = np.arange(24).reshape(2, 12)
    gates = split_gates(a, 4)
    assert gates.shape == (4, 2, 3)
    np.testing.assert_array_equal(gates[1], a[:, 3:6])
    assert np.shares_memory(gates, a)


def test_a_step_holds_its_gates_one_after_the_other():
    rows = np.arange(24).reshape(2, 12)
    gates = step_gates(rows, 4)
    np.testing.assert_array_equal(gates.ravel(), np.arange(24))
    assert gates.shape == (4, 2, 3)
    assert np.shares_memory(gates, rows)


def test_constants_leave_the_type_of_an_array():
    for dtype in (np.float32, np.float64):
        assert (np.ones(2, dtype) * HALF + ONE).dtype == dtype


@pytest.mark.parametrize(
    ("n", "K", "H", "gates", "shape"),
    [
        (64, 128, 128, 4, (4, 2, 128, 64)),  # halves are small products
        (64, 128, 96, 4, (4, 128, 96)),  # small as they are
        (64, 512, 128, 1, (512, 128)),  # so many pieces as would be needed are too narrow
        (1, 8, 5, 3, (8, 15)),  # one row
    ],
)
def test_products_in_pieces_are_the_product(n, K, H, gates, shape):
    rng = np.random.default_rng(0)
    a, W = rng.standard_normal((n, K)), rng.standard_normal((K, gates * H))
    pieces = cut_columns(W, gates, n)
    assert pieces.shape == shape
    out = np.empty((gates, n, H) if gates > 1 else (n, H))
    multiply(a, pieces, out)
    np.testing.assert_allclose(out.reshape(gates, n, H), split_gates(a @ W, gates), rtol=1e-12, atol=1e-12)
