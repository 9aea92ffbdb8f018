import frameworks
import numpy as np
import plain_cells
import pytest
import variants
from variants import both_types, both_ways

from rnncli.layers import gru_backward, gru_forward, gru_step_backward, gru_step_forward

LENGTHS = [4, 1, 3]
both_forms = pytest.mark.parametrize("variant", [variants.GRU, variants.GRU_AFTER_BHN], ids=["before", "after"])
all_forms = pytest.mark.parametrize(
    "variant", [variants.GRU, variants.GRU_AFTER, variants.GRU_AFTER_BHN], ids=lambda variant: variant.name
)


@both_ways
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@all_forms
def test_states_and_gradients_are_those_of_a_plain_loop(variant, lengths, reverse):
    variants.check_against_plain(variant, lengths, reverse)


@all_forms
def test_the_gradient_of_the_input_has_the_shape_of_the_input(variant):
    # Where D is not H, a backward pass that returns the gradient of h for that of x cannot pass.
    inputs = variants.draw(variant, N=2, T=3, D=5, H=4)
    h, cache = variant.forward(*inputs)
    assert [grad.shape for grad in gru_backward(np.ones_like(h), cache)] == [a.shape for a in inputs]


def test_the_update_gate_keeps_the_state_when_open():
    # h' = (1 - z) n + z h: z = 1 keeps h, z = 0 takes n. The other convention would swap the two.
    x, h0 = np.zeros((1, 3, 1)), np.array([[0.25]])
    Wx, Wh = np.zeros((1, 3)), np.zeros((1, 3))
    kept, _ = gru_forward(x, h0, Wx, Wh, np.array([0.0, np.inf, 1.0]))
    np.testing.assert_array_equal(kept, np.full((1, 3, 1), 0.25))
    taken, _ = gru_forward(x, h0, Wx, Wh, np.array([0.0, -np.inf, 1.0]))
    np.testing.assert_allclose(taken, np.full((1, 3, 1), np.tanh(1)), rtol=1e-15)


def test_the_reset_gate_cuts_the_state_off_when_shut():
    x, h0, Wx, Wh, b = variants.draw(variants.GRU, N=2, T=1, D=3, H=2)
    Wh[:, :4] = 0  # h reaches n alone, and that through the reset gate
    b[:4] = -np.inf  # r = 0, z = 0
    h, cache = gru_forward(x, h0, Wx, Wh, b)
    np.testing.assert_allclose(h[:, 0], np.tanh(x[:, 0] @ Wx[:, 4:] + b[4:]), rtol=1e-14)
    _, dh0, _, dWh, _ = gru_backward(np.ones_like(h), cache)
    np.testing.assert_array_equal(dh0, 0)
    np.testing.assert_array_equal(dWh, 0)


def test_the_two_forms_coincide_where_the_recurrent_product_is_diagonal():
    x, h0, Wx, Wh, b = variants.draw(variants.GRU, N=3, T=5, D=4, H=3)
    apart = gru_forward(x, h0, Wx, Wh, b)[0] - gru_forward(x, h0, Wx, Wh, b, reset="after")[0]
    assert np.abs(apart).max() > 0.01
    Wh[:, 6:] = np.diag(np.diag(Wh[:, 6:]))
    before, cache_before = gru_forward(x, h0, Wx, Wh, b)
    after, cache_after = gru_forward(x, h0, Wx, Wh, b, reset="after")
    np.testing.assert_allclose(before, after, rtol=1e-13)
    grads_before = gru_backward(np.ones_like(before), cache_before)
    grads_after = gru_backward(np.ones_like(after), cache_after)
    for name in ("x", "h0", "Wx", "b"):
        k = variants.NAMES.index(name)
        np.testing.assert_allclose(grads_before[k], grads_after[k], rtol=1e-11, atol=1e-13)


def test_bhn_is_zero_unless_given():
    inputs = variants.draw(variants.GRU, N=2, T=3, D=3, H=4)
    h, cache = gru_forward(*inputs, reset="after")
    with_zeros, cache_of_zeros = gru_forward(*inputs, reset="after", bhn=np.zeros(4))
    np.testing.assert_array_equal(h, with_zeros)
    assert len(gru_backward(h, cache)) == 5
    assert len(gru_backward(h, cache_of_zeros)) == 6


def test_a_wrong_reset_is_refused():
    inputs = variants.draw(variants.GRU, N=1, T=1, D=1, H=1)
    with pytest.raises(ValueError, match="befor'"):
        gru_forward(*inputs, reset="befor")
    with pytest.raises(ValueError, match="bhn goes with"):
        gru_forward(*inputs, bhn=np.zeros(1))


@both_ways
@both_forms
def test_states_are_those_of_onnx_runtime(variant, reverse):
    x, *weights = variants.draw(variant, N=3, T=4, D=5, H=7, dtype=np.float32)
    for lengths in (None, LENGTHS):
        expected = frameworks.onnx_states(
            "GRU",
            x,
            [tuple(weights[:4])],
            lengths=lengths,
            direction="reverse" if reverse else "forward",
            bhn=weights[4:] or None,
            linear_before_reset=len(weights[4:]),
        )
        h, _ = variant.forward(x, *weights, lengths=lengths, reverse=reverse)
        np.testing.assert_allclose(h, expected[0], atol=2e-6)


@both_forms
def test_two_directions_are_those_of_onnx_runtime_side_by_side(variant):
    x, *there = variants.draw(variant, N=3, T=4, D=5, H=7, dtype=np.float32)
    _, *back = variants.draw(variant, N=3, T=4, D=5, H=7, dtype=np.float32, seed=1)
    expected = frameworks.onnx_states(
        "GRU",
        x,
        [tuple(there[:4]), tuple(back[:4])],
        lengths=LENGTHS,
        direction="bidirectional",
        bhn=[*there[4:], *back[4:]] or None,
        linear_before_reset=len(there[4:]),
    )
    np.testing.assert_allclose(variant.forward(x, *there, lengths=LENGTHS)[0], expected[0], atol=2e-6)
    np.testing.assert_allclose(variant.forward(x, *back, lengths=LENGTHS, reverse=True)[0], expected[1], atol=2e-6)


@both_types
@both_ways
@pytest.mark.parametrize("variant", [variants.GRU_AFTER, variants.GRU_AFTER_BHN], ids=lambda variant: variant.name)
def test_states_and_gradients_are_those_of_torch(variant, dtype, reverse):
    pytest.importorskip("torch")
    inputs = variants.draw(variant, N=5, T=6, D=4, H=8, dtype=dtype)
    dh = np.random.default_rng(1).standard_normal((5, 6, 8)).astype(dtype)
    for lengths in (None, [3, 6, 1, 6, 2]):
        expected, expected_grads = frameworks.torch_states_and_gradients(
            "GRU", inputs[:5], dh, lengths=lengths, reverse=reverse, bhn=inputs[5] if variant.extra else None
        )
        h, cache = variant.forward(*inputs, lengths=lengths, reverse=reverse)
        scale = np.finfo(dtype).eps * 20
        np.testing.assert_allclose(h, expected, atol=scale)
        for name, got in zip(variant.names, gru_backward(dh, cache), strict=True):
            want = expected_grads[name]
            np.testing.assert_allclose(got, want, atol=scale * np.abs(want).max(), err_msg=name)


@both_types
def test_the_published_form_has_the_gradients_that_autograd_finds(dtype):
    # torch has no module for reset="before", so autograd differentiates the formula.
    torch = pytest.importorskip("torch")
    H, T = 8, 6
    inputs = variants.draw(variants.GRU, N=5, T=T, D=4, H=H, dtype=dtype)
    dh = np.random.default_rng(1).standard_normal((5, T, H)).astype(dtype)
    leaves = [torch.tensor(a, requires_grad=True) for a in inputs]
    x, state, Wx, Wh, b = leaves
    states = []
    for t in range(T):
        rz = torch.sigmoid(x[:, t] @ Wx[:, : 2 * H] + state @ Wh[:, : 2 * H] + b[: 2 * H])
        r, z = rz.chunk(2, dim=1)
        n = torch.tanh(x[:, t] @ Wx[:, 2 * H :] + (r * state) @ Wh[:, 2 * H :] + b[2 * H :])
        state = (1 - z) * n + z * state
        states.append(state)
    expected = torch.stack(states, dim=1)
    (expected * torch.tensor(dh)).sum().backward()
    h, cache = gru_forward(*inputs)
    scale = np.finfo(dtype).eps * 20
    np.testing.assert_allclose(h, expected.detach().numpy(), atol=scale)
    for name, got, leaf in zip(variants.NAMES, gru_backward(dh, cache), leaves, strict=True):
        want = leaf.grad.numpy()
        np.testing.assert_allclose(got, want, atol=scale * np.abs(want).max(), err_msg=name)


@both_forms
def test_a_step_has_the_gradients_of_its_formula(variant):
    reset = "after" if variant.extra else "before"

    def plain(x, prev_h, Wx, Wh, b, bhn=None):
        return np.stack([plain_cells.gru_step(x[n], prev_h[n], Wx, Wh, b, bhn, reset) for n in range(len(x))])

    x, prev_h, Wx, Wh, b, *more = variants.draw(variant, N=3, T=1, D=4, H=2)
    dnext_h = np.random.default_rng(1).standard_normal((3, 2))
    next_h, cache = gru_step_forward(x[:, 0], prev_h, Wx, Wh, b, reset=reset, bhn=more[0] if more else None)
    inputs = (x[:, 0], prev_h, Wx, Wh, b, *more)
    np.testing.assert_allclose(next_h, plain(*inputs), rtol=1e-13)
    expected = plain_cells.complex_step_gradients(plain, inputs, dnext_h)
    for got, want in zip(gru_step_backward(dnext_h, cache), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)


@both_types
@both_forms
def test_saturated_gates_neither_overflow_nor_leak(variant, dtype):
    H = 4
    for huge in (1e4, np.inf):
        for signs in np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T:  # every corner of r, z, n
            x, h0, Wx, Wh, _, *more = variants.draw(variant, N=2, T=3, D=3, H=H, dtype=dtype)
            b = np.repeat(signs * dtype(huge), H).astype(dtype)
            with np.errstate(all="raise", under="ignore"):
                h, cache = variant.forward(x, h0, Wx, Wh, b, *more)
                dx, dh0, *others = gru_backward(np.ones_like(h), cache)
            z, n = max(signs[1], 0), signs[2]
            expected = h0[:, None] if z else np.full((2, 1, H), n)
            np.testing.assert_allclose(h, np.broadcast_to(expected, h.shape), atol=np.finfo(dtype).eps)
            np.testing.assert_array_equal(dh0, 3 * z)
            for grad in (dx, *others):
                np.testing.assert_array_equal(grad, 0)
