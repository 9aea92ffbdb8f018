import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_cells import complex_step_gradients
from sklearn.metrics import log_loss
from variants import both_types

from rnncli.layers import binary_loss, softmax, softmax_loss, temporal_softmax_loss
from rnncli.layers.losses import masked_softmax_loss

N, T, C = 6, 4, 3


def draw(*shape, scale=2.0, seed=0, dtype=np.float64):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def classes(*shape, count=C):
    return np.random.default_rng(2).integers(0, count, shape)


WEIGHTS = np.array([0.5, 2, 1, 0, 3, 0.25])
weighted_or_not = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["even", "weighted"])


def plain_softmax_loss(x, y, weights=None):
    """The weighted mean of -log(exp(x_y) / sum(exp(x))), row by row; also for complex numbers."""
    weights = np.ones(len(y)) if weights is None else weights
    rows = [-np.log(np.exp(x[n, y[n]]) / np.exp(x[n]).sum()) * weights[n] for n in range(len(y))]
    return np.asarray(sum(rows) / sum(weights))


def plain_binary_loss(x, y, weights=None):
    weights = np.ones(len(y)) if weights is None else weights
    total = 0
    for n in range(len(y)):
        p = 1 / (1 + np.exp(-x[n, 0]))
        total = total - np.log(p if y[n] else 1 - p) * weights[n]
    return np.asarray(total / sum(weights))


@weighted_or_not
def test_softmax_loss_is_the_textbook_formula(weights):
    x, y = draw(N, C), classes(N)
    loss, dx = softmax_loss(x, y, weights=weights)
    assert loss == pytest.approx(float(plain_softmax_loss(x, y, weights)), rel=1e-13)
    assert loss == pytest.approx(log_loss(y, softmax(x), sample_weight=weights, labels=range(C)), rel=1e-12)
    (expected,) = complex_step_gradients(lambda x: plain_softmax_loss(x, y, weights), (x,), np.asarray(1.0))
    np.testing.assert_allclose(dx, expected, rtol=1e-11, atol=1e-15)


@weighted_or_not
def test_binary_loss_is_the_textbook_formula(weights):
    x, y = draw(N, 1), classes(N, count=2)
    assert set(y) == {0, 1}
    loss, dx = binary_loss(x, y, weights=weights)
    assert dx.shape == (N, 1)
    assert loss == pytest.approx(float(plain_binary_loss(x, y, weights)), rel=1e-13)
    assert loss == pytest.approx(log_loss(y, 1 / (1 + np.exp(-x[:, 0])), sample_weight=weights), rel=1e-12)
    (expected,) = complex_step_gradients(lambda x: plain_binary_loss(x, y, weights), (x,), np.asarray(1.0))
    np.testing.assert_allclose(dx, expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("smoothing", [0.1, 0.9])
@weighted_or_not
def test_a_smoothed_label_is_a_mixture_of_all(weights, smoothing):
    x, y = draw(N, C), classes(N)
    loss, dx = softmax_loss(x, y, weights=weights, smoothing=smoothing)
    own, down = softmax_loss(x, y, weights=weights)
    others = [softmax_loss(x, np.full(N, k), weights=weights) for k in range(C)]
    assert loss == pytest.approx((1 - smoothing) * own + smoothing * np.mean([value for value, _ in others]))
    expected = (1 - smoothing) * down + smoothing * np.mean([d for _, d in others], axis=0)
    np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-15)


def test_no_smoothing_is_the_same_bits():
    x, y = draw(N, C, dtype=np.float32), classes(N, count=2)
    for loss in (softmax_loss, partial(masked_softmax_loss, mask=np.ones(N, bool))):
        (a, da), (b, db) = loss(x, y), loss(x, y, smoothing=0.0)
        assert a == b
        assert (da == db).all()


@both_types
def test_smoothing_is_that_of_torch(dtype):
    torch = pytest.importorskip("torch")
    x, y = draw(40, C, dtype=dtype), classes(40)
    leaf = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(y), label_smoothing=0.2)
    expected.backward()
    loss, dx = softmax_loss(x, y, smoothing=0.2)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(expected.item(), rel=20 * eps)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), atol=2 * eps)
    mask = np.arange(40) % 3 > 0
    loss, dx = masked_softmax_loss(x, y, mask, smoothing=0.2)
    loss_kept, dx_kept = softmax_loss(x[mask], y[mask], smoothing=0.2)
    assert loss == loss_kept
    assert (dx[mask] == dx_kept).all()
    steps = temporal_softmax_loss(
        x.reshape(10, 4, C), y.reshape(10, 4), mask.reshape(10, 4), average="tokens", smoothing=0.2
    )
    assert steps[0] == loss
    assert (steps[1].reshape(40, C) == dx).all()


@both_types
def test_the_smoothed_losses_are_exact_at_any_logit(dtype):
    with np.errstate(all="raise", under="ignore"):
        loss, dx = softmax_loss(np.array([[1e4, -1e4]], dtype), np.array([0]), smoothing=0.25)
        loss_binary, dx_binary = binary_loss(np.array([[2e4]], dtype), np.array([1]), smoothing=0.25)
    assert loss == loss_binary == 2500  # an eighth of 2e4
    np.testing.assert_array_equal(dx, [[0.125, -0.125]])
    np.testing.assert_array_equal(dx_binary, [[0.125]])


@both_types
def test_class_weights_are_those_of_torch(dtype):
    torch = pytest.importorskip("torch")
    x, y, class_weights = draw(40, C, dtype=dtype), classes(40), np.array([0.2, 1.5, 3], dtype)
    leaf = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(leaf, torch.tensor(y), weight=torch.tensor(class_weights))
    expected.backward()
    loss, dx = softmax_loss(x, y, weights=class_weights[y])
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(expected.item(), rel=20 * eps)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), atol=2 * eps)


@both_types
def test_binary_weights_are_those_of_torch(dtype):
    torch = pytest.importorskip("torch")
    x, y = draw(40, 1, dtype=dtype), classes(40, count=2)
    weights = np.array([0.3, 4], dtype)[y]
    leaf = torch.tensor(x, requires_grad=True)
    expected = (
        torch.nn.functional.binary_cross_entropy_with_logits(
            leaf[:, 0], torch.tensor(y.astype(dtype)), weight=torch.tensor(weights), reduction="sum"
        )
        / torch.tensor(weights).sum()
    )
    expected.backward()
    loss, dx = binary_loss(x, y, weights=weights)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(expected.item(), rel=20 * eps)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), atol=2 * eps)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=N, max_size=N).filter(any), st.floats(0.01, 100))
def test_a_whole_weight_is_so_many_copies_and_only_ratios_count(copies, factor):
    x, y = draw(N, C), classes(N)
    loss, dx = softmax_loss(x, y, weights=factor * np.array(copies))
    repeated = np.repeat(np.arange(N), copies)
    loss_repeated, dx_repeated = softmax_loss(x[repeated], y[repeated])
    assert loss == pytest.approx(loss_repeated, rel=1e-12)
    summed = np.zeros_like(dx)
    np.add.at(summed, repeated, dx_repeated)
    np.testing.assert_allclose(dx, summed, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("smoothing", [0, 0.3])
@both_types
def test_two_classes_by_softmax_are_one_logit_by_binary(dtype, smoothing):
    x, y = draw(N, 1, dtype=dtype), classes(N, count=2)
    loss, dx = binary_loss(x, y, weights=WEIGHTS, smoothing=smoothing)
    both = np.concatenate([np.zeros_like(x), x], axis=1)
    loss_softmax, dboth = softmax_loss(both, y, weights=WEIGHTS, smoothing=smoothing)
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(loss_softmax, rel=10 * eps)
    np.testing.assert_allclose(dx, dboth[:, 1:], atol=2 * eps)


@both_types
def test_the_losses_are_exact_at_any_logit(dtype):
    with np.errstate(all="raise", under="ignore"):
        loss, dx = softmax_loss(np.array([[1e4, -1e4], [-1e4, 1e4]], dtype), np.array([0, 0]))
        loss_binary, dx_binary = binary_loss(np.array([[1e4], [-1e4], [1e4], [-1e4]], dtype), np.array([1, 0, 0, 1]))
    assert loss == 1e4  # one right for nothing, one wrong by 2e4
    np.testing.assert_array_equal(dx, [[0, 0], [-0.5, 0.5]])
    assert loss_binary == 5e3
    np.testing.assert_array_equal(dx_binary[:, 0], [0, 0, 0.25, -0.25])


def test_a_binary_loss_far_on_the_right_side_is_not_rounded_to_nothing():
    for logit, y in ((40.0, 1), (-40.0, 0)):
        loss, _ = binary_loss(np.array([[logit]]), np.array([y]))
        assert loss == pytest.approx(math.exp(-40), rel=1e-12, abs=0)


def test_scores_that_say_nothing_cost_the_logarithm_of_the_classes():
    # CS231n assignment 3: 2.3 a step for ten classes; all 23 of ten steps; about 2.3 when a tenth of them counts.
    x, y = np.zeros((100, 10, 10)), classes(100, 10, count=10)
    every_step = np.ones((100, 10), bool)
    assert temporal_softmax_loss(x[:, :1], y[:, :1], every_step[:, :1])[0] == pytest.approx(math.log(10))
    assert temporal_softmax_loss(x, y, every_step)[0] == pytest.approx(10 * math.log(10))
    tenth = np.zeros((100, 10), bool)
    tenth[:, 3] = True
    assert temporal_softmax_loss(x, y, tenth)[0] == pytest.approx(math.log(10))
    assert temporal_softmax_loss(x, y, every_step, average="tokens")[0] == pytest.approx(math.log(10))


MASK = np.arange(T) < np.array([4, 1, 3, 4, 2, 1])[:, None]


@pytest.mark.parametrize(("average", "count"), [("batch", N), ("tokens", MASK.sum())])
def test_temporal_loss_sums_over_unmasked_steps(average, count):
    x, y = draw(N, T, C), classes(N, T)

    def plain(x):
        total = 0
        for n, t in np.argwhere(MASK):
            total = total - np.log(np.exp(x[n, t, y[n, t]]) / np.exp(x[n, t]).sum())
        return np.asarray(total / count)

    loss, dx = temporal_softmax_loss(x, y, MASK, average=average)
    assert loss == pytest.approx(float(plain(x)), rel=1e-13)
    (expected,) = complex_step_gradients(plain, (x,), np.asarray(1.0))
    np.testing.assert_allclose(dx, expected, rtol=1e-11, atol=1e-15)


def test_temporal_loss_is_that_of_torch_with_ignored_steps():
    torch = pytest.importorskip("torch")
    x, y = draw(N, T, C), classes(N, T)
    leaf = torch.tensor(x, requires_grad=True)
    target = torch.tensor(np.where(MASK, y, -100))
    expected = torch.nn.functional.cross_entropy(leaf.reshape(-1, C), target.reshape(-1), ignore_index=-100)
    expected.backward()
    loss, dx = temporal_softmax_loss(x, y, MASK, average="tokens")
    assert loss == pytest.approx(expected.item(), rel=1e-13)
    np.testing.assert_allclose(dx, leaf.grad.numpy(), atol=1e-15)


@pytest.mark.parametrize("average", ["batch", "tokens"])
def test_more_padding_changes_neither_the_loss_nor_the_gradient(average):
    x, y = draw(N, T, C), classes(N, T)
    loss, dx = temporal_softmax_loss(x, y, MASK, average=average)
    x_padded = np.concatenate([x, np.full((N, 50, C), np.nan)], axis=1)  # NaN: padding must not be read
    y_padded = np.concatenate([y, np.zeros((N, 50), int)], axis=1)
    mask_padded = np.concatenate([MASK, np.zeros((N, 50), bool)], axis=1)
    loss_padded, dx_padded = temporal_softmax_loss(x_padded, y_padded, mask_padded, average=average)
    assert loss_padded == loss
    np.testing.assert_array_equal(dx_padded[:, :T], dx)
    np.testing.assert_array_equal(dx_padded[:, T:], 0)


@pytest.mark.parametrize("average", ["batch", "tokens"])
def test_no_unmasked_step_costs_nothing(average):
    loss, dx = temporal_softmax_loss(draw(N, T, C), classes(N, T), np.zeros((N, T), bool), average=average)
    assert loss == 0
    np.testing.assert_array_equal(dx, np.zeros((N, T, C)))


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32])
def test_a_mask_may_be_of_numbers(kind):
    x, y = draw(N, T, C), classes(N, T)
    loss, dx = temporal_softmax_loss(x, y, MASK)
    loss_kind, dx_kind = temporal_softmax_loss(x, y, MASK.astype(kind))
    assert loss == loss_kind
    np.testing.assert_array_equal(dx, dx_kind)
