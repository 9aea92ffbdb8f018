"""Which tensors of somebody's own module are the embedding, the recurrent layers and the output layer."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.errors import CheckpointError
from rnncli.exporting.torch_layout import GATES, SUFFIXES, from_torch
from rnncli.packing import Array

_RECURRENT = re.compile(r"(.*?)(weight_ih|weight_hh|bias_ih|bias_hh|weight_hr)_l(\d{1,4})(_reverse)?")


class Recurrent(NamedTuple):
    """The recurrent layers of a state dict.

    Attributes
    ----------
    prefix : str
        What their keys begin with, such as ``encoder.lstm.``.
    cell : {"rnn", "lstm", "gru"}
        By the number of their gates.
    layers : int
        One on top of the other.
    both : bool
        Whether there are two directions.
    inputs, hidden : int
        D and H.
    weights : dict of str to tuple of ndarray
        Wx, Wh, b, of a GRU also bhn, by the beginning of our names: ``rnn0.fwd``.
    """

    prefix: str
    cell: str
    layers: int
    both: bool
    inputs: int
    hidden: int
    weights: dict[str, tuple[Array, ...]]


def find_recurrent(tensors: Mapping[str, Array], where: str) -> Recurrent:
    """Find the recurrent layers, which have torch's keys.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A state dict.
    where : str
        Its file, for messages.

    Returns
    -------
    Recurrent
        Their sizes and weights.

    Raises
    ------
    CheckpointError
        If there are none or several, they lack a tensor or one has another shape than its fellows.
    """
    matches = {name: match for name in tensors if (match := _RECURRENT.fullmatch(name))}
    prefixes = sorted({match[1] for match in matches.values()})
    if len(prefixes) != 1:
        found = f"has several recurrent modules ({shown(prefixes)})" if prefixes else "has no recurrent layer"
        raise CheckpointError(
            f"{found}; one nn.LSTM, nn.GRU or nn.RNN is what can be imported, with keys like lstm.weight_ih_l0",
            where=where,
            remedy="Give its keys those of an export: docs/import.md",
        )
    prefix = prefixes[0]
    projected = [name for name, match in matches.items() if match[2] == "weight_hr"]
    if projected:
        raise CheckpointError(f"{projected[0]}: an LSTM with proj_size has no equal in rnncli", where=where)
    layers = 1 + max(int(match[3]) for match in matches.values())
    both = any(match[4] for match in matches.values())
    state = _tensor(tensors, f"{prefix}weight_hh_l0", None, where)
    rows, hidden = state.shape if state.ndim == 2 and state.size else (0, 1)
    cell = {gates: name for name, gates in GATES.items()}.get(rows // hidden if rows % hidden == 0 else 0)
    if cell is None:
        raise CheckpointError(
            f"{prefix}weight_hh_l0 {state.shape} is of no cell: those of an RNN have H rows, a GRU 3H, an LSTM 4H, "
            "of H numbers",
            where=where,
        )
    inputs = _tensor(tensors, f"{prefix}weight_ih_l0", (rows, None), where).shape[1]
    bias = any(match[2].startswith("bias") for match in matches.values())
    weights = {}
    for layer in range(layers):
        D = inputs if layer == 0 else hidden * (1 + both)
        for direction, ending in (("fwd", ""), ("bwd", "_reverse"))[: 1 + both]:
            names = [f"{prefix}{suffix}_l{layer}{ending}" for suffix in SUFFIXES]
            shapes: list[tuple[int, ...]] = [(rows, D), (rows, hidden), (rows,), (rows,)]
            arrays = [
                _tensor(tensors, name, shape, where) if bias or len(shape) == 2 else np.zeros(shape, np.float32)
                for name, shape in zip(names, shapes, strict=True)
            ]
            weights[f"rnn{layer}.{direction}"] = from_torch(cell, arrays)
    return Recurrent(prefix, cell, layers, both, inputs, hidden, weights)


def find_attention(tensors: Mapping[str, Array], found: Recurrent, where: str) -> tuple[Array, set[str]]:
    """Find the vector of attention pooling: an ``nn.Linear(K, 1)`` or a vector, with ``att`` in its key.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A state dict.
    found : Recurrent
        Its recurrent layers.
    where : str
        Its file, for messages.

    Returns
    -------
    vector : ndarray of shape (K,)
        What the states, of all directions, are multiplied with.
    names : set of str
        The keys that this takes care of. A bias is among them: it adds the same to the scores of all steps, and the
        softmax over them takes that out again.

    Raises
    ------
    CheckpointError
        If there is none, or several.
    """
    K = found.hidden * (1 + found.both)
    named = {name: array.shape for name, array in tensors.items() if "att" in name.lower()}
    fits = [name for name, shape in named.items() if shape in ((1, K), (K, 1), (K,))]
    if len(fits) != 1:
        there = shown([f"{name} {named[name]}" for name in fits or named]) or "nothing with att in its key"
        raise CheckpointError(
            f"model.pooling has attention, whose vector is of shape (1, {K}); it has {there}",
            where=where,
            remedy="Call its key attention.weight, or give the pooling that the model has",
        )
    bias = f"{fits[0].removesuffix('weight')}bias"
    return tensors[fits[0]].reshape(K), {fits[0], *([bias] if named.get(bias) == (1,) else [])}


def find_tables(
    tensors: Mapping[str, Array],
    found: Recurrent,
    tokens: int,
    outputs: Sequence[int],
    where: str,
    poolings: int = 1,
) -> tuple[str, str, str | None]:
    """Find the embedding and the output layer among what is left.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        A state dict.
    found : Recurrent
        Its recurrent layers.
    tokens : int
        Rows of the embedding: tokens of the vocabulary.
    outputs : sequence of int
        Rows that the output layer may have.
    where : str
        Their file, for messages.
    poolings : int
        How many vectors of all directions' states the output layer reads side by side.

    Returns
    -------
    embedding, output : str
        The keys of their weights.
    bias : str or None
        The key of the output layer's bias, if it has one.

    Raises
    ------
    CheckpointError
        If one of the two is not there or not certain, or there are other tensors, which rnncli would leave out.
    """
    left = {name: array.shape for name, array in tensors.items() if not _RECURRENT.fullmatch(name)}
    biases = {name: f"{name.removesuffix('weight')}bias" for name in left if name.endswith("weight")}
    has_bias = {name for name, bias in biases.items() if bias in left}
    width = found.hidden * (1 + found.both) * poolings
    plain = [name for name in biases if name not in has_bias]
    embedding = _one("embedding", plain, left, [(tokens, found.inputs)], "vocabulary", ("emb", "encoder"), where)
    linear = [name for name in biases if name in has_bias] or [name for name in plain if name != embedding]
    linear = linear or [embedding]
    kinds = [(rows, width) for rows in outputs]
    output = _one("output layer", linear, left, kinds, "labels", ("out", "fc", "decoder"), where)
    bias = biases[output] if output in has_bias else None
    if output == embedding:  # tied, and saved once
        bias = next((name for name, shape in left.items() if shape == (tokens,)), None)
    if bias is not None and left[bias] != left[output][:1]:
        raise CheckpointError(f"{bias} is {left[bias]}, {output} {left[output]}", where=where)
    others = [name for name in left if name not in (embedding, output, bias)]
    if others:
        raise CheckpointError(
            f"has tensors that no model of rnncli has ({shown(others)}), and without them it would compute something "
            "else",
            where=where,
            remedy="Import a model of an embedding, recurrent layers and an output layer alone",
        )
    return embedding, output, bias


def shown(names: Sequence[str]) -> str:
    """Return the first of some names."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(name[:80] or "''" for name in names[:5]) + more


def _one(
    what: str,
    names: Sequence[str],
    shapes: Mapping[str, tuple[int, ...]],
    wanted: Sequence[tuple[int, int]],
    source: str,
    hints: Sequence[str],
    where: str,
) -> str:
    """Return the one tensor with a wanted shape; of several the one that is called so."""
    fits = [name for name in names if shapes[name] in wanted]
    called = [name for name in fits if any(hint in name.lower() for hint in hints)]
    if len(fits) == 1 or len(called) == 1:
        return (fits if len(fits) == 1 else called)[0]
    sizes = " or ".join(map(str, wanted))
    if fits:
        raise CheckpointError(
            f"{shown(fits)} could each be the {what}, of shape {sizes}",
            where=where,
            remedy=f"Call the {what}'s key {what.split()[0]}.weight",
        )
    there = shown([f"{name} {shapes[name]}" for name in names]) or "no tensor that could be"
    raise CheckpointError(
        f"has no {what} of shape {sizes}, which is what the {source} and the recurrent layers need; it has {there}",
        where=where,
        remedy=f"Give the {source} that the weights were trained with",
    )


def _tensor(tensors: Mapping[str, Array], name: str, shape: tuple[int | None, ...] | None, where: str) -> Array:
    """Return a tensor, having checked its shape."""
    array = tensors.get(name)
    if array is None:
        raise CheckpointError(f"has no tensor {name}", where=where, remedy="Save the whole state_dict()")
    if shape is not None and (
        array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True))
    ):
        wanted = str(tuple("any" if n is None else n for n in shape)).replace("'", "")
        raise CheckpointError(f"{name} is {array.shape}; beside the other tensors it would be {wanted}", where=where)
    return array
