"""What holds for every cell over a dense batch: ragged and dense, batch and single sequence, step and sequence."""

import numpy as np
import pytest
import variants
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import both_types, both_ways, every_variant

from rnncli import layers
from rnncli.layers.sequence import sequence_backward, sequence_forward

# Measured over 80 draws a cell: products of other sizes round differently, and a step's rounding grows with the steps
# after it, so that states (in [-1, 1]) came apart by at most 10 eps over 30 steps and by 3 eps at the sizes used here.
STATE_EPS = 8
# Sums over all steps, relative to the largest entry of a gradient.
GRADIENT_EPS = 40


def assert_states_close(got, want):
    assert np.abs(got - want).max() <= STATE_EPS * np.finfo(want.dtype).eps


def assert_gradients_close(got, want, name=""):
    assert got.dtype == want.dtype
    tolerance = GRADIENT_EPS * np.finfo(want.dtype).eps * np.abs(want).max()
    np.testing.assert_allclose(got, want, rtol=0, atol=tolerance, err_msg=name)


def one_sequence(variant, inputs, n, length):
    x, h0, *weights = inputs
    if variant.extra == "c0":
        weights[-1] = weights[-1][n : n + 1]
    return x[n : n + 1, :length], h0[n : n + 1], *weights


@both_types
@both_ways
@every_variant
def test_a_ragged_batch_is_its_sequences_one_by_one(variant, reverse, dtype):
    lengths = [2, 5, 1, 5, 3]
    inputs = variants.draw(variant, N=5, T=5, D=3, H=4, dtype=dtype)
    dh = np.random.default_rng(1).standard_normal((5, 5, 4)).astype(dtype)
    h, cache = variant.forward(*inputs, lengths=lengths, reverse=reverse)
    grads = dict(zip(variant.names, variant.backward(dh, cache), strict=True))
    shared = {name: np.zeros_like(grads[name]) for name in variant.names if name not in ("x", "h0", "c0")}
    for n, length in enumerate(lengths):
        alone = one_sequence(variant, inputs, n, length)
        h_alone, cache_alone = variant.forward(*alone, reverse=reverse)
        assert_states_close(h[n : n + 1, :length], h_alone)
        np.testing.assert_array_equal(h[n, length:], 0)
        grads_alone = dict(zip(variant.names, variant.backward(dh[n : n + 1, :length], cache_alone), strict=True))
        assert_gradients_close(grads["x"][n : n + 1, :length], grads_alone["x"])
        np.testing.assert_array_equal(grads["x"][n, length:], 0)
        for name in {"h0", "c0"} & set(grads):
            assert_gradients_close(grads[name][n : n + 1], grads_alone[name], name)
        for name, total in shared.items():
            total += grads_alone[name]
    for name, total in shared.items():
        assert_gradients_close(grads[name], total, name)


@both_ways
@every_variant
def test_lengths_of_t_are_no_lengths(variant, reverse):
    inputs = variants.draw(variant, N=3, T=4, D=3, H=4)
    h, cache = variant.forward(*inputs, reverse=reverse)
    h_ragged, cache_ragged = variant.forward(*inputs, lengths=[4, 4, 4], reverse=reverse)
    np.testing.assert_array_equal(h, h_ragged)
    for a, b in zip(variant.backward(h, cache), variant.backward(h, cache_ragged), strict=True):
        np.testing.assert_array_equal(a, b)


@both_ways
@every_variant
def test_what_lies_beyond_a_length_is_never_read(variant, reverse):
    lengths = np.array([2, 4, 1])
    x, *others = variants.draw(variant, N=3, T=4, D=3, H=4)
    dh = np.random.default_rng(1).standard_normal((3, 4, 4))
    h, cache = variant.forward(x, *others, lengths=lengths, reverse=reverse)
    grads = variant.backward(dh, cache)
    beyond = np.arange(4) >= lengths[:, None]
    x[beyond], dh[beyond] = np.nan, np.nan
    h_nan, cache_nan = variant.forward(x, *others, lengths=lengths, reverse=reverse)
    np.testing.assert_array_equal(h, h_nan)
    for a, b in zip(grads, variant.backward(dh, cache_nan), strict=True):
        np.testing.assert_array_equal(a, b)


@every_variant
def test_reverse_is_the_forward_direction_of_turned_sequences(variant):
    lengths = np.array([2, 5, 1, 5, 3])
    x, *others = variants.draw(variant, N=5, T=5, D=3, H=4)
    dh = np.random.default_rng(1).standard_normal((5, 5, 4))

    def turned(a):
        out = a.copy()
        for n, length in enumerate(lengths):
            out[n, :length] = a[n, :length][::-1]
        return out

    h, cache = variant.forward(x, *others, lengths=lengths, reverse=True)
    h_turned, cache_turned = variant.forward(turned(x), *others, lengths=lengths)
    assert_states_close(turned(h), h_turned)
    dx, *grads = variant.backward(dh, cache)
    dx_turned, *grads_turned = variant.backward(turned(dh), cache_turned)
    assert_gradients_close(turned(dx), np.where(dx_turned == 0, 0.0, dx_turned))
    for a, b in zip(grads, grads_turned, strict=True):
        assert_gradients_close(a, b)


@settings(max_examples=30, deadline=None)
@given(
    variant=st.sampled_from(variants.ALL),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=7),
    reverse=st.booleans(),
    seed=st.integers(0, 99),
)
def test_the_order_of_the_batch_does_not_matter(variant, lengths, reverse, seed):
    N = len(lengths)
    inputs = variants.draw(variant, N=N, T=6, D=3, H=2, seed=seed)
    order = np.random.default_rng(seed).permutation(N)
    shuffled = [a[order] if name in ("x", "h0", "c0") else a for name, a in zip(variant.names, inputs, strict=True)]
    h, cache = variant.forward(*inputs, lengths=lengths, reverse=reverse)
    h_shuffled, cache_shuffled = variant.forward(*shuffled, lengths=np.array(lengths)[order], reverse=reverse)
    assert_states_close(h_shuffled, h[order])
    grads = variant.backward(np.ones_like(h), cache)
    grads_shuffled = variant.backward(np.ones_like(h), cache_shuffled)
    for name, a, b in zip(variant.names, grads, grads_shuffled, strict=True):
        assert_gradients_close(b, a[order] if name in ("x", "h0", "c0") else a, name)


@both_types
@every_variant
def test_steps_agree_with_the_sequence_to_the_last_few_bits(variant, dtype):
    N, T, H = 3, 5, 6
    inputs = variants.draw(variant, N=N, T=T, D=4, H=H, dtype=dtype)
    x, h0, Wx, Wh, b, *more = inputs
    h, cache = variant.forward(*inputs)
    dh = np.random.default_rng(1).standard_normal(h.shape).astype(dtype)
    state = h0
    cell_state = more[0] if variant.extra == "c0" else np.zeros_like(h0)
    caches = []
    for t in range(T):
        if variant.gates == 4:
            state, cell_state, step_cache = layers.lstm_step_forward(x[:, t], state, cell_state, Wx, Wh, b)
        elif variant.gates == 3:
            form = {"reset": "after", "bhn": more[0] if more else None} if "after" in variant.name else {}
            state, step_cache = layers.gru_step_forward(x[:, t], state, Wx, Wh, b, **form)
        else:
            state, step_cache = layers.rnn_step_forward(x[:, t], state, Wx, Wh, b)
        assert state.dtype == dtype
        assert_states_close(state, h[:, t])
        caches.append(step_cache)

    dstate, dcell = np.zeros_like(h0), np.zeros_like(h0)
    totals = {name: np.zeros_like(a) for name, a in zip(variant.names, inputs, strict=True)}
    for t in reversed(range(T)):
        dnext = dh[:, t] + dstate
        if variant.gates == 4:
            dx, dstate, dcell, *dweights = layers.lstm_step_backward(dnext, dcell, caches[t])
        else:
            backward = layers.gru_step_backward if variant.gates == 3 else layers.rnn_step_backward
            dx, dstate, *dweights = backward(dnext, caches[t])
        totals["x"][:, t] = dx
        for name, dweight in zip([n for n in variant.names if n not in ("x", "h0", "c0")], dweights, strict=True):
            totals[name] += dweight
    totals["h0"] = dstate
    if variant.extra == "c0":
        totals["c0"] = dcell
    for name, grad in zip(variant.names, variant.backward(dh, cache), strict=True):
        assert_gradients_close(totals[name], grad, name)


@every_variant
def test_the_wider_type_wins_and_half_precision_is_computed_in_single(variant):
    inputs = variants.draw(variant, N=2, T=3, D=3, H=4, dtype=np.float32)
    for k in range(len(inputs) - (variant.extra == "c0")):
        mixed = [a.astype(np.float64) if i == k else a for i, a in enumerate(inputs)]
        h, cache = variant.forward(*mixed)
        assert h.dtype == np.float64
        assert {grad.dtype for grad in variant.backward(h, cache)} == {np.dtype(np.float64)}
    h, cache = variant.forward(*(a.astype(np.float16) for a in inputs))
    assert h.dtype == np.float32
    assert {grad.dtype for grad in variant.backward(h, cache)} == {np.dtype(np.float32)}


def test_impossible_lengths_are_refused():
    inputs = variants.draw(variants.RNN, N=2, T=3, D=3, H=4)
    with pytest.raises(ValueError, match="4 exceeds the 3 steps"):
        layers.rnn_forward(*inputs, lengths=[4, 1])
    for lengths in ([0, 3], [-1, 3]):
        with pytest.raises(ValueError, match="integers of at least 1"):
            layers.rnn_forward(*inputs, lengths=lengths)


@pytest.mark.parametrize("wrong", [{"lengths": [3, 1]}, {"h0": np.zeros((4, 4))}], ids=["lengths", "h0"])
def test_another_number_of_sequences_is_refused_rather_than_cut_off(wrong):
    x, h0, *weights = variants.draw(variants.RNN, N=3, T=3, D=3, H=4)
    with pytest.raises(ValueError, match="x has 3"):
        layers.rnn_forward(x, wrong.get("h0", h0), *weights, lengths=wrong.get("lengths"))


@every_variant
def test_lists_are_taken_for_arrays(variant):
    inputs = variants.draw(variant, N=2, T=3, D=3, H=4)
    h, _ = variant.forward(*inputs)
    h_lists, _ = variant.forward(*(a.tolist() for a in inputs))
    np.testing.assert_array_equal(h_lists, h)


@both_ways
@both_types
def test_the_final_states_are_those_after_the_last_step(dtype, reverse):
    lengths = np.array([2, 4, 1])
    x, h0, Wx, Wh, b, c0 = variants.draw(variants.LSTM_C0, N=3, T=4, D=3, H=2, dtype=dtype)
    h, final_h, final_c, cache = sequence_forward(
        layers.LSTM, x, h0, (Wx, Wh, b), c0=c0, lengths=lengths, reverse=reverse
    )
    last = np.zeros(3, int) if reverse else lengths - 1
    np.testing.assert_array_equal(final_h, h[np.arange(3), last])
    assert final_c.dtype == dtype
    dh = np.zeros_like(h)
    dfinal_c = np.random.default_rng(1).standard_normal(final_c.shape).astype(dtype)
    dx, dh0, dc0, *dweights, _ = sequence_backward(dh, cache, dfinal_c=dfinal_c)
    totals = [np.zeros_like(dweight) for dweight in dweights]
    for n, length in enumerate(lengths):
        _, _, final_c_alone, alone = sequence_forward(
            layers.LSTM, x[n : n + 1, :length], h0[n : n + 1], (Wx, Wh, b), c0=c0[n : n + 1], reverse=reverse
        )
        np.testing.assert_allclose(final_c[n], final_c_alone[0], rtol=0, atol=STATE_EPS * np.finfo(dtype).eps)
        dx_alone, dh0_alone, dc0_alone, *dweights_alone, _ = sequence_backward(
            dh[n : n + 1, :length], alone, dfinal_c=dfinal_c[n : n + 1]
        )
        assert_gradients_close(dx[n : n + 1, :length], dx_alone)
        assert_gradients_close(dh0[n : n + 1], dh0_alone)
        assert_gradients_close(dc0[n : n + 1], dc0_alone)
        for total, dweight in zip(totals, dweights_alone, strict=True):
            total += dweight
    for total, dweight in zip(totals, dweights, strict=True):
        assert_gradients_close(dweight, total)
