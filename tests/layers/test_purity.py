"""No public layer function changes what it is given, keeps a state, or computes in another type than its input's."""

import numpy as np
import pytest
from variants import both_types

from rnncli import layers
from rnncli.packing import make_packing

N, T, D, H, V = 3, 4, 5, 2, 7
PACKING = make_packing(np.array([2, 4, 1]))
TOKENS = np.random.default_rng(5).integers(0, V, (N, T))
RAGGED = {"lengths": np.array([2, 4, 1])}


def _cell_shapes(gates, *, step=False, cell_state=False):
    states = [(N, H)] * (2 if cell_state else 1)
    return [(N, D) if step else (N, T, D), *states, (D, gates * H), (H, gates * H), (gates * H,)]


# forward's name -> the shapes of its real-valued inputs, and what makes the call from arrays of those shapes.
PAIRS = {
    "rnn_step_forward": (_cell_shapes(1, step=True), layers.rnn_step_forward),
    "rnn_forward": (_cell_shapes(1), lambda *a: layers.rnn_forward(*a, **RAGGED)),
    "lstm_step_forward": (_cell_shapes(4, step=True, cell_state=True), layers.lstm_step_forward),
    "lstm_forward": (
        [*_cell_shapes(4), (N, H)],
        lambda *a: layers.lstm_forward(*a[:5], c0=a[5], **RAGGED),
    ),
    "gru_step_forward": (_cell_shapes(3, step=True), layers.gru_step_forward),
    "gru_forward": (
        [*_cell_shapes(3), (H,)],
        lambda *a: layers.gru_forward(*a[:5], bhn=a[5], reset="after", **RAGGED),
    ),
    "gru_forward, before": (_cell_shapes(3), lambda *a: layers.gru_forward(*a, **RAGGED)),
    "affine_forward": ([(N, D), (D, H), (H,)], layers.affine_forward),
    "temporal_affine_forward": ([(N, T, D), (D, H), (H,)], layers.temporal_affine_forward),
    "word_embedding_forward": ([(V, D)], lambda W: layers.word_embedding_forward(TOKENS, W)),
    "bag_forward": ([(V, 2)], lambda W: layers.bag_forward(np.array([1, 3, 3]), np.array([0, 0, 2]), N, W[3:6], W)),
    "last_pooling_forward": ([(PACKING.rows, H)], lambda h: layers.last_pooling_forward(h, PACKING)),
    "mean_pooling_forward": ([(PACKING.rows, H)], lambda h: layers.mean_pooling_forward(h, PACKING)),
    "attention_pooling_forward": (
        [(PACKING.rows, H), (H,)],
        lambda h, w: layers.attention_pooling_forward(h, w, PACKING),
    ),
    "activation_penalty_forward": ([(PACKING.rows, H)], layers.activation_penalty_forward),
    "slowness_penalty_forward": ([(PACKING.rows, H)], lambda h: layers.slowness_penalty_forward(h, PACKING)),
    "max_pooling_forward": ([(PACKING.rows, H)], lambda h: layers.max_pooling_forward(h, PACKING)),
    "dropout_forward": (
        [(N, D)],
        lambda x: layers.dropout_forward(x, layers.dropout_mask((N, D), 0.5, np.random.default_rng(0), x.dtype)),
    ),
}
WITHOUT_PARTNER = {
    "sigmoid": layers.sigmoid,
    "softmax": layers.softmax,
    "log_softmax": layers.log_softmax,
    "attention_weights": lambda x: layers.attention_weights(x[0].repeat(2, axis=0)[:7], x[0, 0], PACKING),
    "softmax_loss": lambda x: layers.softmax_loss(x[:, 0], TOKENS[:, 0] % D, weights=abs(x[:, 1, 0])),
    "binary_loss": lambda x: layers.binary_loss(x[:, 0, :1], TOKENS[:, 0] % 2, weights=abs(x[:, 1, 0])),
    "temporal_softmax_loss": lambda x: layers.temporal_softmax_loss(x, TOKENS % D, TOKENS > 2),
}
every_pair = pytest.mark.parametrize("name", PAIRS)


def read_only(shapes, dtype, seed=0):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    for a in arrays:
        a.flags.writeable = False
    return arrays


def call(name, inputs):
    """Return the real-valued outputs as a list, and the backward function of their gradients."""
    *outs, cache = PAIRS[name][1](*inputs)
    backward = getattr(layers, name.split(",")[0].replace("_forward", "_backward"))

    def grads(*douts):
        result = backward(*douts, cache)
        return list(result) if isinstance(result, tuple) else [result]

    return outs, grads


def test_every_pair_that_is_exported_is_in_the_table():
    assert {name.split(",")[0] for name in PAIRS} == {name for name in layers.__all__ if name.endswith("_forward")} - {
        "recurrent_forward"  # the packed engine: see test_recurrent.py
    }


@both_types
@every_pair
def test_a_pair_changes_nothing_it_is_given(name, dtype):
    inputs = read_only(PAIRS[name][0], dtype)
    before = [a.copy() for a in inputs]
    tokens_before = TOKENS.copy()
    outs, grads = call(name, inputs)
    douts = read_only([out.shape for out in outs], dtype, seed=1)
    douts_before = [a.copy() for a in douts]
    grads(*douts)
    for a, b in zip([*inputs, *douts, TOKENS], [*before, *douts_before, tokens_before], strict=True):
        np.testing.assert_array_equal(a, b)


@both_types
@every_pair
def test_a_pair_keeps_type_and_shape(name, dtype):
    inputs = read_only(PAIRS[name][0], dtype)
    outs, grads = call(name, inputs)
    assert {out.dtype for out in outs} == {np.dtype(dtype)}
    got = grads(*read_only([out.shape for out in outs], dtype, seed=1))
    assert {grad.dtype for grad in got} == {np.dtype(dtype)}
    assert [grad.shape for grad in got] == [a.shape for a in inputs]


@every_pair
def test_backward_can_be_called_twice_and_does_not_lean_on_the_output(name):
    inputs = read_only(PAIRS[name][0], np.float64)
    outs, grads = call(name, inputs)
    douts = read_only([out.shape for out in outs], np.float64, seed=1)
    first = [grad.copy() for grad in grads(*douts)]
    for out in outs:
        out[...] = np.nan  # as an in-place operation of the caller would
    for a, b in zip(first, grads(*douts), strict=True):
        np.testing.assert_array_equal(a, b)


@every_pair
def test_a_pair_gives_the_same_bits_each_time(name):
    inputs = read_only(PAIRS[name][0], np.float32)
    (outs, grads), (outs_again, grads_again) = call(name, inputs), call(name, inputs)
    douts = read_only([out.shape for out in outs], np.float32, seed=1)
    for a, b in zip([*outs, *grads(*douts)], [*outs_again, *grads_again(*douts)], strict=True):
        np.testing.assert_array_equal(a, b)


@both_types
@pytest.mark.parametrize("name", WITHOUT_PARTNER)
def test_activations_and_losses_keep_type_and_arguments(name, dtype):
    (x,) = read_only([(N, T, D)], dtype)
    before, tokens_before = x.copy(), TOKENS.copy()
    result = WITHOUT_PARTNER[name](x)
    if isinstance(result, tuple):
        loss, result = result
        assert type(loss) is float
    assert result.dtype == dtype
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(TOKENS, tokens_before)
