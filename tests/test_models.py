import itertools

import numpy as np
import pytest

from rnncli.building import build_model
from rnncli.config import ModelConfig
from rnncli.data.batches import Batch, make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.layers import GRU_RESET_AFTER, softmax
from rnncli.optim import SparseRows

V, C, D, H = 11, 3, 5, 4
LENGTHS = [3, 1, 6, 6, 2]


def rng(seed=0):
    return np.random.default_rng(seed)


def model_config(**keys):
    values = {"embedding": {"dim": D}, "rnn": {"cell": "lstm", "hidden": H}, **keys}
    return ModelConfig.model_validate(values)


def texts(lengths=LENGTHS, classes=C):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = rng(1).integers(0, V, offsets[-1]).astype(np.int32)
    return EncodedTexts(ids, offsets, np.arange(len(lengths)) % classes)


def batch_of(corpus: EncodedTexts) -> Batch:
    return make_batch(corpus, np.arange(len(corpus)))


def build(config, classes=C, dtype=np.float64, seed=0):
    return build_model(config, V, classes, rng(seed), dtype)


CELLS = [
    {"cell": "rnn"},
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "gru", "reset": "after"},
]
POOLINGS = ["last", "mean", "max", "attention", ["last", "attention", "mean"]]
SHAPES = [{}, {"layers": 2}, {"bidirectional": True}, {"layers": 2, "bidirectional": True, "dropout": 0.4}]


@pytest.mark.parametrize(
    ("rnn", "pooling", "loss"),
    [
        ({**cell, **shape}, pooling, loss)
        for (cell, shape), (pooling, loss) in zip(
            itertools.product(CELLS, SHAPES),
            itertools.cycle(itertools.product(POOLINGS, ["softmax", "binary"])),
            strict=False,
        )
    ],
    ids=str,
)
def test_the_gradient_of_every_parameter_is_that_of_finite_differences(rnn, pooling, loss):
    config = model_config(
        embedding={"dim": D, "dropout": 0.3}, rnn={**rnn, "hidden": H}, pooling=pooling, dropout=0.3, loss=loss
    )
    classes = 2 if loss == "binary" else C
    model, batch = build(config, classes), batch_of(texts(classes=classes))
    for name, array in model.params.items():  # zero biases would hide a gradient
        array += rng(len(name)).normal(0, 0.1, array.shape)
    weights = np.array([1.0, 2.5, 0.5])[:classes]

    def loss_now():
        return model.loss(model.forward(batch, rng(5))[0], batch.y, weights)[0]

    logits, cache = model.forward(batch, rng(5))
    grads = model.backward(model.loss(logits, batch.y, weights)[1], cache)
    assert sorted(grads) == sorted(model.params)
    eps = 1e-6
    for name, array in model.params.items():
        grad = grads[name]
        if isinstance(grad, SparseRows):
            assert sorted(grad.rows.tolist()) == sorted(set(batch.ids.tolist()))
            whole = np.zeros_like(array)
            whole[grad.rows] = grad.values
            grad = whole
        assert grad.shape == array.shape
        flat = array.reshape(-1)
        for place in rng(3).choice(flat.size, size=min(4, flat.size), replace=False):
            kept = flat[place]
            flat[place] = kept + eps
            above = loss_now()
            flat[place] = kept - eps
            below = loss_now()
            flat[place] = kept
            assert grad.reshape(-1)[place] == pytest.approx((above - below) / (2 * eps), rel=2e-5, abs=1e-9), name


@pytest.mark.parametrize("rnn", CELLS, ids=str)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
def test_a_text_is_scored_alike_alone_and_among_others(rnn, bidirectional, pooling):
    """Nothing leaks from longer texts into shorter ones, in either direction."""
    model = build(model_config(rnn={**rnn, "hidden": H, "layers": 2, "bidirectional": bidirectional}, pooling=pooling))
    corpus = texts()
    together = batch_of(corpus)
    scores = model.forward(together)[0][np.argsort(together.packing.order)]
    for row in range(len(corpus)):
        alone, _ = model.forward(make_batch(corpus, np.array([row])))
        np.testing.assert_allclose(scores[row], alone[0], rtol=1e-10)


def test_last_pooling_takes_the_last_token_forward_and_the_first_one_backward():
    model = build(model_config(rnn={"cell": "gru", "hidden": H, "bidirectional": True}, pooling="last"))
    ids = np.array([1, 2, 3, 4], np.int32)
    corpus = EncodedTexts(ids, np.array([0, 4]), np.array([0]))
    turned = EncodedTexts(ids[::-1].copy(), np.array([0, 4]), np.array([0]))
    for suffix in ("Wx", "Wh", "b"):
        model.params[f"rnn0.bwd.{suffix}"] = model.params[f"rnn0.fwd.{suffix}"]
    model.params["output.w"] = np.eye(2 * H)
    model.params["output.b"] = np.zeros(2 * H)
    forward, backward = np.split(model.forward(batch_of(corpus))[0][0], 2)
    turned_forward, turned_backward = np.split(model.forward(batch_of(turned))[0][0], 2)
    np.testing.assert_allclose(forward, turned_backward)
    np.testing.assert_allclose(backward, turned_forward)
    assert not np.allclose(forward, backward)


def test_the_arrays_are_named_and_shaped_as_documented():
    config = model_config(rnn={"cell": "lstm", "hidden": H, "layers": 2, "bidirectional": True})
    shapes = {name: array.shape for name, array in build(config).params.items()}
    expected = {"embedding.W": (V, D), "output.w": (2 * H, C), "output.b": (C,)}
    for layer, inputs in enumerate([D, 2 * H]):
        for direction in ("fwd", "bwd"):
            expected |= {
                f"rnn{layer}.{direction}.Wx": (inputs, 4 * H),
                f"rnn{layer}.{direction}.Wh": (H, 4 * H),
                f"rnn{layer}.{direction}.b": (4 * H,),
            }
    assert shapes == expected


def test_the_reset_gate_after_the_product_has_a_bias_of_its_own():
    after = build(model_config(rnn={"cell": "gru", "hidden": H, "reset": "after"}))
    assert after.cell is GRU_RESET_AFTER
    assert after.params["rnn0.fwd.bhn"].shape == (H,)
    assert "rnn0.fwd.bhn" not in build(model_config(rnn={"cell": "gru", "hidden": H})).params


def test_first_weights_are_the_documented_ones():
    params = build(model_config(rnn={"cell": "lstm", "hidden": H, "forget_bias": 1.5}), seed=4).params
    assert params["rnn0.fwd.b"].tolist() == [0] * H + [1.5] * H + [0] * 2 * H  # gates i, f, o, g
    for gate in np.split(params["rnn0.fwd.Wh"], 4, axis=1):
        np.testing.assert_allclose(gate.T @ gate, np.eye(H), atol=1e-12)
    for gate in np.split(params["rnn0.fwd.Wx"], 4, axis=1):
        assert np.abs(gate).max() <= (6 / (D + H)) ** 0.5
    assert not params["output.b"].any()
    wide = build_model(model_config(embedding={"dim": 64}), 500, C, rng()).params["embedding.W"]
    assert wide.std() == pytest.approx(0.1, rel=0.02)
    assert wide.dtype == np.float32


def test_the_same_generator_gives_the_same_weights():
    one, same, other = (build(model_config(), seed=seed).params for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert (one["embedding.W"] != other["embedding.W"]).any()


def test_nothing_is_dropped_without_a_generator_and_something_with_each_rate():
    batch = batch_of(texts())
    plain = build(model_config(rnn={"cell": "gru", "hidden": H, "layers": 2}))
    reference = plain.forward(batch)[0]
    for rates in (
        {"embedding": {"dim": D, "dropout": 0.5}},
        {"rnn": {"cell": "gru", "hidden": H, "layers": 2, "dropout": 0.5}},
        {"dropout": 0.5},
    ):
        model = build(model_config(**{"rnn": {"cell": "gru", "hidden": H, "layers": 2}, **rates}))
        np.testing.assert_array_equal(model.forward(batch)[0], reference)
        dropped = model.forward(batch, rng(1))[0]
        assert not np.allclose(dropped, reference)
        np.testing.assert_array_equal(model.forward(batch, rng(1))[0], dropped)
        assert not np.allclose(model.forward(batch, rng(2))[0], dropped)


def test_what_backward_needs_is_not_kept_for_scoring_and_the_scores_are_the_same():
    model, batch = build(model_config()), batch_of(texts())
    np.testing.assert_array_equal(model.forward(batch, keep=False)[0], model.forward(batch)[0])


def test_the_scores_of_one_logit_are_those_of_its_sigmoid():
    model = build(model_config(loss="binary"), classes=2)
    logits, _ = model.forward(batch_of(texts()))
    assert logits.shape == (len(LENGTHS), 1)
    probabilities = softmax(model.class_scores(logits))
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-logits[:, 0])))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_class_weights_count_texts_by_their_class():
    model, batch = build(model_config()), batch_of(texts())
    logits, _ = model.forward(batch)
    weights = np.array([1.0, 3.0, 0.2])
    each = [model.loss(logits[i : i + 1], batch.y[i : i + 1])[0] for i in range(len(batch.y))]
    got, _ = model.loss(logits, batch.y, weights)
    assert got == pytest.approx(np.average(each, weights=weights[batch.y]))


def test_training_in_float32_stays_in_float32():
    model, batch = build(model_config(), dtype=np.float32), batch_of(texts())
    logits, cache = model.forward(batch, rng())
    grads = model.backward(model.loss(logits, batch.y)[1], cache)
    arrays = [grad.values if isinstance(grad, SparseRows) else grad for grad in grads.values()]
    assert {array.dtype for array in [logits, *arrays]} == {np.dtype(np.float32)}


def test_passes_change_no_weight():
    model, batch = build(model_config(rnn={"cell": "gru", "hidden": H, "layers": 2})), batch_of(texts())
    before = {name: array.copy() for name, array in model.params.items()}
    logits, cache = model.forward(batch, rng())
    model.backward(model.loss(logits, batch.y)[1], cache)
    assert all((model.params[name] == array).all() for name, array in before.items())


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_a_list_of_one_pooling_is_that_pooling_to_the_bit(pooling):
    batch, found = batch_of(texts()), []
    for given in (pooling, [pooling]):
        model = build(model_config(rnn={"cell": "lstm", "hidden": H}, pooling=given), dtype=np.float32)
        logits, cache = model.forward(batch, rng())
        _, dlogits = model.loss(logits, batch.y)
        found.append({"logits": logits, **model.backward(dlogits, cache)})
    assert list(found[0]) == list(found[1])
    for name, (a, b) in zip(found[0], zip(*(one.values() for one in found), strict=True), strict=True):
        assert np.array_equal(getattr(a, "values", a), getattr(b, "values", b)), name


def test_poolings_stand_side_by_side_in_the_order_given():
    def logits(pooling, rows):
        model = build(model_config(rnn={"cell": "gru", "hidden": H}, pooling=pooling))
        model.params["output.w"] = rows
        return model.forward(batch_of(texts()))[0]

    w = rng(3).standard_normal((2 * H, C))
    bias = logits("max", np.zeros((H, C)))  # which is zero at the start
    apart = logits("max", w[:H]) + logits("mean", w[H:]) - bias
    np.testing.assert_allclose(logits(["max", "mean"], w), apart, rtol=1e-12)
    assert not np.allclose(logits(["mean", "max"], w), apart)


def test_attention_begins_as_the_mean():
    scores = [
        build(model_config(rnn={"cell": "gru", "hidden": H}, pooling=pooling)).forward(batch_of(texts()))[0]
        for pooling in ("mean", "attention")
    ]
    np.testing.assert_allclose(*scores, rtol=1e-12)
