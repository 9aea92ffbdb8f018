import frameworks
import numpy as np
import plain_cells
import pytest
import variants
from variants import both_types, both_ways

from rnncli.layers import rnn_backward, rnn_forward, rnn_step_backward, rnn_step_forward

LENGTHS = [4, 1, 3]


def test_the_worked_numbers_of_cs231n_assignment_3_for_a_step():
    N, D, H = 3, 10, 4
    x = np.linspace(-0.4, 0.7, N * D).reshape(N, D)
    prev_h = np.linspace(-0.2, 0.5, N * H).reshape(N, H)
    Wx = np.linspace(-0.1, 0.9, D * H).reshape(D, H)
    Wh = np.linspace(-0.3, 0.7, H * H).reshape(H, H)
    b = np.linspace(-0.2, 0.4, H)
    published = [
        [-0.58172089, -0.50182032, -0.41232771, -0.31410098],
        [0.66854692, 0.79562378, 0.87755553, 0.92795967],
        [0.97934501, 0.99144213, 0.99646691, 0.99854353],
    ]
    next_h, _ = rnn_step_forward(x, prev_h, Wx, Wh, b)
    np.testing.assert_allclose(next_h, published, atol=1e-8)
    plain = [plain_cells.rnn_step(x[n], prev_h[n], Wx, Wh, b) for n in range(N)]
    np.testing.assert_allclose(plain, published, atol=1e-8)


def test_the_worked_numbers_of_cs231n_assignment_3_for_a_sequence():
    N, T, D, H = 2, 3, 4, 5
    x = np.linspace(-0.1, 0.3, N * T * D).reshape(N, T, D)
    h0 = np.linspace(-0.3, 0.1, N * H).reshape(N, H)
    Wx = np.linspace(-0.2, 0.4, D * H).reshape(D, H)
    Wh = np.linspace(-0.4, 0.1, H * H).reshape(H, H)
    b = np.linspace(-0.7, 0.1, H)
    published = [
        [
            [-0.42070749, -0.27279261, -0.11074945, 0.05740409, 0.22236251],
            [-0.39525808, -0.22554661, -0.0409454, 0.14649412, 0.32397316],
            [-0.42305111, -0.24223728, -0.04287027, 0.15997045, 0.35014525],
        ],
        [
            [-0.55857474, -0.39065825, -0.19198182, 0.02378408, 0.23735671],
            [-0.27150199, -0.07088804, 0.13562939, 0.33099728, 0.50158768],
            [-0.51014825, -0.30524429, -0.06755202, 0.17806392, 0.40333043],
        ],
    ]
    h, _ = rnn_forward(x, h0, Wx, Wh, b)
    np.testing.assert_allclose(h, published, atol=1e-8)
    np.testing.assert_allclose(plain_cells.rnn(x, h0, Wx, Wh, b), published, atol=1e-8)


@both_ways
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
def test_states_and_gradients_are_those_of_a_plain_loop(lengths, reverse):
    variants.check_against_plain(variants.RNN, lengths, reverse)


def test_the_concatenated_form_is_the_same_thing():
    x, h0, Wx, Wh, b = variants.draw(variants.RNN, N=3, T=5, D=4, H=6)
    W = np.concatenate([Wh, Wx])
    h, expected = h0, []
    for t in range(5):
        h = np.tanh(np.concatenate([h, x[:, t]], axis=1) @ W + b)
        expected.append(h)
    np.testing.assert_allclose(rnn_forward(x, h0, Wx, Wh, b)[0], np.stack(expected, axis=1), rtol=1e-13)


@both_ways
def test_states_are_those_of_onnx_runtime(reverse):
    x, *weights = variants.draw(variants.RNN, N=3, T=4, D=5, H=7, dtype=np.float32)
    for lengths in (None, LENGTHS):
        expected = frameworks.onnx_states(
            "RNN", x, [tuple(weights)], lengths=lengths, direction="reverse" if reverse else "forward"
        )
        h, _ = rnn_forward(x, *weights, lengths=lengths, reverse=reverse)
        np.testing.assert_allclose(h, expected[0], atol=2e-6)


def test_two_directions_are_those_of_onnx_runtime_side_by_side():
    x, *there = variants.draw(variants.RNN, N=3, T=4, D=5, H=7, dtype=np.float32)
    _, *back = variants.draw(variants.RNN, N=3, T=4, D=5, H=7, dtype=np.float32, seed=1)
    expected = frameworks.onnx_states("RNN", x, [tuple(there), tuple(back)], lengths=LENGTHS, direction="bidirectional")
    np.testing.assert_allclose(rnn_forward(x, *there, lengths=LENGTHS)[0], expected[0], atol=2e-6)
    np.testing.assert_allclose(rnn_forward(x, *back, lengths=LENGTHS, reverse=True)[0], expected[1], atol=2e-6)


@both_types
@both_ways
def test_states_and_gradients_are_those_of_torch(dtype, reverse):
    pytest.importorskip("torch")
    inputs = variants.draw(variants.RNN, N=5, T=6, D=4, H=8, dtype=dtype)
    dh = np.random.default_rng(1).standard_normal((5, 6, 8)).astype(dtype)
    for lengths in (None, [3, 6, 1, 6, 2]):
        expected, expected_grads = frameworks.torch_states_and_gradients(
            "RNN", inputs, dh, lengths=lengths, reverse=reverse
        )
        h, cache = rnn_forward(*inputs, lengths=lengths, reverse=reverse)
        scale = np.finfo(dtype).eps * 20
        np.testing.assert_allclose(h, expected, atol=scale)
        for name, got in zip(variants.RNN.names, rnn_backward(dh, cache), strict=True):
            want = expected_grads[name]
            np.testing.assert_allclose(got, want, atol=scale * np.abs(want).max(), err_msg=name)


def test_a_step_has_the_gradients_of_its_formula():
    x, prev_h, Wx, Wh, b = (a[:, 0] if a.ndim == 3 else a for a in variants.draw(variants.RNN, N=3, T=1, D=4, H=2))
    dnext_h = np.random.default_rng(1).standard_normal((3, 2))
    _, cache = rnn_step_forward(x, prev_h, Wx, Wh, b)
    expected = plain_cells.complex_step_gradients(plain_cells.rnn_step, (x, prev_h, Wx, Wh, b), dnext_h)
    for got, want in zip(rnn_step_backward(dnext_h, cache), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


def test_saturated_units_neither_overflow_nor_move():
    x, h0, Wx, Wh, b = variants.draw(variants.RNN, N=2, T=3, D=3, H=4, dtype=np.float32)
    for huge in (np.float32(1e4), np.float32(np.inf)):
        signs = np.array([1, -1, 1, -1], np.float32)
        with np.errstate(all="raise", under="ignore"):
            h, cache = rnn_forward(x, h0, Wx, Wh, b + huge * signs)
            grads = rnn_backward(np.ones_like(h), cache)
        np.testing.assert_array_equal(h, np.broadcast_to(signs, h.shape))
        for grad in grads:
            np.testing.assert_array_equal(grad, 0)
