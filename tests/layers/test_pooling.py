import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_cells import complex_step_gradients

from rnncli.layers import (
    attention_pooling_backward,
    attention_pooling_forward,
    attention_weights,
    last_pooling_backward,
    last_pooling_forward,
    max_pooling_backward,
    max_pooling_forward,
    mean_pooling_backward,
    mean_pooling_forward,
)
from rnncli.packing import make_packing, pack, unpack

H = 3
some_lengths = st.lists(st.integers(1, 7), min_size=1, max_size=6).map(np.array)


def draw(lengths, seed=0):
    """Return the layout, packed states, and the states of each sequence in packed order."""
    packing = make_packing(lengths)
    h = np.random.default_rng(seed).standard_normal((packing.rows, H))
    dense = unpack(h, packing, lengths.max())
    return packing, h, [dense[n, : lengths[n]] for n in packing.order]


def dense_gradient(dh, packing, lengths):
    dense = unpack(dh, packing, lengths.max())
    return [dense[n, : lengths[n]] for n in packing.order]


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_last_takes_the_last_real_step(lengths):
    packing, h, sequences = draw(lengths)
    out, cache = last_pooling_forward(h, packing)
    np.testing.assert_array_equal(out, [states[-1] for states in sequences])
    dout = np.random.default_rng(1).standard_normal(out.shape)
    for dstates, row in zip(dense_gradient(last_pooling_backward(dout, cache), packing, lengths), dout, strict=True):
        np.testing.assert_array_equal(dstates[-1], row)
        np.testing.assert_array_equal(dstates[:-1], 0)


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_last_of_a_reverse_layer_takes_the_first_step(lengths):
    packing, h, sequences = draw(lengths)
    out, cache = last_pooling_forward(h, packing, reverse=True)
    np.testing.assert_array_equal(out, [states[0] for states in sequences])
    dout = np.random.default_rng(1).standard_normal(out.shape)
    for dstates, row in zip(dense_gradient(last_pooling_backward(dout, cache), packing, lengths), dout, strict=True):
        np.testing.assert_array_equal(dstates[0], row)
        np.testing.assert_array_equal(dstates[1:], 0)


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_mean_averages_real_steps_alone(lengths):
    packing, h, sequences = draw(lengths)
    out, cache = mean_pooling_forward(h, packing)
    np.testing.assert_allclose(out, [states.mean(axis=0) for states in sequences], rtol=1e-12, atol=1e-15)
    dout = np.random.default_rng(1).standard_normal(out.shape)
    for dstates, row in zip(dense_gradient(mean_pooling_backward(dout, cache), packing, lengths), dout, strict=True):
        np.testing.assert_allclose(dstates, np.tile(row / len(dstates), (len(dstates), 1)), rtol=1e-14)


def test_mean_has_the_gradient_of_its_formula():
    lengths = np.array([2, 4, 1])
    packing, h, _ = draw(lengths)

    def plain(h):
        return np.stack([sum(h[packing.offsets[t] + j] for t in range(n)) / n for j, n in enumerate(packing.lengths)])

    out, cache = mean_pooling_forward(h, packing)
    dout = np.random.default_rng(1).standard_normal(out.shape)
    np.testing.assert_allclose(
        mean_pooling_backward(dout, cache), complex_step_gradients(plain, (h,), dout)[0], rtol=1e-13
    )


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_max_takes_the_largest_and_sends_the_gradient_there(lengths):
    packing, h, sequences = draw(lengths)
    h -= 5  # all below zero: a maximum over zero padding would show
    out, cache = max_pooling_forward(h, packing)
    np.testing.assert_array_equal(out, [states.max(axis=0) - 5 for states in sequences])
    dout = np.random.default_rng(1).standard_normal(out.shape)
    dsequences = dense_gradient(max_pooling_backward(dout, cache), packing, lengths)
    for states, dstates, row in zip(sequences, dsequences, dout, strict=True):
        expected = np.zeros_like(states)
        expected[states.argmax(axis=0), np.arange(H)] = row
        np.testing.assert_array_equal(dstates, expected)


def test_of_equal_maxima_the_first_counts():
    lengths = np.array([3, 2])
    packing = make_packing(lengths)
    h = pack(np.array([[[1.0], [2.0], [2.0]], [[7.0], [7.0], [9.0]]]), packing)
    out, cache = max_pooling_forward(h, packing)
    np.testing.assert_array_equal(out, [[2], [7]])
    dh = unpack(max_pooling_backward(np.array([[1.0], [1.0]]), cache), packing, 3)
    np.testing.assert_array_equal(dh[:, :, 0], [[0, 1, 0], [1, 0, 0]])


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_attention_weighs_real_steps_alone(lengths):
    packing, h, sequences = draw(lengths)
    w = np.array([2.0, -1.0, 0.5])
    raised = [np.exp(states @ w) for states in sequences]
    out, cache = attention_pooling_forward(h, w, packing)
    expected = [own @ states / own.sum() for own, states in zip(raised, sequences, strict=True)]
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-15)
    weights = unpack(attention_weights(h, w, packing)[:, None], packing, lengths.max())[packing.order, :, 0]
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-14)
    dh, _ = attention_pooling_backward(np.ones_like(out), cache)
    assert np.isfinite(dh).all()


def test_attention_has_the_gradient_of_its_formula():
    lengths = np.array([2, 4, 1])
    packing, h, _ = draw(lengths)
    w = np.array([0.7, -1.0, 0.5])

    def plain(h, w):
        out = []
        for j, n in enumerate(packing.lengths):
            rows = [h[packing.offsets[t] + j] for t in range(n)]
            raised = [np.exp(row @ w) for row in rows]
            out.append(sum(e * row for e, row in zip(raised, rows, strict=True)) / sum(raised))
        return np.stack(out)

    out, cache = attention_pooling_forward(h, w, packing)
    dout = np.random.default_rng(1).standard_normal(out.shape)
    for got, wanted in zip(
        attention_pooling_backward(dout, cache), complex_step_gradients(plain, (h, w), dout), strict=True
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15)


def test_attention_of_zeros_is_the_mean_and_large_scores_overflow_nothing():
    packing, h, sequences = draw(np.array([3, 1, 5]))
    out, _ = attention_pooling_forward(h, np.zeros(H), packing)
    np.testing.assert_allclose(out, mean_pooling_forward(h, packing)[0], rtol=1e-14)
    w = np.array([1e6, 0.0, 0.0])  # all the weight goes to the step that scores highest
    out, cache = attention_pooling_forward(h.astype(np.float32), w.astype(np.float32), packing)
    np.testing.assert_array_equal(out, [states[states[:, 0].argmax()].astype(np.float32) for states in sequences])
    dh, dw = attention_pooling_backward(np.ones_like(out), cache)
    assert np.isfinite(dh).all()
    assert np.isfinite(dw).all()


def attention_pool(h, packing):
    return attention_pooling_forward(h, np.arange(1.0, 1 + h.shape[1]), packing)


@pytest.mark.parametrize("pool", [last_pooling_forward, mean_pooling_forward, max_pooling_forward, attention_pool])
def test_one_step_pools_to_itself(pool):
    packing, h, _ = draw(np.array([1, 1, 1]))
    out, _ = pool(h, packing)
    np.testing.assert_array_equal(out, h)
    assert not np.shares_memory(out, h)
