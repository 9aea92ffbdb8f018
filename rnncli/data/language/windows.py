"""A corpus as parallel streams of windows, for back-propagation cut off at a window's end."""

import mmap
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.unsignedinteger[Any]]

# Pages of a file that were read stay part of the process until they are given back; this many bytes at most.
READ_BEFORE_RELEASE = 2**24


class Window(NamedTuple):
    """The same few steps of every stream.

    Parameters
    ----------
    number : int
        Its place among the windows of the corpus, from 0. The first starts from a fresh state, each other one from the
        state after the window before it, row by row.
    inputs, targets : ndarray of shape (N, T), int64
        Token ids. ``targets[n, t]`` is what follows ``inputs[n, t]`` in the corpus.
    """

    number: int
    inputs: IntArray
    targets: IntArray


def lm_windows(tokens: Tokens, streams: int, steps: int, first: int = 0) -> Iterator[Window]:
    """Yield a corpus as ``streams`` rows that are read side by side, ``steps`` tokens at a time.

    The corpus is cut into N streams of equal length. 17 tokens, N = 3, T = 2, each number a token's place::

                   window 0             window 1            window 2
                inputs   targets     inputs   targets    inputs   targets
              ┌────┬────┬────┬────┐┌────┬────┬────┬────┐┌────┬────┐
        row 0 │  0 │  1 │  1 │  2 ││  2 │  3 │  3 │  4 ││  4 │  5 │
              ├────┼────┼────┼────┤├────┼────┼────┼────┤├────┼────┤
        row 1 │  5 │  6 │  6 │  7 ││  7 │  8 │  8 │  9 ││  9 │ 10 │
              ├────┼────┼────┼────┤├────┼────┼────┼────┤├────┼────┤
        row 2 │ 10 │ 11 │ 11 │ 12 ││ 12 │ 13 │ 13 │ 14 ││ 14 │ 15 │
              └────┴────┴────┴────┘└────┴────┴────┴────┘└────┴────┘

    A row's state is carried to the right; no row ever sees another's. The last window is as short as it has to be.
    Every token but the first is a target exactly once, except fewer than N at the end (16 above), which would not fill
    a column. With one stream nothing is left out.

    Parameters
    ----------
    tokens : ndarray of shape (total,)
        The corpus, in memory or mapped from a file.
    streams : int
        N.
    steps : int
        T.
    first : int
        The window to begin with; those before it are passed over without being read.

    Returns
    -------
    iterator of Window
        :func:`count_windows` less ``first`` of them.

    Raises
    ------
    ValueError
        If N or T is less than 1, or the corpus has too few tokens for N streams of one step.
    """
    total = count_windows(len(tokens), streams, steps)
    length = (len(tokens) - 1) // streams
    starts = np.arange(streams) * length
    read = 0
    for number in range(first, total):
        begin, end = number * steps, min((number + 1) * steps, length)
        rows = np.empty((streams, end - begin + 1), np.int64)
        for row, start in zip(rows, starts, strict=True):
            row[:] = tokens[start + begin : start + end + 1]
        read += rows.size * tokens.itemsize
        if read >= READ_BEFORE_RELEASE:
            release_pages(tokens)
            read = 0
        yield Window(number, rows[:, :-1], rows[:, 1:])


def count_windows(tokens: int, streams: int, steps: int) -> int:
    """Return how many windows :func:`lm_windows` makes.

    Parameters
    ----------
    tokens : int
        Tokens of the corpus.
    streams, steps : int
        N and T.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    ValueError
        As for :func:`lm_windows`.
    """
    if streams < 1 or steps < 1:
        raise ValueError(f"streams and steps must be at least 1, got {streams} and {steps}")
    length = (tokens - 1) // streams
    if length < 1:
        raise ValueError(f"{tokens} tokens are too few for {streams} streams")
    return -(-length // steps)


def document_starts(inputs: IntArray, end_of_text: int | None) -> npt.NDArray[np.bool_]:
    """Return the steps before which the state has to be set to zero.

    The end-of-text token stands before every document as well as after it. As an input it begins the next one, so the
    state is fresh before it is read, and the first token of a document is predicted from it alone.

    Parameters
    ----------
    inputs : ndarray of shape (N, T), int64
        From a :class:`Window`.
    end_of_text : int or None
        The codec's id of the end-of-text token; None where documents are not separated.

    Returns
    -------
    ndarray of shape (N, T), bool
        True where a document begins.
    """
    if end_of_text is None:
        return np.zeros(inputs.shape, dtype=bool)
    return np.asarray(inputs == end_of_text)


def release_pages(tokens: npt.NDArray[Any]) -> None:
    """Give back the pages of a mapped file that have been read; what is read again comes from the file's cache.

    Parameters
    ----------
    tokens : ndarray
        Any array; nothing happens unless it is mapped from a file on a system that knows how.
    """
    base: Any = tokens
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
