import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_cells import complex_step_gradients

from rnncli.layers import (
    activation_penalty_backward,
    activation_penalty_forward,
    slowness_penalty_backward,
    slowness_penalty_forward,
)
from rnncli.packing import make_packing, unpack

H = 3
some_lengths = st.lists(st.integers(1, 7), min_size=1, max_size=6).map(np.array)


def draw(lengths):
    packing = make_packing(lengths)
    h = np.random.default_rng(0).standard_normal((packing.rows, H))
    dense = unpack(h, packing, lengths.max())
    return packing, h, [dense[n, : lengths[n]] for n in range(len(lengths))]


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_activation_is_the_mean_square_of_real_steps(lengths):
    _, h, sequences = draw(lengths)
    out, cache = activation_penalty_forward(h)
    assert out == pytest.approx(np.mean(np.concatenate(sequences) ** 2))
    dh = activation_penalty_backward(np.array(3.0), cache)
    np.testing.assert_allclose(dh, 3 * 2 * h / h.size, rtol=1e-14)


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_slowness_is_the_mean_square_of_changes_within_sequences(lengths):
    packing, h, sequences = draw(lengths)
    changes = np.concatenate([np.diff(states, axis=0) for states in sequences])
    out, cache = slowness_penalty_forward(h, packing)
    assert out == pytest.approx(np.mean(changes**2) if changes.size else 0)
    dh = slowness_penalty_backward(np.array(3.0), cache)
    for state, own in zip(unpack(dh, packing, lengths.max()), sequences, strict=True):
        change = np.diff(own, axis=0, prepend=own[:1], append=own[-1:])
        expected = 6 * (change[:-1] - change[1:]) / max(1, changes.size)
        np.testing.assert_allclose(state[: len(own)], expected, rtol=1e-12, atol=1e-15)
        assert not state[len(own) :].any()


def test_slowness_has_the_gradient_of_its_formula():
    packing, h, _ = draw(np.array([2, 4, 1, 4]))

    def plain(h):
        total, count = 0, 0
        for j, n in enumerate(packing.lengths):
            for t in range(1, n):
                total = total + np.sum((h[packing.offsets[t] + j] - h[packing.offsets[t - 1] + j]) ** 2)
                count += H
        return np.array(total / count)

    _, cache = slowness_penalty_forward(h, packing)
    expected = complex_step_gradients(plain, (h,), np.array(1.5))[0]
    np.testing.assert_allclose(slowness_penalty_backward(np.array(1.5), cache), expected, rtol=1e-12, atol=1e-15)


def test_the_penalties_of_parts_add_up():
    packing, h, sequences = draw(np.array([3, 5, 1]))
    whole = [activation_penalty_forward(h)[0], slowness_penalty_forward(h, packing)[0]]
    parts = np.zeros(2)
    for own in sequences:
        alone = make_packing(np.array([len(own)]))
        parts += activation_penalty_forward(own, rows=9)[0], slowness_penalty_forward(own, alone, changes=6)[0]
    np.testing.assert_allclose(parts, whole, rtol=1e-14)
