"""What happens inside a model at each step of a text: the gates and states of every layer, the gradients by these."""

from typing import Any, NamedTuple

import numpy as np

from rnncli.layers.recurrent import Cache, Cell
from rnncli.packing import Array, IntArray

GATES = {"rnn": "", "lstm": "ifog", "gru": "rzn"}  # in the order of the weights' columns

SHUT, OPEN = 0.1, 0.9  # beyond these a gate counts as saturated, as in Karpathy, Johnson and Li 2015


class LayerTrace(NamedTuple):
    """One direction of one layer.

    Attributes
    ----------
    name : str
        Such as ``rnn0.fwd``.
    values : dict of str to ndarray of shape (T, H)
        Of an LSTM ``i, f, o, g, c, h``, of a GRU ``r, z, n, h``, of a simple RNN ``h``, after each step. Step t is
        that of token t in both directions.
    sigmoids : tuple of str
        Which of them lie between 0 and 1; the others have a sign.
    dh : ndarray of shape (T, H)
        The gradient of the score by the state after each step, with all that follows from that state.
    """

    name: str
    values: dict[str, Array]
    sigmoids: tuple[str, ...]
    dh: Array

    @property
    def gradient_norms(self) -> Array:
        """The Euclidean norm of ``dh`` at each step, (T,)."""
        return _norms(self.dh)

    @property
    def unit_order(self) -> IntArray:
        """The units from the one that pushed the score up the most to the one that pushed it down the most, (H,).

        A unit's push is the sum over the steps of its state times the gradient by it.
        """
        pushes = np.sum(self.values["h"] * self.dh, axis=0, dtype=np.float64)
        return np.argsort(-pushes, kind="stable")


class Trace(NamedTuple):
    """All layers of a model at each step of a text.

    Attributes
    ----------
    layers : list of LayerTrace
        From the input on, forward before backward.
    dx : ndarray of shape (T, D)
        The gradient of the score by each embedded token.
    """

    layers: list[LayerTrace]
    dx: Array

    @property
    def input_gradient_norms(self) -> Array:
        """The Euclidean norm of ``dx`` at each step, (T,)."""
        return _norms(self.dx)

    def as_json(self) -> dict[str, Any]:
        """Return gradient norms and the means of gates by step as JSON holds them."""
        layers = {
            layer.name: {
                "gradient_norms": layer.gradient_norms.tolist(),
                "gates": {gate: _by_step(layer.values[gate]) for gate in layer.sigmoids},
            }
            for layer in self.layers
        }
        return {"input_gradient_norms": self.input_gradient_norms.tolist(), "layers": layers}


def watch(runs: list[Cache]) -> None:
    """Have the backward pass keep the gradient of every state.

    Parameters
    ----------
    runs : list of Cache
        Of one sequence, from :func:`rnncli.stacks.stack_forward`; changed.
    """
    for run in runs:
        run.dh = np.empty(run.h.shape, run.h.dtype)


def layer_trace(name: str, run: Cache) -> LayerTrace:
    """Return what a run through one sequence has kept, after the backward pass.

    Parameters
    ----------
    name : str
        What to call it.
    run : Cache
        Watched and not spent.

    Returns
    -------
    LayerTrace
        Copies.
    """
    cell: Cell = run.cell
    T, H = run.h.shape
    names = GATES[cell.name]
    gates = run.gates.reshape(T, cell.gates, H)
    values = {gate: gates[:, number].copy() for number, gate in enumerate(names)}
    if cell.has_cell_state:
        values["c"] = run.extra.copy()
    values["h"] = run.h.copy()
    assert run.dh is not None
    return LayerTrace(name, values, tuple(names[: cell.sigmoid_gates]), run.dh)


def _by_step(values: Array) -> dict[str, Any]:
    """Return the mean of a gate, how much of it is nearly shut and nearly open, and its mean at each step."""
    return {
        "mean": float(values.mean(dtype=np.float64)),
        "shut": float(np.mean(values < SHUT)),
        "open": float(np.mean(values > OPEN)),
        "by_step": values.mean(axis=1, dtype=np.float64).tolist(),
    }


def _norms(rows: Array) -> Array:
    norms: Array = np.linalg.norm(rows.astype(np.float64), axis=1)
    return norms
