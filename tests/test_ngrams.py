"""N-grams: found however the texts lie, counted, kept, rated and dropped."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli import ngram_counts, ngrams
from rnncli.ngram_counts import count_ngrams, log_count_ratios
from rnncli.ngrams import Bag, bag_of, kept_by_dropout, occurrences, rows_of
from rnncli.packing import make_packing, pack_flat

texts_of_ids = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=6)


def laid_out(texts):
    offsets = np.cumsum([0, *map(len, texts)])
    return np.concatenate([np.array(text, np.int32) for text in texts]), offsets


def grams(text, orders):
    return [tuple(text[i : i + n]) for n in range(1, orders + 1) for i in range(len(text) - n + 1)]


def key_of(gram):
    """Return the number of an n-gram: the last that a text which is this n-gram has."""
    *_, (_, found, _, _) = ngrams._spell(
        np.array(gram), np.arange(1, len(gram) + 1), np.arange(len(gram), 0, -1), len(gram)
    )
    return int(found[0])


def counted(texts, labels, classes=2, orders=3, min_count=1, most=10**6):
    ids, offsets = laid_out(texts)
    return count_ngrams(ids, offsets, np.array(labels), classes, orders=orders, min_count=min_count, most=most)


@given(texts_of_ids, st.integers(1, 4))
def test_counts_are_those_of_texts_that_have_an_ngram(texts, orders):
    labels = [n % 2 for n in range(len(texts))]
    found = counted(texts, labels, orders=orders)
    expected = Counter()
    for text, label in zip(texts, labels, strict=True):
        expected.update((key_of(gram), label) for gram in set(grams(text, orders)))
    assert (np.diff(found.keys) > 0).all()
    assert found.keys.dtype == np.int32
    assert {(int(key), c): int(found.texts[row, c]) for row, key in enumerate(found.keys) for c in (0, 1)} == {
        (key, c): expected[key, c] for key in {key for key, _ in expected} for c in (0, 1)
    }


@given(texts_of_ids, st.integers(1, 4), st.integers(0, 5))
def test_a_bag_has_the_known_ngrams_of_each_text_once(texts, orders, some):
    ids, offsets = laid_out(texts)
    keys = counted(texts, [0] * len(texts), orders=orders).keys[some % 3 :: 2]  # not all have a row
    packing = make_packing(np.diff(offsets))
    bag = bag_of(pack_flat(ids, offsets[:-1], packing), packing, orders, keys)
    for j, n in enumerate(packing.order):
        known = {key_of(gram) for gram in grams(texts[n], orders)} & set(keys.tolist())
        assert keys[bag.rows[bag.sequences == j]].tolist() == sorted(known)
    assert (np.diff(bag.rows) >= 0).all()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9), st.integers(1, 4))
def test_every_occurrence_is_found_where_it_is(text, orders):
    keys = counted([text], [0], orders=orders).keys
    found = [
        (order, int(place), int(keys[row]))
        for order, places, rows in occurrences(np.array(text), orders, keys)
        for place, row in zip(places, rows, strict=True)
    ]
    expected = [(n, i, key_of(text[i : i + n])) for n in range(1, orders + 1) for i in range(len(text) - n + 1)]
    assert sorted(found) == sorted(expected)


def test_order_and_length_make_another_ngram():
    many = [key_of(gram) for gram in [(1,), (2,), (1, 2), (2, 1), (1, 1), (1, 2, 1), (1, 1, 1), (0,), (0, 0)]]
    assert len(set(many)) == len(many)


def test_numbers_of_ngrams_are_spread():
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 20_000, (200_000, 2)), axis=0)
    ids = pairs.reshape(-1)
    found = counted(ids.reshape(-1, 2).tolist(), [0] * len(pairs), classes=1, orders=2).keys
    distinct = len(np.unique(ids)) + len(pairs)
    assert distinct - len(found) < 40  # 2**31 numbers: some 11 pairs share one
    high = np.bincount(found >> 27, minlength=16)
    assert high.min() > 0.95 * high.mean()


def test_blocks_of_texts_are_counted_like_one(monkeypatch):
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, 5, rng.integers(1, 8)).tolist() for _ in range(50)]
    labels = rng.integers(0, 3, 50).tolist()
    whole = counted(texts, labels, classes=3)
    monkeypatch.setattr(ngram_counts, "TEXTS_AT_ONCE", 7)
    blocks = counted(texts, labels, classes=3)
    np.testing.assert_array_equal(blocks.keys, whole.keys)
    np.testing.assert_array_equal(blocks.texts, whole.texts)


def test_rare_ngrams_are_left_out_and_the_most_frequent_kept():
    texts = [[1, 2], [1, 2], [1, 3], [1]]
    often = counted(texts, [0, 1, 0, 1], min_count=2)
    assert {int(key) for key in often.keys} == {key_of((1,)), key_of((2,)), key_of((1, 2))}
    assert counted(texts, [0, 1, 0, 1], most=1).keys.tolist() == [key_of((1,))]
    assert len(counted(texts, [0, 1, 0, 1], min_count=5).keys) == 0


def test_ratios_are_those_of_the_paper():
    """Two classes, two n-grams, by hand: f = (3, 0) and (1, 2), each one higher."""
    ratios = log_count_ratios(np.array([[3, 1], [0, 2]]))
    p, q = np.array([2 / 5, 3 / 5]), np.array([4 / 5, 1 / 5])  # of the second class, of the first
    np.testing.assert_allclose(ratios[:, 0], np.log(p / q))
    assert ratios.shape == (2, 1)


def test_of_more_classes_each_is_set_against_the_rest():
    counts = np.array([[3, 1, 0], [0, 2, 5], [1, 1, 1]])
    ratios = log_count_ratios(counts)
    for c in range(3):
        rest = counts.sum(axis=1) - counts[:, c]
        np.testing.assert_allclose(ratios[:, [c]], log_count_ratios(np.stack([rest, counts[:, c]], axis=1)))


def test_dropout_leaves_out_as_much_as_it_says_and_other_ngrams_with_another_key():
    bag = Bag(np.tile(np.arange(1000), 20), np.repeat(np.arange(20), 1000))
    first, again, other = (kept_by_dropout(bag, 0.3, key) for key in (5, 5, 6))
    assert first.mean() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_array_equal(first, again)
    assert np.mean(first == other) == pytest.approx(0.7**2 + 0.3**2, abs=0.02)
    by_text = first.reshape(20, 1000)
    assert np.mean(by_text[0] == by_text[1]) == pytest.approx(0.7**2 + 0.3**2, abs=0.06)
    assert np.abs(by_text.mean(axis=0) - 0.7).max() < 0.5  # no n-gram is left out of every text


def test_what_is_dropped_does_not_depend_on_what_else_is_there():
    bag = Bag(np.arange(100), np.repeat([0, 1], 50))
    some = bag.sequences == 1
    part = Bag(bag.rows[some], bag.sequences[some])
    np.testing.assert_array_equal(kept_by_dropout(bag, 0.5, 9)[some], kept_by_dropout(part, 0.5, 9))


def test_rows_of_finds_only_what_is_there():
    rows, there = rows_of(np.array([1, 5, 9, 12], np.int32), np.array([5, 9, 10], np.int32))
    assert (rows.tolist(), there.tolist()) == ([0, 1], [False, True, True, False])
    assert rows_of(np.array([3], np.int32), np.empty(0, np.int32))[0].tolist() == []
