from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.language.windows import count_windows, document_starts, lm_windows, release_pages

SIZES = st.tuples(st.integers(2, 200), st.integers(1, 12), st.integers(1, 12)).filter(lambda s: s[0] > s[1])


def test_the_drawing_of_the_docstring():
    windows = list(lm_windows(np.arange(17, dtype=np.uint8), 3, 2))
    assert [window.inputs.tolist() for window in windows] == [
        [[0, 1], [5, 6], [10, 11]],
        [[2, 3], [7, 8], [12, 13]],
        [[4], [9], [14]],
    ]
    assert [window.targets.tolist() for window in windows] == [
        [[1, 2], [6, 7], [11, 12]],
        [[3, 4], [8, 9], [13, 14]],
        [[5], [10], [15]],
    ]
    assert [window.number for window in windows] == [0, 1, 2]
    assert windows[0].inputs.dtype == np.int64


@given(SIZES)
def test_every_token_is_predicted_once_but_the_first_and_a_tail(sizes):
    total, streams, steps = sizes
    windows = list(lm_windows(np.arange(total, dtype=np.uint16), streams, steps))
    predicted = np.sort(np.concatenate([window.targets.ravel() for window in windows]))
    assert predicted.tolist() == list(range(1, len(predicted) + 1))
    assert 0 <= total - 1 - len(predicted) < streams
    for window in windows:
        np.testing.assert_array_equal(window.targets, window.inputs + 1)  # the tokens are their own places
        assert 1 <= window.inputs.shape[1] <= steps
    assert all(window.inputs.shape == (streams, steps) for window in windows[:-1])


@given(SIZES)
def test_a_row_goes_on_in_the_next_window(sizes):
    total, streams, steps = sizes
    windows = list(lm_windows(np.arange(total), streams, steps))
    for before, after in pairwise(windows):
        np.testing.assert_array_equal(before.targets[:, -1], after.inputs[:, 0])


@given(SIZES, st.integers(0, 30))
def test_it_may_begin_in_the_middle(sizes, first):
    total, streams, steps = sizes
    every = list(lm_windows(np.arange(total), streams, steps))
    assert len(every) == count_windows(total, streams, steps)
    some = list(lm_windows(np.arange(total), streams, steps, first))
    assert len(some) == len(every[first:])
    for one, other in zip(every[first:], some, strict=True):
        assert one.number == other.number
        np.testing.assert_array_equal(one.inputs, other.inputs)


@pytest.mark.parametrize(("total", "streams", "steps"), [(3, 3, 1), (1, 1, 1), (9, 0, 1), (9, 1, 0)])
def test_what_cannot_be_cut(total, streams, steps):
    with pytest.raises(ValueError, match=r"at least 1|too few"):
        next(lm_windows(np.arange(total), streams, steps))


def test_a_document_begins_with_the_end_of_the_one_before():
    inputs = np.array([[9, 1, 2], [3, 9, 9]])
    assert document_starts(inputs, 9).tolist() == [[True, False, False], [False, True, True]]
    assert not document_starts(inputs, None).any()


def test_released_pages_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("rnncli.data.language.windows.READ_BEFORE_RELEASE", 64)
    tokens = np.arange(5000, dtype="<u2")
    tokens.tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", dtype="<u2", mode="r")
    for one, other in zip(lm_windows(tokens, 3, 7), lm_windows(mapped, 3, 7), strict=True):
        np.testing.assert_array_equal(one.targets, other.targets)
    release_pages(mapped[3:])
    assert mapped[3:5].tolist() == [3, 4]
    release_pages(tokens)
