import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnncli.packing import LARGE_GROUP, group_rows, make_packing, pack, pack_flat, sum_by_group, unpack

some_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30).map(np.array)


def test_the_example_of_the_module():
    packing = make_packing(np.array([1, 4, 3]))
    assert packing.order.tolist() == [1, 2, 0]
    assert packing.lengths.tolist() == [4, 3, 1]
    assert packing.sizes.tolist() == [3, 2, 2, 1]
    assert packing.offsets.tolist() == [0, 3, 5, 7, 8]
    assert packing.rows == 8
    assert packing.sequences.tolist() == [0, 1, 2, 0, 1, 0, 1, 0]
    assert packing.times.tolist() == [0, 0, 0, 1, 1, 2, 2, 3]
    assert packing.last_rows.tolist() == [7, 6, 2]
    assert list(packing.steps()) == [(0, 3), (3, 5), (5, 7), (7, 8)]
    assert list(packing.steps(reverse=True)) == [(7, 8), (5, 7), (3, 5), (0, 3)]


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_the_layout_is_the_one_a_plain_loop_writes(lengths):
    packing = make_packing(lengths)
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])  # sorted() keeps ties in order, too
    rows = [(t, j) for t in range(lengths.max()) for j, n in enumerate(order) if lengths[n] > t]
    assert packing.order.tolist() == order
    assert packing.lengths.tolist() == [lengths[n] for n in order]
    assert packing.rows == len(rows) == lengths.sum()
    assert packing.times.tolist() == [t for t, _ in rows]
    assert packing.sequences.tolist() == [j for _, j in rows]
    assert packing.sizes.tolist() == [int((lengths > t).sum()) for t in range(lengths.max())]
    assert packing.offsets.tolist() == [sum(s < t for s, _ in rows) for t in range(lengths.max() + 1)]
    assert packing.last_rows.tolist() == [rows.index((lengths[n] - 1, j)) for j, n in enumerate(order)]
    for attribute in ("order", "lengths", "sizes", "offsets", "times", "sequences", "last_rows"):
        assert getattr(packing, attribute).dtype == np.int64


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_the_steps_are_slices_that_cover_every_row_once(lengths):
    packing = make_packing(lengths)
    steps = list(packing.steps())
    assert [row for start, end in steps for row in range(start, end)] == list(range(packing.rows))
    assert list(packing.steps(reverse=True)) == steps[::-1]


@settings(deadline=None, max_examples=60)
@given(some_lengths, st.integers(0, 3), st.sampled_from([np.float32, np.float64, np.int32]))
def test_pack_and_unpack_undo_each_other(lengths, spare, dtype):
    packing = make_packing(lengths)
    T = lengths.max() + spare
    rows = (1 + np.arange(packing.rows * 2)).reshape(-1, 2).astype(dtype)
    dense = unpack(rows, packing, T)
    assert dense.shape == (len(lengths), T, 2)
    assert dense.dtype == dtype
    np.testing.assert_array_equal(pack(dense, packing), rows)
    real = np.arange(T) < lengths[:, None]
    np.testing.assert_array_equal(dense[~real], 0)
    assert dense[real].all()
    # The other way round: packing a dense array and unpacking it clears what lay beyond the lengths, and no more.
    full = np.random.default_rng(0).integers(1, 100, (len(lengths), T)).astype(dtype)
    np.testing.assert_array_equal(unpack(pack(full, packing), packing, T), np.where(real, full, 0))


@settings(deadline=None, max_examples=60)
@given(some_lengths)
def test_pack_flat_takes_the_same_rows_out_of_a_corpus(lengths):
    rng = np.random.default_rng(0)
    gaps = rng.integers(0, 5, len(lengths))  # other sequences in between
    starts = np.cumsum(gaps + np.concatenate([[0], lengths[:-1]]))
    places = rng.permutation(len(lengths))  # the batch need not be in the order of the corpus
    values = np.arange(starts[-1] + lengths[-1]) * 10
    dense = np.zeros((len(lengths), lengths.max()), values.dtype)
    for row, n in enumerate(places):
        dense[row, : lengths[n]] = values[starts[n] : starts[n] + lengths[n]]
    packing = make_packing(lengths[places])
    np.testing.assert_array_equal(pack_flat(values, starts[places], packing), pack(dense, packing))


def test_a_dense_batch_is_the_special_case():
    packing = make_packing(np.full(3, 5))
    assert packing.order.tolist() == [0, 1, 2]
    assert packing.sizes.tolist() == [3] * 5
    x = np.arange(30).reshape(3, 5, 2)
    np.testing.assert_array_equal(pack(x, packing).reshape(5, 3, 2), x.transpose(1, 0, 2))


@pytest.mark.parametrize("lengths", [[], [0], [3, 0, 2], [-1], [[1, 2]], 3], ids=str)
def test_lengths_that_are_none_are_refused(lengths):
    with pytest.raises(ValueError, match="non-empty vector of integers of at least 1"):
        make_packing(np.array(lengths))


def test_the_functions_change_nothing_they_are_given():
    lengths, starts = np.array([2, 3, 1]), np.array([4, 0, 3])
    x, values = np.random.default_rng(0).standard_normal((3, 3, 2)), np.arange(9.0)
    ids, rows = np.array([5, 5, 1, 5, 2, 1]), np.random.default_rng(1).standard_normal((6, 2))
    given_arrays = (lengths, starts, x, values, ids, rows)
    before = [a.copy() for a in given_arrays]
    for a in given_arrays:
        a.flags.writeable = False
    packing = make_packing(lengths)
    unpack(pack(x, packing), packing, 3)
    unpack(rows, packing, 3)
    pack_flat(values, starts, packing)
    sum_by_group(rows, group_rows(ids))
    for a, b in zip(given_arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


# Mostly small values, so that some repeat heavily; a few that hardly ever do.
some_ids = hnp.arrays(
    np.int64,
    st.integers(1, 200),
    elements=st.one_of(st.integers(0, 3), st.integers(0, 30), st.integers(-(2**40), 2**40)),
)


@settings(deadline=None, max_examples=60)
@given(some_ids)
def test_groups_hold_every_row_once_the_largest_first(ids):
    groups = group_rows(ids)
    values, counts = np.unique(ids, return_counts=True)
    assert sorted(groups.values.tolist()) == values.tolist()
    assert dict(zip(groups.values.tolist(), groups.counts.tolist(), strict=True)) == dict(
        zip(values.tolist(), counts.tolist(), strict=True)
    )
    assert (np.diff(groups.counts) <= 0).all()
    np.testing.assert_array_equal(groups.values[groups.index], ids)
    assert sorted(groups.rows.tolist()) == list(range(len(ids)))
    for u, value in enumerate(groups.values):
        rows = groups.rows[groups.starts[u] : groups.starts[u] + groups.counts[u]]
        np.testing.assert_array_equal(rows, np.flatnonzero(ids == value))


def summed_by_numpy(x, groups):
    expected = np.zeros((len(groups.values), *x.shape[1:]), x.dtype)
    np.add.at(expected, groups.index, x)
    return expected


@settings(max_examples=150, deadline=None)
@given(some_ids)
def test_sums_are_those_of_numpy(ids):
    groups = group_rows(ids)
    # Whole numbers: sums are exact in any order, so one row too many or too few cannot hide in a tolerance.
    x = np.random.default_rng(0).integers(-1000, 1000, (len(ids), 3)).astype(np.float64)
    np.testing.assert_array_equal(sum_by_group(x, groups), summed_by_numpy(x, groups))


@pytest.mark.parametrize("count", [1, 2, LARGE_GROUP - 1, LARGE_GROUP, LARGE_GROUP + 1, 2 * LARGE_GROUP, 1000])
@pytest.mark.parametrize("others", [[], [1], [1, 1, 2], [LARGE_GROUP - 1, LARGE_GROUP, LARGE_GROUP + 1, 500]], ids=str)
def test_sums_on_either_side_of_the_large_groups(count, others):
    counts = [count, *others]
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    x = np.random.default_rng(1).integers(-1000, 1000, (len(ids), 2)).astype(np.float32)
    groups = group_rows(ids)
    got = sum_by_group(x, groups)
    np.testing.assert_array_equal(got, summed_by_numpy(x, groups))
    assert got.dtype == np.float32


def test_sums_of_the_token_counts_of_text():
    # Zipf's law: one token on a tenth of the rows, most tokens once.
    rng = np.random.default_rng(0)
    ids = rng.zipf(1.3, 20_000) % 20_000
    x = rng.standard_normal((20_000, 4))
    groups = group_rows(ids)
    assert groups.counts[0] > 1000
    assert (groups.counts == 1).sum() > 1000
    np.testing.assert_allclose(sum_by_group(x, groups), summed_by_numpy(x, groups), atol=1e-10)
