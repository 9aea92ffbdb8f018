"""Which classes are drawn: how many, how often, and that what is computed with them is right on average."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.layers.output import affine_softmax_loss
from rnncli.layers.sampled import draw_classes, sampled_softmax_loss

WEIGHTS = np.array([40, 20, 9, 6, 5, 4, 3, 2, 1, 1, 1, 0.5])
PRESENT = np.array([1, 4, 10])
OTHERS = np.setdiff1d(np.arange(len(WEIGHTS)), PRESENT)


class Evenly:
    """Stands for a generator; its numbers lie side by side, so that all of them draw what is drawn on average."""

    def __init__(self, number):
        self.left = iter((np.arange(number) + 0.5) / number)

    def random(self):
        return next(self.left)


def draws(count, number=4000):
    rng = Evenly(number)
    return [draw_classes(PRESENT, WEIGHTS, count, rng) for _ in range(number)]


@given(
    st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=30),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
    st.data(),
)
def test_so_many_are_drawn_and_none_twice(weights, count, seed, data):
    present = np.array(sorted(data.draw(st.sets(st.integers(0, len(weights) - 1), min_size=1))))
    found = draw_classes(present, np.array(weights), count, np.random.default_rng(seed))
    assert (np.diff(found.classes) > 0).all()
    assert set(present) <= set(found.classes.tolist())
    assert len(found.classes) == min(len(present) + count, len(weights))
    assert (found.shift >= 0).all()
    assert not found.shift[np.isin(found.classes, present)].any()


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_class_is_drawn_as_often_as_its_shift_says(count):
    stands_for, often = np.zeros(len(WEIGHTS)), np.zeros(len(WEIGHTS))
    every = draws(count)
    for found in every:
        stands_for[found.classes] += np.exp(found.shift)
        often[found.classes] += 1
    np.testing.assert_allclose(stands_for / len(every), 1, atol=0.02)
    share = WEIGHTS[OTHERS] / WEIGHTS[OTHERS].sum()
    if count == 1:
        np.testing.assert_allclose(often[OTHERS] / len(every), share, atol=0.001)
    else:
        assert often[0] == len(every)  # it would be drawn more than once
        assert (np.diff(often[OTHERS]) <= 1).all()


def test_the_sum_over_all_classes_is_right_on_average():
    scores = np.random.default_rng(2).normal(size=len(WEIGHTS))
    sums = [np.exp(scores[found.classes] + found.shift).sum() for found in draws(3)]
    assert np.mean(sums) == pytest.approx(np.exp(scores).sum(), rel=1e-3)
    assert np.std(sums) > 0.1


def test_the_loss_and_its_gradients_are_near_those_of_all_classes_on_average():
    rng = np.random.default_rng(3)
    x, w, b = rng.normal(size=(9, 4)), 0.2 * rng.normal(size=(4, 12)), np.log(WEIGHTS)
    y = rng.choice(PRESENT, 9)
    y[:3] = PRESENT
    full = affine_softmax_loss(x, w, b, y)
    losses, dx, dw, every = [], 0, np.zeros((4, 12)), draws(6, 500)
    for found in every:
        part = sampled_softmax_loss(x, w, b, y, found)
        assert part.classes is found.classes
        losses.append(part.loss)
        dx += part.dx / len(every)
        dw[:, part.classes] += part.dw / len(every)
    assert np.mean(losses) < full.loss  # log is concave
    assert np.mean(losses) == pytest.approx(full.loss, rel=0.02)
    assert np.linalg.norm(dx - full.dx) < 0.1 * np.linalg.norm(full.dx)
    assert np.linalg.norm(dw - full.dw) < 0.1 * np.linalg.norm(full.dw)


def test_the_best_class_is_told_without_the_shift():
    x, w, y = np.eye(3), np.zeros((3, 12)), PRESENT
    w[np.arange(3), PRESENT] = 1.0
    found = draws(2, 1)[0]
    assert found.shift.max() > 1  # with it another class would be the best
    assert sampled_softmax_loss(x, w, np.zeros(12), y, found).hits == 3


def test_float32_stays_float32():
    rng = np.random.default_rng(4)
    x, w, b = (rng.normal(size=size).astype(np.float32) for size in ((3, 4), (4, 12), 12))
    found = sampled_softmax_loss(x, w, b, PRESENT, draws(2, 1)[0])
    assert found.dx.dtype == found.dw.dtype == found.db.dtype == np.float32
