"""A bag of features: sums of rows of a table."""

import numpy as np

from rnncli.layers import bag_backward, bag_forward
from rnncli.layers.bags import bag_backward_rows

W = np.arange(12, dtype=np.float64).reshape(6, 2) + 1
ROWS, SEQUENCES = np.array([4, 0, 4, 5]), np.array([0, 0, 2, 2])


def test_each_sequence_gets_the_sum_of_its_rows():
    out, _ = bag_forward(ROWS, SEQUENCES, 4, None, W)
    np.testing.assert_array_equal(out, [W[4] + W[0], [0, 0], W[4] + W[5], [0, 0]])


def test_values_multiply_the_rows():
    values = np.array([[1.0, 2], [3, 4], [5, 6], [0, 0]])
    out, _ = bag_forward(ROWS, SEQUENCES, 3, values, W)
    np.testing.assert_array_equal(out, [W[4] * [1, 2] + W[0] * [3, 4], [0, 0], W[4] * [5, 6]])


def test_the_gradient_by_rows_is_the_dense_one_without_its_zeros():
    dout = np.array([[1.0, -1], [10, 10], [0.5, 2]])
    _, cache = bag_forward(ROWS, SEQUENCES, 3, None, W)
    rows, values = bag_backward_rows(dout, cache)
    assert rows.tolist() == [0, 4, 5]
    np.testing.assert_array_equal(values, [dout[0], dout[0] + dout[2], dout[2]])
    dense = bag_backward(dout, cache)
    np.testing.assert_array_equal(dense[rows], values)
    assert not dense[[1, 2, 3]].any()


def test_an_empty_bag_is_zero_and_has_no_gradient():
    nothing = np.empty(0, np.int64)
    out, cache = bag_forward(nothing, nothing, 2, None, W.astype(np.float32))
    assert (out.shape, out.dtype, out.any()) == ((2, 2), np.float32, False)
    rows, values = bag_backward_rows(np.ones((2, 2), np.float32), cache)
    assert (rows.shape, values.shape, values.dtype) == ((0,), (0, 2), np.float32)
