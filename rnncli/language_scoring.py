"""What a text costs a language model that reads it from beginning to end, computed in parallel.

The text is cut into streams that are read side by side. Each needs the state that the stream before it ends with, so
the text is read in sweeps: first all streams but the first begin with a state of zero, then each that began with
another state than the one before it has by now ended with is read again, until its state is what it was at that place
in the sweep before, which with trained weights takes some hundred tokens. The result is that of reading in one piece,
to rounding, however many streams there are; nothing is taken for granted about how soon a state is forgotten.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnncli.data.language.steps import make_steps
from rnncli.data.language.windows import READ_BEFORE_RELEASE, document_starts, release_pages
from rnncli.errors import GradientError
from rnncli.language_models import LanguageModel
from rnncli.packing import Array, IntArray
from rnncli.stacks import State
from rnncli.workers.exchange import ALONE, Exchange

MOST_STREAMS = 64
SHORTEST = 512  # tokens of a stream, below which fewer streams are made
TOGETHER = 32  # streams read side by side by one process
STEPS = 64  # tokens of a stream, after which its state is compared
REMEMBERED = 64  # states of a stream that are kept to compare with
AGREEMENT = 1e-5  # how close two states must be to lead to the same


class Scored(NamedTuple):
    """What a text costs.

    Attributes
    ----------
    nats : float
        All its tokens but the first, together.
    hits : int
        How many of them were the likeliest.
    tokens : int
        How many there are.
    """

    nats: float
    hits: int
    tokens: int


class _Group:
    """Some streams that are read side by side: their own part of the sums, and their states on the way."""

    def __init__(self, model: LanguageModel, tokens: Array, starts: IntArray, lengths: IntArray) -> None:
        self.model, self.tokens, self.starts, self.lengths = model, tokens, starts, lengths
        windows = -(-int(lengths.max()) // STEPS)
        self.nats = np.zeros((len(starts), windows))
        self.hits = np.zeros((len(starts), windows), np.int64)
        self.ends = model.fresh_state(len(starts))
        self._before: list[list[State]] = []
        self._read = 0

    def sweep(self, begin: Sequence[State], rows: IntArray, end_of_text: int | None, each: Array | None) -> None:
        """Read the streams ``rows`` from the states (all streams', N) until these are what they were."""
        state = _take(begin, rows)
        for window in range(self.nats.shape[1]):
            left = self.lengths[rows] - window * STEPS
            rows, state, left = rows[left > 0], _take(state, np.flatnonzero(left > 0)), left[left > 0]
            if not len(rows):
                return
            state = self._window(window, rows, np.minimum(left, STEPS), state, end_of_text, each)
            done = left <= STEPS
            _put(self.ends, rows[done], _take(state, np.flatnonzero(done)))
            if window < REMEMBERED:
                goes_on = ~done
                if window == len(self._before):  # the first sweep, of all streams
                    self._before.append(self.model.fresh_state(len(self.starts)))
                else:
                    goes_on &= ~_agree(state, _take(self._before[window], rows))
                _put(self._before[window], rows, state)
                rows, state = rows[goes_on], _take(state, np.flatnonzero(goes_on))

    def _window(
        self,
        window: int,
        rows: IntArray,
        lengths: IntArray,
        state: list[State],
        end_of_text: int | None,
        each: Array | None,
    ) -> list[State]:
        T = int(lengths.max())
        dense = np.zeros((len(rows), T + 1), np.int64)
        firsts = self.starts[rows] + window * STEPS
        for row, first, length in zip(dense, firsts.tolist(), lengths.tolist(), strict=True):
            row[: length + 1] = self.tokens[first : first + length + 1]
        inputs = dense[:, :-1]
        steps = make_steps(inputs, dense[:, 1:], document_starts(inputs, end_of_text), lengths=lengths)
        out, state, _ = self.model.forward(steps, state, keep=False)
        nats, right = self.model.nats(out, steps.y)
        stream = steps.cells // T
        self.nats[rows, window] = np.bincount(stream, weights=nats, minlength=len(rows))
        self.hits[rows, window] = np.bincount(stream, weights=right, minlength=len(rows))
        if each is not None:
            each[firsts[stream] + steps.cells % T] = nats
        self._read += dense.size * self.tokens.itemsize
        if self._read >= READ_BEFORE_RELEASE:
            release_pages(self.tokens)
            self._read = 0
        return state


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused below
def score_text(
    model: LanguageModel,
    tokens: Any,
    end_of_text: int | None,
    exchange: Exchange = ALONE,
    *,
    most_streams: int = MOST_STREAMS,
    each: Array | None = None,
) -> Scored:
    """Return what a text costs a model that reads it from beginning to end.

    Parameters
    ----------
    model : LanguageModel
        Not changed.
    tokens : ndarray of shape (total,)
        The text, at least two tokens; in memory or mapped from a file.
    end_of_text : int or None
        The token before which the state is set to zero.
    exchange : Exchange
        To the processes that do this together; without it this one does it alone.
    most_streams : int
        How many streams to read side by side, at most.
    each : ndarray of shape (total - 1,), optional
        Gets what each token but the first costs; without other processes only.

    Returns
    -------
    Scored
        The sums, on every rank. The same bits for any number of processes.

    Raises
    ------
    GradientError
        On rank 0, if the model's outputs are not finite.
    """
    total = len(tokens) - 1
    streams = max(1, min(most_streams, total // SHORTEST))
    bounds = np.arange(streams + 1) * total // streams
    starts = range(0, streams, TOGETHER)
    groups: dict[int, _Group] = {}
    for first in starts[exchange.rank :: exchange.size]:
        piece = slice(first, min(first + TOGETHER, streams))
        groups[first] = _Group(model, tokens, bounds[:-1][piece], np.diff(bounds)[piece])
    begin = model.fresh_state(streams)
    stale = np.ones(streams, bool)
    while stale.any():
        for first, group in groups.items():
            rows = np.flatnonzero(stale[first : first + len(group.starts)])
            own = _take(begin, np.arange(first, first + len(group.starts)))
            if len(rows):
                group.sweep(own, rows, end_of_text, each)
        ends = _ends(model, streams, groups, exchange)
        following = model.fresh_state(streams)
        _put(following, np.arange(1, streams), _take(ends, np.arange(streams - 1)))
        stale = ~_agree(following, begin)
        if not all(np.isfinite(h).all() for h, _ in following):
            break
        begin = following
    return _summed(groups, streams, exchange, total)


def _summed(groups: dict[int, _Group], streams: int, exchange: Exchange, total: int) -> Scored:
    """Add up what all ranks have, in the order of the streams."""
    nothing = np.zeros(0, np.int64)
    numbers = np.concatenate([nothing, *(np.arange(g, g + len(group.starts)) for g, group in groups.items())])
    nats = np.concatenate([np.zeros(0), *(group.nats.sum(axis=1) for group in groups.values())])
    hits = np.concatenate([nothing, *(group.hits.sum(axis=1) for group in groups.values())])
    parcel = [numbers, nats, hits]
    by_stream = np.zeros(streams)
    right = 0
    for theirs, cost, found in exchange.all_to_all([parcel] * exchange.size):
        by_stream[theirs] = cost
        right += int(found.sum())
    summed = float(by_stream.sum())
    if exchange.rank == 0 and not np.isfinite(summed):
        raise GradientError("the model's outputs are not finite numbers", remedy="Train again with a lower optim.lr")
    return Scored(summed, right, total)


def _ends(model: LanguageModel, streams: int, groups: dict[int, _Group], exchange: Exchange) -> list[State]:
    """Return the states that all streams end with, from all ranks."""
    parcel: list[Any] = [np.array([*groups], np.int64)]
    for group in groups.values():
        parcel += [array.copy() for h_c in group.ends for array in h_c if array is not None]
    ends = model.fresh_state(streams)
    for firsts, *arrays in exchange.all_to_all([parcel] * exchange.size):
        left = iter(arrays)
        for first in firsts.tolist():
            for h, c in ends:
                for array in (h, c):
                    if array is not None:
                        own = next(left)
                        array[first : first + len(own)] = own
    return ends


def _take(state: Sequence[State], rows: IntArray) -> list[State]:
    return [(h[rows], None if c is None else c[rows]) for h, c in state]


def _put(state: Sequence[State], rows: IntArray, values: Sequence[State]) -> None:
    for (h, c), (new_h, new_c) in zip(state, values, strict=True):
        h[rows] = new_h
        if c is not None:
            c[rows] = new_c


def _agree(one: Sequence[State], other: Sequence[State]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say for each stream whether two states of it lead to the same."""
    same = np.ones(len(one[0][0]), bool)
    for ours, theirs in zip(one, other, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if a is not None and b is not None:
                same &= (np.abs(a - b) <= AGREEMENT * (1 + np.abs(b))).all(axis=1)
    return same
