import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.batches import POOL, epoch_batches, make_batch, scoring_batches
from rnncli.data.dataset import EncodedTexts


def corpus(lengths, seed=0):
    """Return texts in which every token is distinct, so that none can be mistaken for another."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    labels = np.random.default_rng(seed).integers(0, 3, len(lengths))
    return EncodedTexts(np.arange(offsets[-1], dtype=np.int32), offsets, labels)


def unpacked(batch):
    """Return each packed sequence's ids, read step by step as the layout says."""
    out = [[] for _ in batch.packing.order]
    for start, end in batch.packing.steps():
        for sequence, row in enumerate(range(start, end)):
            out[sequence].append(int(batch.ids[row]))
    return out


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(LENGTHS, st.data())
def test_a_batch_holds_its_texts_and_their_classes(lengths, data):
    texts = corpus(lengths)
    rows = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=12)))
    batch = make_batch(texts, rows)
    got = dict(enumerate(unpacked(batch)))
    for sequence, requested in enumerate(batch.packing.order):
        row = rows[requested]
        assert got[sequence] == texts.ids[texts.offsets[row] : texts.offsets[row + 1]].tolist()
        assert batch.y[sequence] == texts.labels[row]
    assert sorted(batch.packing.order.tolist()) == list(range(len(rows)))
    assert len(batch.ids) == sum(lengths[row] for row in rows)


@given(LENGTHS, st.integers(1, 12), st.integers(0, 5))
def test_every_row_comes_once_an_epoch(lengths, batch_size, seed):
    batches = epoch_batches(np.array(lengths), batch_size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // batch_size)
    assert sum(len(batch) < batch_size for batch in batches) <= 1
    assert max(map(len, batches)) <= batch_size


def test_only_one_batch_is_smaller_where_there_are_several_pools():
    batches = epoch_batches(np.arange(1, 2 * POOL * 4 + 6), 4, np.random.default_rng(0))
    assert sorted(map(len, batches))[:2] == [1, 4]


def test_lengths_within_a_batch_are_close():
    lengths = np.random.default_rng(0).permutation(np.arange(1, 1601))
    spread = [np.ptp(lengths[batch]) for batch in epoch_batches(lengths, 16, np.random.default_rng(1))]
    assert np.median(spread) < 60  # 800 rows a pool of 1600 lengths: 16 of 800, each some 2 apart
    assert np.median([np.ptp(lengths[i : i + 16]) for i in range(0, 1600, 16)]) > 1000  # what a plain cut would have


def test_the_order_is_decided_by_the_generator_alone():
    lengths = np.random.default_rng(0).integers(1, 50, 300)

    def dealt(seed):
        return [batch.tolist() for batch in epoch_batches(lengths, 8, np.random.default_rng(seed))]

    assert dealt(1) == dealt(1)
    assert dealt(1) != dealt(2)
    assert sorted(map(sorted, dealt(1))) != sorted(map(sorted, dealt(2)))  # other batches, not only another order


def test_batches_do_not_come_sorted_by_length():
    lengths = np.arange(1, 401)
    means = [lengths[batch].mean() for batch in epoch_batches(lengths, 4, np.random.default_rng(0))]
    assert 20 < np.sum(np.diff(means) > 0) < 80


@given(LENGTHS, st.integers(1, 12))
def test_scoring_reads_every_row_once_the_shortest_first(lengths, batch_size):
    rows = list(scoring_batches(np.array(lengths), batch_size))
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(lengths)))
    in_order = [lengths[row] for row in np.concatenate(rows)]
    assert in_order == sorted(in_order)
    assert {len(batch) for batch in rows[:-1]} <= {batch_size}


def test_no_rows_are_no_batch():
    assert epoch_batches(np.zeros(0, np.int64), 4, np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match="lengths"):
        make_batch(corpus([2]), np.zeros(0, np.int64))
