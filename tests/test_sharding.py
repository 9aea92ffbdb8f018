import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threaded_exchange import on_every_rank

from rnncli.optim import Piece, SparseRows, values_of
from rnncli.sharding import Ownership, add_rows, collect, deal, publish, sum_gradients

SHAPES = {"embedding.W": (11, 3), "a": (4, 5), "b": (5,), "c": (1,)}
SPARSE = ("embedding.W",)


def arrays(seed):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def gradients(rank):
    rng = np.random.default_rng([7, rank])
    grads = {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}
    rows = rng.permutation(11)[: 3 + rank]
    grads["embedding.W"] = SparseRows(rows, rng.normal(size=(len(rows), 3)).astype(np.float32))
    return grads


def dense(grad, shape):
    out = np.zeros(shape, np.float32)
    if isinstance(grad, SparseRows):
        out[grad.rows] = grad.values
    elif isinstance(grad, Piece):
        out.reshape(-1)[grad.start : grad.start + len(grad.values)] = grad.values
    else:
        out[...] = grad
    return out


@given(st.lists(st.integers(1, 400), min_size=1, max_size=80), st.integers(1, 9))
def test_every_text_is_dealt_once_and_no_rank_has_much_more_than_another(lengths, size):
    lengths = np.array(lengths)
    hands = deal(lengths, size)
    assert len(hands) == size
    assert sorted(np.concatenate(hands).tolist()) == list(range(len(lengths)))
    assert all((np.diff(hand) > 0).all() for hand in hands)
    tokens = [int(lengths[hand].sum()) for hand in hands]
    assert max(tokens) - min(tokens) <= lengths.max()  # no text could be moved to even it out


def test_a_batch_of_close_lengths_is_dealt_evenly():
    lengths = np.random.default_rng(0).integers(200, 240, 64)
    tokens = [int(lengths[hand].sum()) for hand in deal(lengths, 4)]
    assert max(tokens) / min(tokens) < 1.01


@pytest.mark.parametrize("size", [1, 2, 3, 7, 40])
def test_every_number_of_a_dense_array_belongs_to_one_rank(size):
    ownership = Ownership.of(arrays(0), SPARSE)
    owners = {name: np.zeros(int(np.prod(shape)), int) for name, shape in SHAPES.items() if name not in SPARSE}
    counts = []
    for rank in range(size):
        pieces = ownership.pieces(rank, size)
        assert all(piece.stop > piece.start for piece in pieces.values())
        counts.append(sum(piece.stop - piece.start for piece in pieces.values()))
        for name, piece in pieces.items():
            owners[name][piece] += 1
    assert all((owned == 1).all() for owned in owners.values())
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_sums_are_of_all_ranks_in_their_order(size):
    ownership = Ownership.of(arrays(0), SPARSE)
    parts = on_every_rank(size, lambda exchange: sum_gradients(gradients(exchange.rank), ownership, exchange))
    for name, shape in SHAPES.items():
        expected = np.zeros(shape, np.float32)
        for rank in range(size):
            expected += dense(gradients(rank)[name], shape)
        found = sum(dense(part[name], shape) for part in parts if name in part)
        np.testing.assert_array_equal(found, expected)
    for rank, part in enumerate(parts):
        assert (part["embedding.W"].rows % size == rank).all()


def test_one_rank_gets_its_own_gradients_back():
    grads = gradients(0)
    ownership = Ownership.of(arrays(0), SPARSE)
    (summed,) = on_every_rank(1, lambda exchange: sum_gradients(grads, ownership, exchange))
    assert summed is grads


def test_rows_that_several_ranks_have_are_added_up():
    summed = add_rows(
        [SparseRows(np.array([5, 2]), np.array([[1.0], [2]])), SparseRows(np.array([2]), np.array([[4.0]]))]
    )
    assert summed.rows.tolist() == [2, 5]
    assert summed.values.tolist() == [[6], [1]]


@pytest.mark.parametrize("shares_memory", [False, True])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_what_is_moved_by_one_rank_is_moved_for_all(size, shares_memory):
    ownership = Ownership.of(arrays(0), SPARSE)

    def work(exchange):
        params = exchange.place(arrays(1) if exchange.rank == 0 else None)
        moved = sum_gradients(gradients(exchange.rank), ownership, exchange)
        for name, grad in moved.items():
            params[name] -= dense(grad, SHAPES[name])
        publish(params, moved, ownership, exchange)
        return params

    expected = arrays(1)
    for name, shape in SHAPES.items():
        total = np.zeros(shape, np.float32)
        for rank in range(size):
            total += dense(gradients(rank)[name], shape)
        expected[name] -= total
    for params in on_every_rank(size, work, shares_memory=shares_memory):
        for name, array in expected.items():
            np.testing.assert_array_equal(params[name], array)


@pytest.mark.parametrize("resting", [{"a"}, {"b", "embedding.W"}, {"a", "b", "c"}, set(SHAPES)], ids=sorted)
@pytest.mark.parametrize("size", [2, 3, 40])
def test_what_rests_is_not_sent_and_changes_nobodys_part(size, resting):
    whole, ownership = (Ownership.of(arrays(0), SPARSE, names) for names in (set(), resting))
    for rank in range(size):
        parts = {name: piece for name, piece in whole.pieces(rank, size).items() if name not in resting}
        assert ownership.pieces(rank, size) == parts

    def work(exchange):
        params = arrays(1)
        grads = {name: grad for name, grad in gradients(exchange.rank).items() if name not in resting}
        moved = sum_gradients(grads, ownership, exchange)
        for name, grad in moved.items():
            params[name] -= dense(grad, SHAPES[name])
        publish(params, moved, ownership, exchange)
        return params

    first, *others = on_every_rank(size, work)
    for name, before in arrays(1).items():
        total = sum(dense(gradients(rank)[name], SHAPES[name]) for rank in range(size))
        expected = before if name in resting else before - total
        np.testing.assert_allclose(first[name], expected, rtol=1e-4, atol=1e-5)
        assert all(params[name].tobytes() == first[name].tobytes() for params in others)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_rank_0_collects_what_the_others_kept(size):
    ownership = Ownership.of(arrays(0), SPARSE)

    def work(exchange):
        moments = {"m": arrays(1), "v": arrays(2)}
        for kind in moments.values():
            for name, piece in ownership.pieces(exchange.rank, size).items():
                kind[name].reshape(-1)[piece] += 10
            kind["embedding.W"][exchange.rank :: size] += 10
        collect(moments, ownership, exchange)
        return moments

    complete = on_every_rank(size, work)[0]
    for kind, before in (("m", arrays(1)), ("v", arrays(2))):
        for name, array in before.items():
            np.testing.assert_array_equal(complete[kind][name], array + 10)


def test_the_numbers_of_a_gradient():
    assert values_of(Piece(3, np.array([1.0]))).tolist() == [1]
    assert values_of(np.array([2.0])).tolist() == [2]
