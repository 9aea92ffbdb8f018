"""Recurrent layers one on top of the other, of one direction or two, on packed rows, and their first weights.

What every model here is made of.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.layers import CELLS, GRU_RESET_AFTER
from rnncli.layers.dropping import Drop, undrop
from rnncli.layers.initializers import glorot_uniform, orthogonal
from rnncli.layers.recurrent import Cell, recurrent_backward, recurrent_forward
from rnncli.packing import Array, Grouping, Packing

EMBEDDING_SCALE = 0.1  # standard deviation of the first embeddings
DRAWN_AT_ONCE = 10_000  # rows of them

LayerWeights = Sequence[Sequence[Array]]  # for each direction: Wx, Wh, b and the cell's own further weights
State = tuple[Array, Array | None]  # h (N, H), and c (N, H) for a cell that has one


def stack_forward(
    cell: Cell,
    layers: Sequence[LayerWeights],
    x: Array,
    packing: Packing,
    *,
    groups: Grouping | None = None,
    initial: Sequence[State] | None = None,
    between: Drop | None = None,
    state_masks: Sequence[Sequence[Array]] | None = None,
    keep: bool = True,
) -> tuple[Array, list[State], Any]:
    """Run layers over packed sequences.

    Parameters
    ----------
    cell : Cell
        Of every layer.
    layers : sequence of LayerWeights
        From the input on; the second direction, if there is one, reads from the end.
    x : ndarray of shape (R, D), or (U, D) with ``groups``
        Inputs, as for :func:`rnncli.layers.recurrent.recurrent_forward`.
    packing : Packing
        The layout.
    groups : Grouping, optional
        Rows grouped by what they read of x.
    initial : sequence of (h0, c0), optional
        Of each layer of one direction, in packed order; zero when not given.
    between : callable, optional
        Drops out of the input of each layer but the first.
    state_masks : sequence of sequence of ndarray of shape (N, H), optional
        For each layer and direction, what its states are multiplied with where they are multiplied with Wh.
    keep : bool
        Keep what the backward pass needs.

    Returns
    -------
    out : ndarray of shape (R, directions * H)
        The states of the last layer.
    finals : list of (h, c)
        The state after the last step of each layer and direction, in packed order.
    cache
        For :func:`stack_backward`.
    """
    runs: list[Any] = []
    masks: list[Array | None] = []
    finals: list[State] = []
    N = len(packing.order)
    for layer, directions in enumerate(layers):
        mask = None
        if layer and between is not None:
            x, mask = between(x)
        masks.append(mask)
        H = len(directions[0][1])
        out = np.empty((packing.rows, len(directions) * H), x.dtype)
        h0, c0 = (np.zeros((N, H), x.dtype), None) if initial is None else initial[layer]
        for d, (Wx, Wh, b, *more) in enumerate(directions):
            _, h, c, cache = recurrent_forward(
                cell,
                x,
                packing,
                h0,
                Wx,
                Wh,
                b,
                *more,
                groups=None if layer else groups,
                c0=c0,
                reverse=d == 1,
                keep=keep,
                out=out[:, d * H : (d + 1) * H],
                state_mask=None if state_masks is None else state_masks[layer][d],
            )
            runs.append(cache)
            finals.append((h, c))
        x = out
    return x, finals, (runs, masks)


def stack_backward(
    dout: Array, cache: Any, *, spend: bool = False, lowest: int = 0
) -> tuple[Array, list[list[tuple[Array, ...]]]]:
    """Back-propagate through :func:`stack_forward`.

    Parameters
    ----------
    dout : ndarray of shape (R, directions * H)
        Gradient of the last layer's states.
    cache
        From the forward pass.
    spend : bool
        Use the cache up.
    lowest : int
        The layer to end with; the number of layers is for none of them.

    Returns
    -------
    dx : ndarray of the shape of what that layer read: of x, if it is the first
        With groups, the sum over each one's rows.
    grads : list of list of tuple of ndarray
        For each layer from that one on, and each direction, the gradients in the order of its weights.
    """
    runs, masks = cache
    directions = len(runs) // len(masks)
    grads: list[list[tuple[Array, ...]]] = []
    for layer in reversed(range(lowest, len(masks))):
        H = dout.shape[1] // directions
        own, dinputs = [], []
        for d in range(directions):
            run = runs[layer * directions + d]
            dinput, _, _, dWx, dWh, db, more = recurrent_backward(dout[:, d * H : (d + 1) * H], run, spend=spend)
            dinputs.append(dinput)
            own.append((dWx, dWh, db, *more))
        grads.insert(0, own)
        dout = undrop(sum(dinputs[1:], start=dinputs[0]), masks[layer])
    return dout, grads


def layer_names(cell: Cell, prefix: str) -> list[str]:
    """Return the names of the weights of one direction of a layer, in order."""
    suffixes = ("Wx", "Wh", "b", "bhn") if cell is GRU_RESET_AFTER else ("Wx", "Wh", "b")
    return [f"{prefix}.{suffix}" for suffix in suffixes]


def layer_shapes(cell: Cell, prefix: str, inputs: int, H: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the weights of one direction of a layer."""
    shapes: list[tuple[int, ...]] = [(inputs, cell.gates * H), (H, cell.gates * H), (cell.gates * H,), (H,)]
    names = layer_names(cell, prefix)
    return dict(zip(names, shapes, strict=False))


def cell_of(name: str, reset: str | None) -> Cell:
    """Return the cell that a config names, with the reset of a GRU."""
    return GRU_RESET_AFTER if (name, reset) == ("gru", "after") else CELLS[name]


def fresh_weights(
    shapes: dict[str, tuple[int, ...]], rng: np.random.Generator, forget_bias: float | None, dtype: type
) -> dict[str, Array]:
    """Draw the first weights of a model.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Of each array, in the order in which they are drawn; the end of a name says what it is, as in
        :func:`layer_names`, ``W`` being an embedding and ``w`` the weights of an affine map.
    rng : numpy.random.Generator
        Glorot uniform for inputs, orthogonal for states, a normal distribution of ``EMBEDDING_SCALE`` for embeddings,
        zero for biases and for vectors.
    forget_bias : float or None
        Bias of the forget gates of an LSTM; None for the other cells.
    dtype : type
        Of the weights; the draws are the same for any.

    Returns
    -------
    dict of str to ndarray
        In the order of the shapes.
    """
    params: dict[str, Array] = {}
    for name, shape in shapes.items():
        prefix, _, kind = name.rpartition(".")
        H = shapes.get(f"{prefix}.Wh", (0,))[0]  # of the layer that the array belongs to
        out = params[name] = np.zeros(shape, dtype)
        if kind == "W":
            for start in range(0, len(out), DRAWN_AT_ONCE):  # all at once would take twice its memory
                rows = out[start : start + DRAWN_AT_ONCE]
                rows[...] = rng.normal(0, EMBEDDING_SCALE, rows.shape)
        elif kind in ("Wx", "Wh"):
            draw = glorot_uniform if kind == "Wx" else orthogonal
            for gate in range(shape[1] // H):
                out[:, gate * H : (gate + 1) * H] = draw((shape[0], H), rng)
        elif kind == "w" and len(shape) == 2:
            out[...] = glorot_uniform((shape[0], shape[1]), rng)
        elif kind == "b" and H and forget_bias is not None:
            out[H : 2 * H] = forget_bias
    return params
