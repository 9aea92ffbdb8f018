"""An .npz whose arrays are laid out as the layers of Keras 3 have them.

In the order of the model: ``embedding.embeddings``, ``rnn0.kernel``, ``rnn0.recurrent_kernel``, ``rnn0.bias`` (of two
directions ``rnn0.forward_kernel`` ... ``rnn0.backward_bias``), ``output.kernel``, ``output.bias``: the arrays of a
layer, one after the other, are what its ``set_weights`` takes.

Id 0 of an embedding is padding, as ``mask_zero`` has it: a row of zeros that rnncli, which pads nothing, does not have.
A token's id is one more than in rnncli, its place in the array ``vocabulary``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.errors import ConfigError
from rnncli.exporting import Fact
from rnncli.exporting.learned import facts_of, lists_of, travelling
from rnncli.packing import Array
from rnncli.stacks import layer_names
from rnncli.trained import Trained

# The place among our gates of each of Keras's: i, f, c, o of the LSTM (ours i, f, o, g), z, r, h of the GRU (r, z, n).
GATES = {"rnn": (0,), "lstm": (0, 1, 3, 2), "gru": (1, 0, 2)}
LAYERS = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}
POOLING = {
    "last": "the state after the last step, of two directions after the last of each",
    "mean": "GlobalAveragePooling1D()",
    "max": "GlobalMaxPooling1D(), of texts without padding",
    "attention": "the mean weighted by the softmax over the steps of attention",
}
MOST_TEXTS = 2**28  # bytes
ARRAYS = ("kernel", "recurrent_kernel", "bias")


def export(trained: Trained, path: Path) -> list[Fact]:
    """Write a model's weights in the layouts of Keras.

    Parameters
    ----------
    trained : Trained
        Of any task.
    path : Path
        The file.

    Returns
    -------
    list of Fact
        The layers whose weights these are, vocabulary and labels.

    Raises
    ------
    ConfigError
        If a token is not a text that NumPy keeps as it is, or is too long a one.
    """
    arrays: dict[str, Any] = {**keras_arrays(trained), **_texts(trained)}
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return [*_layers(trained), *facts_of(trained)]


def keras_arrays(trained: Trained) -> dict[str, Array]:
    """Return a model's weights as Keras's layers have them.

    Parameters
    ----------
    trained : Trained
        Of any task.

    Returns
    -------
    dict of str to ndarray
        In the order of the model. Embeddings have a row more, the first; ``output.kernel`` is also there where it is
        the embedding's.
    """
    params, cell = trained.model.params, trained.model.cell
    arrays: dict[str, Array] = {}

    def add(layer: str, prefix: str, both: bool) -> None:
        for direction in ("fwd", "bwd")[: 1 + both]:
            weights = [params[name] for name in layer_names(cell, f"{prefix}.{direction}")]
            heading = {"fwd": "forward_", "bwd": "backward_"}[direction] if both else ""
            arrays.update(
                {f"{layer}.{heading}{name}": a for name, a in zip(ARRAYS, to_keras(cell.name, weights), strict=True)}
            )

    if "spelling.W" in params:
        arrays["spelling.embeddings"] = _with_padding(params["spelling.W"])
    if "spelling.fwd.Wx" in params:
        add("spelling_rnn", "spelling", both=True)
    arrays["embedding.embeddings"] = _with_padding(params["embedding.W"])
    for number in range(trained.model.layers):
        add(f"rnn{number}", f"rnn{number}", both="rnn0.bwd.Wx" in params)
    if "attention.w" in params:
        arrays["attention.kernel"] = params["attention.w"][:, None]
    arrays["output.kernel"] = params.get("output.w", params["embedding.W"].T)
    return arrays | {"output.bias": params["output.b"]}


def to_keras(cell: str, weights: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return the weights of one direction of a layer as Keras has them.

    Parameters
    ----------
    cell : {"rnn", "lstm", "gru"}
        What they are of.
    weights : sequence of ndarray
        Wx (D, G*H), Wh (H, G*H), b (G*H,), of a GRU with its reset after the product also bhn (H,).

    Returns
    -------
    kernel, recurrent_kernel, bias : ndarray
        (D, G*H), (H, G*H), (G*H,), the last of a GRU with reset_after (2, 3H): of the input and of the state.
    """
    Wx, Wh, b, *more = weights
    if more:
        recurrent = np.zeros_like(b)
        recurrent[-len(more[0]) :] = more[0]
        b = np.stack([b, recurrent])
    H, gates = len(Wh), GATES[cell]
    Wx, Wh, b = (
        np.concatenate([array[..., gate * H : (gate + 1) * H] for gate in gates], axis=-1) for array in (Wx, Wh, b)
    )
    return Wx, Wh, b


def _with_padding(W: Array) -> Array:
    """Return an embedding with a row of zeros for padding, id 0."""
    return np.concatenate([np.zeros_like(W[:1]), W])


def _texts(trained: Trained) -> dict[str, Array]:
    """Return vocabulary, labels and config as arrays of text."""
    learned, lists = travelling(trained), lists_of(trained)
    found = {}
    for name, items in lists.items():
        items = ["", *items] if name in ("vocabulary", "characters") else items
        longest = max(map(len, items))
        if 4 * longest * len(items) > MOST_TEXTS:  # each takes as much as the longest, four bytes a character
            raise ConfigError(
                f"cannot keep the {name}: one of its texts is of {longest:,} characters, and NumPy takes as much for "
                "each of them",
                where="--to keras-npz",
                remedy="Use --to torch or numpy, or train with another data.tokenizer.kind",
            )
        found[name] = np.array(items, dtype=np.str_)
        if found[name].tolist() != items:
            raise ConfigError(
                f"cannot keep the {name}: NumPy drops the NUL character at the end of one of its texts",
                where="--to keras-npz",
                remedy="Use --to torch or numpy, or leave the character out of the training data",
            )
    facts = {key: learned[key] for key in ("rnncli_version", "step", "config")}
    if not lists:  # sub-words
        found["tokenizer"] = np.array(json.loads(learned["codec"])["tokenizer"], dtype=np.str_)
    return {**found, "config": np.array(json.dumps(facts))}


def _layers(trained: Trained) -> list[Fact]:
    """Return the layers that have these weights, as Python says it."""
    params, model = trained.model.params, trained.config.model
    layer, reset = LAYERS[trained.model.cell.name], getattr(model.rnn, "reset", "after")
    both = "rnn0.bwd.Wx" in params
    poolings = getattr(model, "poolings", ())
    facts = []

    def recurrent(name: str, prefix: str, both: bool, sequences: bool) -> None:
        options = ", return_sequences=True" * sequences + ", reset_after=False" * (reset == "before")
        shown = f"{layer}({len(params[f'{prefix}.fwd.Wh'])}{options})"
        facts.append((name, f"Bidirectional({shown})" if both else shown))

    def embedding(name: str, W: Array) -> None:
        facts.append((name, f"Embedding({len(W) + 1}, {W.shape[1]}, mask_zero=True)"))

    if "spelling.W" in params:
        embedding("spelling", params["spelling.W"])
    if "spelling.fwd.Wx" in params:
        recurrent("spelling_rnn", "spelling", True, False)
    embedding("embedding", params["embedding.W"])
    for number in range(trained.model.layers):
        last = number == trained.model.layers - 1
        recurrent(f"rnn{number}", f"rnn{number}", both, not (last and poolings == ("last",)))
    if "attention.w" in params:
        facts.append(("attention", "Dense(1, use_bias=False)"))
    if poolings and poolings != ("last",):  # which return_sequences=False is
        facts.append(("pooling", "; and side by side with it ".join(POOLING[name] for name in poolings)))
    binary = getattr(model, "loss", None) == "binary"
    activation = "sigmoid" if binary else "softmax"
    facts.append(("output layer", f'Dense({len(params["output.b"])}, activation="{activation}")'))
    return [Fact(name, shown, shown) for name, shown in facts]
