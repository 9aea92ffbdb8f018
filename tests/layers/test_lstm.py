import frameworks
import numpy as np
import plain_cells
import pytest
import variants
from variants import both_types, both_ways

from rnncli.layers import lstm_backward, lstm_forward, lstm_step_backward, lstm_step_forward

LENGTHS = [4, 1, 3]


def test_the_worked_numbers_of_cs231n_assignment_3_for_a_step():
    N, D, H = 3, 4, 5
    x = np.linspace(-0.4, 1.2, N * D).reshape(N, D)
    prev_h = np.linspace(-0.3, 0.7, N * H).reshape(N, H)
    prev_c = np.linspace(-0.4, 0.9, N * H).reshape(N, H)
    Wx = np.linspace(-2.1, 1.3, 4 * D * H).reshape(D, 4 * H)
    Wh = np.linspace(-0.7, 2.2, 4 * H * H).reshape(H, 4 * H)
    b = np.linspace(0.3, 0.7, 4 * H)
    published_h = [
        [0.24635157, 0.28610883, 0.32240467, 0.35525807, 0.38474904],
        [0.49223563, 0.55611431, 0.61507696, 0.66844003, 0.7159181],
        [0.56735664, 0.66310127, 0.74419266, 0.80889665, 0.858299],
    ]
    published_c = [
        [0.32986176, 0.39145139, 0.451556, 0.51014116, 0.56717407],
        [0.66382255, 0.76674007, 0.87195994, 0.97902709, 1.08751345],
        [0.74192008, 0.90592151, 1.07717006, 1.25120233, 1.42395676],
    ]
    next_h, next_c, _ = lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b)
    np.testing.assert_allclose(next_h, published_h, atol=1e-8)
    np.testing.assert_allclose(next_c, published_c, atol=1e-8)
    for n in range(N):
        h, c = plain_cells.lstm_step(x[n], prev_h[n], prev_c[n], Wx, Wh, b)
        np.testing.assert_allclose(h, published_h[n], atol=1e-8)
        np.testing.assert_allclose(c, published_c[n], atol=1e-8)


def test_the_worked_numbers_of_cs231n_assignment_3_for_a_sequence():
    N, D, H, T = 2, 5, 4, 3
    x = np.linspace(-0.4, 0.6, N * T * D).reshape(N, T, D)
    h0 = np.linspace(-0.4, 0.8, N * H).reshape(N, H)
    Wx = np.linspace(-0.2, 0.9, 4 * D * H).reshape(D, 4 * H)
    Wh = np.linspace(-0.3, 0.6, 4 * H * H).reshape(H, 4 * H)
    b = np.linspace(0.2, 0.7, 4 * H)
    published = [
        [
            [0.01764008, 0.01823233, 0.01882671, 0.0194232],
            [0.11287491, 0.12146228, 0.13018446, 0.13902939],
            [0.31358768, 0.33338627, 0.35304453, 0.37250975],
        ],
        [
            [0.45767879, 0.4761092, 0.4936887, 0.51041945],
            [0.6704845, 0.69350089, 0.71486014, 0.7346449],
            [0.81733511, 0.83677871, 0.85403753, 0.86935314],
        ],
    ]
    h, _ = lstm_forward(x, h0, Wx, Wh, b)
    np.testing.assert_allclose(h, published, atol=1e-8)
    np.testing.assert_allclose(plain_cells.lstm(x, h0, Wx, Wh, b), published, atol=1e-8)


@both_ways
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("variant", [variants.LSTM, variants.LSTM_C0], ids=lambda variant: variant.name)
def test_states_and_gradients_are_those_of_a_plain_loop(variant, lengths, reverse):
    variants.check_against_plain(variant, lengths, reverse)


def test_the_cell_state_is_carried_from_step_to_step():
    # Input gate shut, forget and output gate open: the cell keeps c0 for ever, and its gradient comes back whole.
    H = 2
    b = np.repeat([-np.inf, np.inf, np.inf, 0.0], H)
    x, h0, c0 = np.ones((1, 5, 3)), np.zeros((1, H)), np.array([[0.5, -2.0]])
    h, cache = lstm_forward(x, h0, np.zeros((3, 4 * H)), np.zeros((H, 4 * H)), b, c0=c0)
    np.testing.assert_array_equal(h, np.broadcast_to(np.tanh(c0), (1, 5, H)))
    *_, dc0 = lstm_backward(np.ones_like(h), cache)
    np.testing.assert_allclose(dc0, 5 * (1 - np.tanh(c0) ** 2), rtol=1e-14)


def test_an_open_input_gate_adds_up_what_it_sees():
    # c after t steps is t * tanh(1): a loop that starts each step from the first cell state would stay at tanh(1).
    b = np.array([np.inf, np.inf, np.inf, 1.0])
    h, _ = lstm_forward(np.zeros((1, 4, 1)), np.zeros((1, 1)), np.zeros((1, 4)), np.zeros((1, 4)), b)
    np.testing.assert_allclose(h[0, :, 0], np.tanh(np.arange(1, 5) * np.tanh(1)), rtol=1e-14)


def test_the_cell_starts_at_zero_unless_given():
    inputs = variants.draw(variants.LSTM, N=2, T=3, D=3, H=4)
    h, cache = lstm_forward(*inputs)
    with_zeros, cache_of_zeros = lstm_forward(*inputs, c0=np.zeros((2, 4)))
    np.testing.assert_array_equal(h, with_zeros)
    assert len(lstm_backward(h, cache)) == 5
    assert len(lstm_backward(h, cache_of_zeros)) == 6


@both_ways
def test_states_are_those_of_onnx_runtime(reverse):
    x, *weights = variants.draw(variants.LSTM_C0, N=3, T=4, D=5, H=7, dtype=np.float32)
    for lengths in (None, LENGTHS):
        expected = frameworks.onnx_states(
            "LSTM", x, [tuple(weights)], lengths=lengths, direction="reverse" if reverse else "forward"
        )
        h, _ = variants.LSTM_C0.forward(x, *weights, lengths=lengths, reverse=reverse)
        np.testing.assert_allclose(h, expected[0], atol=2e-6)


def test_two_directions_are_those_of_onnx_runtime_side_by_side():
    variant = variants.LSTM_C0
    x, *there = variants.draw(variant, N=3, T=4, D=5, H=7, dtype=np.float32)
    _, *back = variants.draw(variant, N=3, T=4, D=5, H=7, dtype=np.float32, seed=1)
    halves = [tuple(there), tuple(back)]
    expected = frameworks.onnx_states("LSTM", x, halves, lengths=LENGTHS, direction="bidirectional")
    np.testing.assert_allclose(variant.forward(x, *there, lengths=LENGTHS)[0], expected[0], atol=2e-6)
    np.testing.assert_allclose(variant.forward(x, *back, lengths=LENGTHS, reverse=True)[0], expected[1], atol=2e-6)


@both_types
@both_ways
@pytest.mark.parametrize("variant", [variants.LSTM, variants.LSTM_C0], ids=lambda variant: variant.name)
def test_states_and_gradients_are_those_of_torch(variant, dtype, reverse):
    pytest.importorskip("torch")
    inputs = variants.draw(variant, N=5, T=6, D=4, H=8, dtype=dtype)
    dh = np.random.default_rng(1).standard_normal((5, 6, 8)).astype(dtype)
    for lengths in (None, [3, 6, 1, 6, 2]):
        expected, expected_grads = frameworks.torch_states_and_gradients(
            "LSTM", inputs[:5], dh, lengths=lengths, reverse=reverse, c0=inputs[5] if variant.extra else None
        )
        h, cache = variant.forward(*inputs, lengths=lengths, reverse=reverse)
        scale = np.finfo(dtype).eps * 20
        np.testing.assert_allclose(h, expected, atol=scale)
        for name, got in zip(variant.names, lstm_backward(dh, cache), strict=True):
            want = expected_grads[name]
            np.testing.assert_allclose(got, want, atol=scale * np.abs(want).max(), err_msg=name)


def test_a_step_has_the_gradients_of_its_formula():
    def both_states(*inputs):
        return np.stack(plain_cells.lstm_step(*inputs))

    x, prev_h, Wx, Wh, b, prev_c = variants.draw(variants.LSTM_C0, N=3, T=1, D=4, H=2)
    dnext_h, dnext_c = np.random.default_rng(1).standard_normal((2, 3, 2))
    _, _, cache = lstm_step_forward(x[:, 0], prev_h, prev_c, Wx, Wh, b)
    expected = plain_cells.complex_step_gradients(
        both_states, (x[:, 0], prev_h, prev_c, Wx, Wh, b), np.stack([dnext_h, dnext_c])
    )
    for got, want in zip(lstm_step_backward(dnext_h, dnext_c, cache), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@both_types
def test_saturated_gates_neither_overflow_nor_leak(dtype):
    H = 4
    for huge in (1e4, np.inf):
        for signs in np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T:  # every corner of i, f, o, g
            x, h0, Wx, Wh, _, c0 = variants.draw(variants.LSTM_C0, N=2, T=3, D=3, H=H, dtype=dtype)
            b = np.repeat(signs * dtype(huge), H).astype(dtype)
            with np.errstate(all="raise", under="ignore"):
                h, cache = lstm_forward(x, h0, Wx, Wh, b, c0=c0)
                dx, dh0, dWx, dWh, db, dc0 = lstm_backward(np.ones_like(h), cache)
            i, f, o = np.maximum(signs[:3], 0)
            g = signs[3]
            c, expected = c0, []
            for _ in range(3):
                c = f * c + i * g
                expected.append(o * np.tanh(c))
            np.testing.assert_allclose(h, np.stack(expected, axis=1), rtol=5 * np.finfo(dtype).eps)
            for grad in (dx, dh0, dWx, dWh, db):
                np.testing.assert_array_equal(grad, 0)
            assert np.isfinite(dc0).all()
            assert dc0.any() == bool(f and o)
