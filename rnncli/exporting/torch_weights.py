"""A state dict in safetensors whose keys ``torch.nn`` modules have.

``embedding`` is an ``nn.Embedding``, ``rnn`` an ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``, ``output`` an ``nn.Linear``; a
tagger that sees spelling also has ``spelling`` and ``spelling_rnn``. What else there is to know of the model is JSON
in the file's metadata, so that the file alone is enough to come back (:mod:`rnncli.importing`).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from rnncli.errors import ConfigError
from rnncli.exporting import Fact
from rnncli.exporting.learned import facts_of, travelling
from rnncli.exporting.torch_layout import to_torch, torch_names
from rnncli.packing import Array
from rnncli.stacks import layer_names
from rnncli.trained import Trained

KEY = "rnncli_weights"  # in the file's metadata
FORMAT = 1
MOST_METADATA = 90_000_000  # bytes; safetensors refuses a header of 100 MB
MODULES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}


def export(trained: Trained, path: Path) -> list[Fact]:
    """Write a model's weights as a state dict.

    Parameters
    ----------
    trained : Trained
        Of any task.
    path : Path
        The file.

    Returns
    -------
    list of Fact
        The modules whose weights these are, vocabulary and labels.

    Raises
    ------
    ConfigError
        If torch has no such model, or its vocabulary is too large for the file's header.
    """
    tensors = state_dict(trained)
    metadata = json.dumps({"format": FORMAT, **travelling(trained)})
    if len(metadata) > MOST_METADATA:
        raise ConfigError(
            f"keeps the vocabulary in the file's header, which may be of {MOST_METADATA // 10**6} MB and not of "
            f"{len(metadata) // 10**6}",
            where="--to torch",
            remedy="Use --to numpy, or train with a smaller data.tokenizer.max_vocab",
        )
    path.write_bytes(save(tensors, {KEY: metadata}))
    return [*_modules(trained), *facts_of(trained)]


def state_dict(trained: Trained) -> dict[str, Array]:
    """Return a model's weights under torch's keys.

    Parameters
    ----------
    trained : Trained
        Of any task.

    Returns
    -------
    dict of str to ndarray
        ``embedding.weight`` (V, D), ``rnn.weight_ih_l0`` (G*H, D) and so on, ``output.weight`` (C, H), of attention
        pooling ``attention.weight`` (1, H) of an ``nn.Linear`` without bias. Of a language model whose layers differ
        in size ``rnn.0.weight_ih_l0``, ``rnn.1.weight_ih_l0``: a module for each.

    Raises
    ------
    ConfigError
        If torch has no such cell.
    """
    params, cell = trained.model.params, trained.model.cell
    refuse_reset_before(trained)
    tensors = {"embedding.weight": params["embedding.W"]}
    if "spelling.W" in params:
        tensors["spelling.weight"] = params["spelling.W"]
    for ours, theirs in layer_keys(params):
        weights = [params[name] for name in layer_names(cell, ours)]
        tensors |= dict(zip(theirs, to_torch(cell.name, weights), strict=True))
    if "attention.w" in params:
        tensors["attention.weight"] = params["attention.w"][None]
    output = params["output.w"].T if "output.w" in params else params["embedding.W"]  # tied
    # A copy of what is tied: safetensors has no two names for one tensor.
    return tensors | {"output.weight": output.copy(order="C"), "output.bias": params["output.b"]}


def refuse_reset_before(trained: Trained) -> None:
    """Raise ConfigError for the one cell that torch does not have."""
    rnn = trained.config.model.rnn
    if getattr(rnn, "reset", None) == "before":
        raise ConfigError(
            "has no GRU whose reset gate acts before the product, as this model's does (model.rnn.reset: before)",
            where="--to torch",
            remedy="Use --to onnx, keras-npz or numpy, or train with --set model.rnn.reset=after",
        )


def layer_keys(params: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield for each direction of each layer the beginning of our names, and torch's keys.

    Parameters
    ----------
    params : mapping
        Has our names of the weights.

    Yields
    ------
    ours : str
        Such as ``rnn0.fwd``.
    theirs : tuple of str
        Such as ``rnn.weight_ih_l0`` and its three fellows.
    """
    if "spelling.fwd.Wx" in params:
        for d, direction in enumerate(("fwd", "bwd")):
            yield f"spelling.{direction}", tuple(f"spelling_rnn.{name}" for name in torch_names(0, d == 1))
    one_module = len(set(_sizes(params))) == 1
    for layer in range(len(_sizes(params))):
        for d, direction in enumerate(("fwd", "bwd") if "rnn0.bwd.Wx" in params else ("fwd",)):
            names = torch_names(layer if one_module else 0, d == 1)
            prefix = "rnn" if one_module else f"rnn.{layer}"
            yield f"rnn{layer}.{direction}", tuple(f"{prefix}.{name}" for name in names)


def _sizes(params: Mapping[str, Any]) -> list[int]:
    """Return the size of each layer's state; the values are weights or their shapes."""
    sizes: list[int] = []
    while (Wh := params.get(f"rnn{len(sizes)}.fwd.Wh")) is not None:
        sizes.append(len(Wh) if isinstance(Wh, np.ndarray) else Wh[0])
    return sizes


def _modules(trained: Trained) -> list[Fact]:
    """Return what has these keys, as Python says it."""
    params, sizes = trained.model.params, _sizes(trained.model.params)
    module = MODULES[trained.model.cell.name]
    both = ", bidirectional=True" if "rnn0.bwd.Wx" in params else ""
    inputs = len(params["rnn0.fwd.Wx"])
    facts = [_fact("embedding", "Embedding", *params["embedding.W"].shape)]
    if "spelling.W" in params:
        runs = "Embedding" if "spelling.fwd.Wx" in params else "EmbeddingBag"  # whose mean is taken
        facts.append(_fact("spelling", runs, *params["spelling.W"].shape))
    if "spelling.fwd.Wx" in params:
        D, H = len(params["spelling.fwd.Wx"]), len(params["spelling.fwd.Wh"])
        facts.append(_fact("spelling_rnn", module, D, f"{H}, bidirectional=True"))
    if len(set(sizes)) == 1:
        count = f", {len(sizes)}" if len(sizes) > 1 else ""
        facts.append(_fact("rnn", module, inputs, f"{sizes[0]}{count}{both}"))
    else:
        for layer, (D, H) in enumerate(zip([inputs, *sizes], sizes, strict=False)):
            facts.append(_fact(f"rnn.{layer}", module, D, H))
    if "attention.w" in params:
        facts.append(_fact("attention", "Linear", len(params["attention.w"]), 1, "bias=False"))
    w = params.get("output.w", params["embedding.W"].T)
    tied = "" if "output.w" in params else ", its weight that of the embedding"
    return [*facts, _fact("output layer", "Linear", *w.shape, more=tied)]


def _fact(name: str, module: str, *sizes: Any, more: str = "") -> Fact:
    shown = f"nn.{module}({', '.join(map(str, sizes))}){more}"
    return Fact(name, shown, shown)
