"""The score of one label as a function of the inputs, the effect of leaving an input out, and a trace of the way there.

What is explained of a prediction is the log-odds of a label: see :func:`rnncli.attributions.log_odds`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from rnncli.attributions import ROWS_AT_ONCE, ScoreFunction, log_odds
from rnncli.gate_traces import Trace, layer_trace, watch
from rnncli.packing import Array
from rnncli.readings import Reader


def score_function(read: Reader, label: int) -> ScoreFunction:
    """Return the log-odds of a label as a function of the inputs.

    Parameters
    ----------
    read : callable
        From :mod:`rnncli.readings`.
    label : int
        The label.

    Returns
    -------
    callable
        See :data:`rnncli.attributions.ScoreFunction`.
    """

    def score(x: Array) -> tuple[Array, Array]:
        reading = read(x)
        odds, dscores = log_odds(reading.scores, label)
        return odds, reading.backward(dscores)

    return score


def scores_without(
    x: Array,
    reader_without: Callable[[int], Reader | None],
    label: int,
    nothing: Array,
    inputs_without: Callable[[int], Array] | None = None,
) -> Array:
    """Return the log-odds of a label with each of the inputs left out in turn.

    Parameters
    ----------
    x : ndarray of shape (T, D)
        The inputs.
    reader_without : callable
        ``reader_without(t)`` -> what reads the text without input t; None where that makes no sense.
    label : int
        The label.
    nothing : ndarray of shape (1, D)
        What is read where the only input is left out.
    inputs_without : callable, optional
        ``inputs_without(t)`` -> the inputs of the text without input t, (T - 1, D), where they are not the others as
        they are.

    Returns
    -------
    ndarray of shape (T,), float64
        NaN where there is no reader.
    """
    T = len(x)
    others = inputs_without or (lambda t: np.delete(x, t, axis=0))
    out = np.full(T, np.nan)
    at_once = max(1, ROWS_AT_ONCE // T)
    readers = [reader_without(t) for t in range(T)]
    start = 0
    while start < T:
        read, end = readers[start], start + 1
        while end < T and end - start < at_once and readers[end] is read:
            end += 1
        if read is not None:
            shorter = np.stack([others(t) for t in range(start, end)]) if T > 1 else nothing[None]
            out[start:end] = log_odds(read(shorter).scores, label)[0]
        start = end
    return out


def trace_of(read: Reader, x: Array, label: int, names: Sequence[str]) -> Trace:
    """Return what happens inside a model at each step of a text, with gradients of the log-odds of a label.

    Parameters
    ----------
    read : callable
        From :mod:`rnncli.readings`.
    x : ndarray of shape (T, D)
        The inputs.
    label : int
        The label.
    names : sequence of str
        Of each layer and direction, from the input on.

    Returns
    -------
    Trace
        Of every layer and direction.
    """
    reading = read(x[None])
    watch(reading.runs)
    dx = reading.backward(log_odds(reading.scores, label)[1])[0, :, : x.shape[1] - reading.beside]
    return Trace([layer_trace(name, run) for name, run in zip(names, reading.runs, strict=True)], dx)
