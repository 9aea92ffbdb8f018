"""The three kinds of model as ONNX graphs, from ids to probabilities.

=============== ================================================================= =====================================
model           inputs                                                            outputs
=============== ================================================================= =====================================
classifier      ids (N, T), lengths (N,)                                          probabilities (N, C)
tagger          ids (N, T), lengths (N,); with spelling pieces (N, T, L) and      probabilities (N, T, C), zero beyond
                piece_counts (N, T)                                               the lengths
language model  ids (N, T); of each layer h0 (N, H), and c0 of an LSTM            log_probabilities (N, T, V); next_h0,
                                                                                  next_c0, ...
=============== ================================================================= =====================================

Integers are int64, the rest is float32; N, T and L may differ from call to call.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.exporting.onnx_graph import Graph
from rnncli.exporting.onnx_layers import embed, pool, recurrent_layer
from rnncli.language_models import LanguageModel
from rnncli.models import Model
from rnncli.packing import Array
from rnncli.stacks import layer_names
from rnncli.taggers import Tagger


def build_graph(model: Model | Tagger | LanguageModel, onnx: Any) -> Graph:
    """Return the graph of a model.

    Parameters
    ----------
    model : Model, Tagger or LanguageModel
        With float32 weights.
    onnx : module
        The package.

    Returns
    -------
    Graph
        With the inputs and outputs of the table above.
    """
    graph = Graph(onnx)
    if isinstance(model, LanguageModel):
        _language_model(graph, model)
    elif isinstance(model, Tagger):
        _tagger(graph, model)
    else:
        _classifier(graph, model)
    return graph


def _classifier(graph: Graph, model: Model) -> None:
    ids, lengths = (graph.input("ids", np.int64, ["N", "T"]), graph.input("lengths", np.int64, ["N"]))
    embedded = embed(graph, "", ids, lengths, graph.weight("embedding.W", model.params["embedding.W"]))
    x, last_h = embedded.x, ""
    for layer in range(model.layers):
        weights = _weights(model, f"rnn{layer}", model.directions)
        x, (last_h, *_) = recurrent_layer(graph, model.cell, f"rnn{layer}", x, embedded.lengths, weights)
    vector = None
    if "attention.w" in model.params:
        vector = graph.weight("attention.w", model.params["attention.w"][:, None])
    pooled = [pool(graph, name, "", x, last_h, embedded, vector) for name in model.poolings]
    everything = pooled[0] if len(pooled) == 1 else graph.apply("Concat", pooled, "all_pooled", axis=1)
    w, b = (graph.weight(name, model.params[name]) for name in ("output.w", "output.b"))
    logits = graph.apply("Gemm", [everything, w, b], "logits")
    if model.loss_name == "binary":
        other = graph.apply("Neg", [logits], "other_logits")
        both = graph.apply("Concat", [other, logits], "both_logits", axis=1)
        graph.apply("Sigmoid", [both], "probabilities")
        classes = 2
    else:
        graph.apply("Softmax", [logits], "probabilities", axis=1)
        classes = len(model.params["output.b"])
    graph.output("probabilities", np.float32, ["N", classes])


def _tagger(graph: Graph, model: Tagger) -> None:
    ids, lengths = (graph.input("ids", np.int64, ["N", "T"]), graph.input("lengths", np.int64, ["N"]))
    embedded = embed(graph, "", ids, lengths, graph.weight("embedding.W", model.params["embedding.W"]))
    x = embedded.x
    if "spelling.W" in model.params:
        x = graph.apply("Concat", [x, _spelling(graph, model, ids)], "words_and_spelling", axis=2)
    for layer in range(model.layers):
        weights = _weights(model, f"rnn{layer}", model.directions)
        x, _ = recurrent_layer(graph, model.cell, f"rnn{layer}", x, embedded.lengths, weights)
    probabilities = graph.apply("Softmax", [_affine(graph, model, x)], "tag_probabilities", axis=2)
    zero = graph.weight("no_probability", np.array(0, np.float32))
    kept = graph.apply("Where", [embedded.real, probabilities, zero], "kept_probabilities")
    graph.apply("Transpose", [kept], "probabilities", perm=[1, 0, 2])
    graph.output("probabilities", np.float32, ["N", "T", len(model.params["output.b"])])


def _spelling(graph: Graph, model: Tagger, ids: str) -> str:
    """Add what is seen of each word's spelling, (T, N, S): all words of the batch side by side, as short sequences."""
    pieces = graph.input("pieces", np.int64, ["N", "T", "L"])
    counts = graph.input("piece_counts", np.int64, ["N", "T"])
    L = graph.apply("Shape", [pieces], "L", start=2, end=3)
    shape = graph.apply("Concat", [graph.integers(-1), L], "one_word_a_row", axis=0)
    words = graph.apply("Reshape", [pieces, shape], "spelled_words")
    lengths = graph.apply("Reshape", [counts, graph.integers(-1)], "spelled_lengths")
    prefix = "spelling."
    embedded = embed(graph, prefix, words, lengths, graph.weight("spelling.W", model.params["spelling.W"]))
    if "spelling.fwd.Wx" in model.params:
        weights = _weights(model, "spelling", ("fwd", "bwd"))
        x, (last_h, *_) = recurrent_layer(graph, model.cell, "spelling.rnn", embedded.x, embedded.lengths, weights)
        seen = pool(graph, "last", prefix, x, last_h, embedded)
    else:
        seen = pool(graph, "mean", prefix, embedded.x, "", embedded)
    N_T = graph.apply("Shape", [ids], "N_T")
    back = graph.apply("Concat", [N_T, graph.integers(-1)], "one_sentence_a_row", axis=0)
    by_word = graph.apply("Reshape", [seen, back], "seen_spelling")
    return graph.apply("Transpose", [by_word], "spelling_by_time", perm=[1, 0, 2])


def _language_model(graph: Graph, model: LanguageModel) -> None:
    ids = graph.input("ids", np.int64, ["N", "T"])
    turned = graph.apply("Transpose", [ids], "time_major", perm=[1, 0])
    x = graph.apply("Gather", [graph.weight("embedding.W", model.params["embedding.W"]), turned], "embedded")
    letters = "hc" if model.cell.has_cell_state else "h"
    states: list[tuple[str, int, str]] = []
    for layer, H in enumerate(model.sizes):
        names = [graph.input(f"{letter}{layer}", np.float32, ["N", H]) for letter in letters]
        given = [graph.apply("Unsqueeze", [name, graph.integers(0)], f"first_{name}") for name in names]
        x, finals = recurrent_layer(
            graph, model.cell, f"rnn{layer}", x, "", _weights(model, f"rnn{layer}", ("fwd",)), given
        )
        states += [(f"next_{name}", H, final) for name, final in zip(names, finals, strict=True)]
    logits = graph.apply("Transpose", [_affine(graph, model, x)], "logits_by_text", perm=[1, 0, 2])
    graph.apply("LogSoftmax", [logits], "log_probabilities", axis=2)
    graph.output("log_probabilities", np.float32, ["N", "T", len(model.params["output.b"])])
    for name, H, final in states:
        graph.apply("Squeeze", [final, graph.integers(0)], name)
        graph.output(name, np.float32, ["N", H])


def _affine(graph: Graph, model: Tagger | LanguageModel, x: str) -> str:
    """Add the output layer to (T, N, H); a tied one has the embedding, which is stored once."""
    if "output.w" in model.params:
        w = graph.weight("output.w", model.params["output.w"])
    else:
        w = graph.apply("Transpose", ["embedding.W"], "output.w", perm=[1, 0])
    product = graph.apply("MatMul", [x, w], "products")
    return graph.apply("Add", [product, graph.weight("output.b", model.params["output.b"])], "logits")


def _weights(model: Model | Tagger | LanguageModel, prefix: str, directions: Sequence[str]) -> list[list[Array]]:
    return [[model.params[name] for name in layer_names(model.cell, f"{prefix}.{d}")] for d in directions]
