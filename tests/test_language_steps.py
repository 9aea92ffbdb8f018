import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.language.steps import make_steps, masks_for


def test_without_documents_the_streams_are_the_sequences():
    inputs = np.arange(12).reshape(3, 4)
    steps = make_steps(inputs, inputs + 1, np.zeros((3, 4), bool))
    assert (steps.packing.sizes == 3).all()
    assert steps.ids.tolist() == inputs.T.reshape(-1).tolist()
    assert (steps.y == steps.ids + 1).all()
    assert steps.streams.tolist() == steps.last.tolist() == [0, 1, 2]
    assert not steps.fresh.any()


def test_a_document_begins_a_sequence_of_its_own():
    inputs = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    starts = np.zeros((2, 5), bool)
    starts[1, 2] = True
    steps = make_steps(inputs, inputs, starts)
    sequences = [steps.ids[steps.packing.sequences == n].tolist() for n in range(3)]
    assert sequences == [[1, 2, 3, 4, 5], [8, 9, 10], [6, 7]]
    assert steps.streams.tolist() == [0, 1, 1]
    assert steps.fresh.tolist() == [False, True, False]
    assert steps.last.tolist() == [0, 1]


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_every_step_is_there_once_and_in_order(N, T, seed):
    rng = np.random.default_rng(seed)
    inputs = np.arange(N * T).reshape(N, T)
    starts, fresh = rng.random((N, T)) < 0.3, rng.random(N) < 0.3
    lengths = rng.integers(1, T + 1, N)
    steps = make_steps(inputs, inputs, starts, fresh=fresh, lengths=lengths)
    assert (steps.ids == steps.cells).all()
    kept = np.arange(T) < lengths[:, None]
    assert sorted(steps.ids.tolist()) == inputs[kept].tolist()
    for n, stream in enumerate(steps.streams):
        own = steps.ids[steps.packing.sequences == n]
        assert (np.diff(own) == 1).all()
        row, column = divmod(int(own[0]), T)
        assert row == stream
        assert column == 0 or starts[row, column]
        assert not starts[row, column + 1 : column + len(own)].any()
        assert steps.fresh[n] == (starts[row, column] or (column == 0 and fresh[row]))
    for stream, last in enumerate(steps.last):
        own = steps.ids[steps.packing.sequences == last]
        assert own[-1] == stream * T + lengths[stream] - 1


@pytest.mark.parametrize(("first", "end"), [(0, 2), (2, 5), (0, 5)])
def test_masks_are_those_of_the_whole_window(first, end):
    inputs = np.arange(20).reshape(5, 4)
    starts = np.random.default_rng(1).random((5, 4)) < 0.3
    part = slice(first, end)
    steps = make_steps(inputs[part], inputs[part], starts[part])
    masks = masks_for(steps, first, (5, 4), np.unique(inputs))
    assert (inputs.reshape(-1)[masks.cells.rows] == steps.ids).all()
    assert (masks.streams.rows == steps.ids // 4).all()
    assert (masks.cells.total, masks.streams.total) == (20, 5)
