"""How torch.nn names and lays out the weights of recurrent layers.

A layer k of ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN`` has ``weight_ih_lk`` (G*H, D), ``weight_hh_lk`` (G*H, H) and two
biases of (G*H,), the second direction the same with ``_reverse``. Gates are in the order i, f, g, o of the LSTM (ours
are i, f, o, g) and r, z, n of the GRU (as ours), whose reset gate acts after the recurrent product.
"""

from collections.abc import Sequence

import numpy as np

from rnncli.packing import Array

GATES = {"rnn": 1, "lstm": 4, "gru": 3}
SUFFIXES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
OUTPUT_AND_CANDIDATE = (0, 1, 3, 2)  # ours of torch's gates and torch's of ours


def torch_names(layer: int, backward: bool = False) -> tuple[str, ...]:
    """Return the names of one direction of a layer: the weights of input and state, then their biases."""
    return tuple(f"{suffix}_l{layer}{'_reverse' if backward else ''}" for suffix in SUFFIXES)


def to_torch(cell: str, weights: Sequence[Array]) -> tuple[Array, ...]:
    """Return the weights of one direction of a layer as torch has them.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        A GRU must be one with its reset after the product.
    weights : sequence of ndarray
        Wx (D, G*H), Wh (H, G*H), b (G*H,), of a GRU also bhn (H,).

    Returns
    -------
    tuple of ndarray
        In the order of :func:`torch_names`. Torch has two biases where one would do; the second is zero, but for bhn.
    """
    Wx, Wh, b, *more = weights
    second = np.zeros_like(b)
    if more:
        second[-len(more[0]) :] = more[0]
    return tuple(_reordered(cell, array.T) for array in (Wx, Wh, b, second))


def from_torch(cell: str, arrays: Sequence[Array]) -> tuple[Array, ...]:
    """Return the weights of one direction of a layer as rnncli has them.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        What torch's are of.
    arrays : sequence of ndarray
        In the order of :func:`torch_names`.

    Returns
    -------
    tuple of ndarray
        Wx (D, G*H), Wh (H, G*H), b (G*H,), of a GRU also bhn (H,). Where one of two biases that are added is zero, the
        sum has the bits of the other.
    """
    Wx, Wh, first, second = (np.ascontiguousarray(_reordered(cell, array).T) for array in arrays)
    if cell != "gru":
        return Wx, Wh, _sum(first, second)
    kept = len(Wh)  # the candidate's second bias is within the reset product
    b = np.concatenate([_sum(first[:-kept], second[:-kept]), first[-kept:]])
    return Wx, Wh, b, second[-kept:].copy()


def _reordered(cell: str, rows: Array) -> Array:
    """Return rows of G*H, or G*H numbers, with the gates in the other order."""
    if cell != "lstm":
        return np.ascontiguousarray(rows)
    gates = rows.reshape(4, len(rows) // 4, *rows.shape[1:])
    return np.ascontiguousarray(gates[list(OUTPUT_AND_CANDIDATE)].reshape(rows.shape))


def _sum(first: Array, second: Array) -> Array:
    """Add two biases; a zero added to minus zero leaves minus zero."""
    return np.where(second == 0, first, np.where(first == 0, second, first + second))
