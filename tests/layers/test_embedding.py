import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from variants import both_types

from rnncli.layers import word_embedding_backward, word_embedding_forward


def test_the_rows_are_looked_up():
    W = np.linspace(0, 1, 15).reshape(5, 3)
    out, _ = word_embedding_forward(np.array([[0, 3, 1, 2], [2, 1, 0, 3]]), W)
    published = [  # CS231n assignment 3
        [[0, 0.07142857, 0.14285714], [0.64285714, 0.71428571, 0.78571429]],
        [[0.21428571, 0.28571429, 0.35714286], [0.42857143, 0.5, 0.57142857]],
    ]
    np.testing.assert_allclose(out[0], [*published[0], *published[1]], atol=1e-8)
    np.testing.assert_array_equal(out[1], W[[2, 1, 0, 3]])


def test_the_output_is_not_a_window_on_the_table():
    W = np.ones((3, 2))
    out, _ = word_embedding_forward(np.array([[1]]), W)
    assert not np.shares_memory(out, W)


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 60)), elements=st.integers(0, 5)))
def test_the_gradient_adds_up_every_occurrence(x):
    W = np.zeros((8, 3))  # rows 6 and 7 never occur
    dout = np.random.default_rng(0).standard_normal((*x.shape, 3))
    _, cache = word_embedding_forward(x, W)
    expected = np.zeros_like(W)
    np.add.at(expected, x, dout)
    np.testing.assert_allclose(word_embedding_backward(dout, cache), expected, rtol=1e-12, atol=1e-13)


@both_types
def test_the_gradient_is_that_of_torch(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, W = rng.integers(0, 9, (6, 50)), rng.standard_normal((12, 4)).astype(dtype)
    dout = rng.standard_normal((6, 50, 4)).astype(dtype)
    table = torch.tensor(W, requires_grad=True)
    expected = torch.nn.functional.embedding(torch.tensor(x), table)
    (expected * torch.tensor(dout)).sum().backward()
    out, cache = word_embedding_forward(x, W)
    np.testing.assert_array_equal(out, expected.detach().numpy())
    np.testing.assert_allclose(word_embedding_backward(dout, cache), table.grad.numpy(), atol=100 * np.finfo(dtype).eps)


def test_a_token_outside_the_table_is_refused():
    with pytest.raises(IndexError, match="out of bounds"):
        word_embedding_forward(np.array([[0, 5]]), np.zeros((5, 2)))
