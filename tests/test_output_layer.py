import tracemalloc

import numpy as np
import pytest

from rnncli.layers.affine import affine_forward
from rnncli.layers.losses import softmax_loss
from rnncli.layers.output import affine_softmax_loss, affine_softmax_nats


@pytest.fixture
def layer():
    rng = np.random.default_rng(1)
    x, w, b = rng.normal(size=(13, 4)), rng.normal(size=(4, 6)), rng.normal(size=6)
    return x, w, b, rng.integers(0, 6, 13)


@pytest.mark.parametrize("smoothing", [0, 0.2])
@pytest.mark.parametrize("block", [1, 6, 30, 10**6])
def test_it_is_the_affine_map_with_its_loss_however_the_rows_are_cut(layer, block, smoothing):
    x, w, b, y = layer
    logits, _ = affine_forward(x, w, b)
    loss, dlogits = softmax_loss(logits, y, smoothing=smoothing)
    found = affine_softmax_loss(x, w, b, y, block=block, smoothing=smoothing)
    assert found.loss == pytest.approx(loss, rel=1e-12)
    assert found.hits == (logits.argmax(axis=1) == y).sum()
    for ours, theirs in ((found.dx, dlogits @ w.T), (found.dw, x.T @ dlogits), (found.db, dlogits.sum(axis=0))):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)
    nats, right = affine_softmax_nats(x, w, b, y, block)  # what a text costs is never smoothed
    assert nats.mean() == pytest.approx(softmax_loss(logits, y)[0], rel=1e-12)
    assert right.sum() == found.hits


def test_a_count_makes_parts_add_up(layer):
    x, w, b, y = layer
    whole = affine_softmax_loss(x, w, b, y)
    parts = [affine_softmax_loss(x[rows], w, b, y[rows], len(x)) for rows in (slice(0, 5), slice(5, None))]
    assert sum(part.loss for part in parts) == pytest.approx(whole.loss, rel=1e-12)
    np.testing.assert_allclose(parts[0].dw + parts[1].dw, whole.dw, rtol=1e-10)


def test_large_scores_are_no_trouble():
    x = np.array([[1000.0], [-1000.0]], np.float32)
    found = affine_softmax_loss(x, np.array([[1.0, -1.0]], np.float32), np.zeros(2, np.float32), np.array([0, 0]))
    assert found.loss == pytest.approx(1000.0)
    assert np.isfinite(found.dx).all()


def test_the_scores_of_all_rows_never_exist_together():
    R, V = 4000, 2000
    x, w, b, y = np.ones((R, 8), np.float32), np.ones((8, V), np.float32), np.zeros(V, np.float32), np.zeros(R, int)
    tracemalloc.start()
    affine_softmax_loss(x, w, b, y, block=50 * V)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < R * V * 4 / 10
