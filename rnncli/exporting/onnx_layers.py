"""What models are made of in ONNX: embedded sequences, recurrent layers, pooling.

ONNX runs recurrent layers time-major over padded batches and takes the length of each sequence beside them; what lies
beyond a length is masked here, whatever a runtime puts there.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rnncli.exporting.onnx_graph import Graph
from rnncli.layers.recurrent import Cell
from rnncli.packing import Array

# Where ONNX has each gate among ours: i, o, f, c of i, f, o, g; and z, r, h of r, z, n.
_GATES = {"rnn": (0,), "lstm": (0, 2, 1, 3), "gru": (1, 0, 2)}


class Embedded(NamedTuple):
    """Sequences of tokens as numbers.

    Attributes
    ----------
    x : str
        (T, N, D).
    real : str
        Whether each step is within its sequence, bool (T, N, 1).
    lengths : str
        Of each sequence, at least 1, int32 (N,).
    """

    x: str
    real: str
    lengths: str


def embed(graph: Graph, prefix: str, ids: str, lengths: str, table: str) -> Embedded:
    """Look up padded sequences.

    Parameters
    ----------
    graph : Graph
        Gets the nodes.
    prefix : str
        What their names begin with.
    ids : str
        int64 (N, T); what lies beyond a length may be any number.
    lengths : str
        int64 (N,); a sequence of length 0 is one unknown token.
    table : str
        (V, D).

    Returns
    -------
    Embedded
        The sequences.
    """
    turned = graph.apply("Transpose", [ids], f"{prefix}time_major", perm=[1, 0])
    length = graph.apply("Shape", [turned], f"{prefix}length", start=0, end=1)
    T = graph.apply("Squeeze", [length], f"{prefix}T")
    zero, one = (graph.weight(name, np.array(value, np.int64)) for name, value in (("zero", 0), ("one", 1)))
    times = graph.apply("Range", [zero, T, one], f"{prefix}times")
    column = graph.apply("Unsqueeze", [times, graph.integers(1)], f"{prefix}times_column")
    given = graph.apply("Less", [column, lengths], f"{prefix}is_given")
    tokens = graph.apply("Where", [given, turned, zero], f"{prefix}tokens")
    x = graph.apply("Gather", [table, tokens], f"{prefix}embedded")
    counted = graph.apply("Max", [lengths, one], f"{prefix}lengths_from_1")
    real = graph.apply("Less", [column, counted], f"{prefix}is_real")
    return Embedded(
        x,
        graph.apply("Unsqueeze", [real, graph.integers(2)], f"{prefix}mask"),
        graph.apply("Cast", [counted], f"{prefix}lengths_int32", to=6),  # TensorProto.INT32
    )


def recurrent_layer(
    graph: Graph,
    cell: Cell,
    name: str,
    x: str,
    lengths: str,
    weights: Sequence[Sequence[Array]],
    initial: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """Add a recurrent layer.

    Parameters
    ----------
    graph : Graph
        Gets the node.
    cell : Cell
        Its kind; which form of a GRU shows in the number of its weights.
    name : str
        Of the node, such as ``rnn0``.
    x : str
        (T, N, D).
    lengths : str
        int32 (N,), or empty where all sequences have T steps.
    weights : sequence of sequence of ndarray
        For each direction Wx, Wh, b and a cell's own further weights.
    initial : sequence of str
        The states to begin with, (directions, N, H) each: h, and c of an LSTM. Zero when there are none.

    Returns
    -------
    states : str
        (T, N, directions * H); beyond a length it depends on the runtime.
    finals : list of str
        The states after each sequence's last step, (directions, N, H): h, and c of an LSTM.
    """
    W, R, B = (np.stack(arrays) for arrays in zip(*(_arranged(cell, *own) for own in weights), strict=True))
    given = [graph.weight(f"{name}.{letter}", array) for letter, array in (("W", W), ("R", R), ("B", B))]
    attributes: dict[str, Any] = {"hidden_size": R.shape[2], "direction": "forward"}
    if len(weights) == 2:
        attributes["direction"] = "bidirectional"
    if cell.name == "gru":
        attributes["linear_before_reset"] = int(len(weights[0]) == 4)
    finals = [f"{name}.last_{letter}" for letter in ("hc" if cell.has_cell_state else "h")]
    graph.apply(cell.name.upper(), [x, *given, lengths, *initial], f"{name}.steps", *finals, **attributes)
    turned = graph.apply("Transpose", [f"{name}.steps"], f"{name}.by_text", perm=[0, 2, 1, 3])
    return graph.apply("Reshape", [turned, graph.integers(0, 0, -1)], f"{name}.states"), finals


def pool(
    graph: Graph, kind: str, prefix: str, states: str, last_h: str, embedded: Embedded, vector: str | None = None
) -> str:
    """Add what makes one vector of the states of a sequence.

    Parameters
    ----------
    graph : Graph
        Gets the nodes.
    kind : {"last", "mean", "max", "attention"}
        As in a config.
    prefix : str
        What their names begin with.
    states : str
        (T, N, K).
    last_h : str
        For "last" only, the final states (directions, N, H).
    embedded : Embedded
        Says what is real.
    vector : str, optional
        For "attention", (K, 1).

    Returns
    -------
    str
        (N, K).
    """
    name = f"{prefix}{kind}"
    if kind == "last":
        turned = graph.apply("Transpose", [last_h], f"{name}_by_text", perm=[1, 0, 2])
        return graph.apply("Reshape", [turned, graph.integers(0, -1)], f"{name}_pooled")
    real = _only_real(graph, embedded, states, -np.inf if kind == "max" else 0.0, f"{name}_states")
    if kind == "max":
        return graph.apply("ReduceMax", [real], f"{name}_pooled", axes=[0], keepdims=0)
    if kind == "attention":
        assert vector is not None
        scores = graph.apply("MatMul", [real, vector], f"{name}_scores")
        real_scores = _only_real(graph, embedded, scores, -np.inf, f"{name}_real_scores")
        weights = graph.apply("Softmax", [real_scores], f"{name}_weights", axis=0)
        weighted = graph.apply("Mul", [real, weights], f"{name}_weighted")
        return graph.apply("ReduceSum", [weighted, graph.integers(0)], f"{name}_pooled", keepdims=0)
    total = graph.apply("ReduceSum", [real, graph.integers(0)], f"{name}_sum", keepdims=0)
    count = graph.apply("Cast", [embedded.lengths], f"{name}_counts", to=1)  # TensorProto.FLOAT
    column = graph.apply("Unsqueeze", [count, graph.integers(1)], f"{name}_counts_column")
    return graph.apply("Div", [total, column], f"{name}_pooled")


def _only_real(graph: Graph, embedded: Embedded, steps: str, outside: float, name: str) -> str:
    """Add what puts a value in the place of what lies beyond each length."""
    value = graph.weight(f"outside_{outside:g}", np.array(outside, np.float32))
    return graph.apply("Where", [embedded.real, steps, value], name)


def _arranged(cell: Cell, Wx: Array, Wh: Array, b: Array, *more: Array) -> tuple[Array, Array, Array]:
    """Return weights as ONNX has them: (G*H, D), (G*H, H), and the biases of input and state one after the other."""
    H = len(Wh)
    columns = np.concatenate([np.arange(gate * H, (gate + 1) * H) for gate in _GATES[cell.name]])
    state_bias = np.zeros_like(b)
    if more:
        state_bias[2 * H :] = more[0]  # of the candidate, within the reset product
    return Wx[:, columns].T, Wh[:, columns].T, np.concatenate([b[columns], state_bias])
