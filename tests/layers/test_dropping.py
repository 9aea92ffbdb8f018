import numpy as np
import pytest

from rnncli.layers.dropping import (
    Places,
    drop,
    drop_state_weights,
    hide_words,
    undrop,
    undrop_state_weights,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_nothing_is_dropped_at_a_rate_of_zero_or_without_a_generator():
    x, ids, layers = np.ones((4, 3)), np.arange(4), [[[np.ones((2, 4)), np.ones((1, 4)), np.ones(4)]]]
    for rate, generator in ((0, rng()), (0.5, None)):
        assert drop(x, rate, generator, None)[0] is x
        assert hide_words(ids, 0, rate, generator, None) is ids
        assert drop_state_weights(layers, rate, generator) == (layers, None)
    assert undrop(x, None) is x
    assert undrop_state_weights(layers, None) is layers


def test_a_part_has_its_rows_of_the_mask_of_the_whole():
    x, rows = np.ones((9, 5)), np.array([7, 0, 3])
    whole, _ = drop(x, 0.5, rng(), None)
    part, mask = drop(x[rows], 0.5, rng(), Places(rows, 9))
    np.testing.assert_array_equal(part, whole[rows])
    np.testing.assert_array_equal(undrop(np.ones((3, 5)), mask), whole[rows])
    ids = np.arange(1, 10)
    hidden = hide_words(ids, 0, 0.5, rng(), None)
    np.testing.assert_array_equal(hide_words(ids[rows], 0, 0.5, rng(), Places(rows, 9)), hidden[rows])


def test_words_are_hidden_as_often_as_asked_and_the_others_stay():
    ids = np.arange(1, 20001)
    hidden = hide_words(ids, 0, 0.2, rng(), None)
    assert np.mean(hidden == 0) == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(hidden[hidden != 0], ids[hidden != 0])


def test_only_the_weights_from_state_to_state_are_dropped_each_with_a_mask_of_its_own():
    def direction():
        return [np.ones((2, 8)), np.ones((2, 8)), np.ones(8), np.ones(2)]

    layers = [[direction(), direction()], [direction(), direction()]]
    dropped, masks = drop_state_weights(layers, 0.5, rng())
    for given, own, drawn in zip(layers, dropped, masks, strict=True):
        for before, after, mask in zip(given, own, drawn, strict=True):
            assert all(after[n] is before[n] for n in (0, 2, 3))
            np.testing.assert_array_equal(after[1], mask)
            assert set(np.unique(mask)) == {0, 2}
            np.testing.assert_array_equal(before[1], 1)
    assert len({mask.tobytes() for drawn in masks for mask in drawn}) == 4
    grads = [[tuple(direction()) for _ in range(2)] for _ in range(2)]
    for given, drawn in zip(undrop_state_weights(grads, masks), masks, strict=True):
        for own, mask in zip(given, drawn, strict=True):
            np.testing.assert_array_equal(own[1], mask)
            np.testing.assert_array_equal(own[0], 1)
