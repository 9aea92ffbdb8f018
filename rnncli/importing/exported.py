"""What ``rnncli export --to torch`` wrote, perhaps with other weights since."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.config import AnyConfig, parse_config
from rnncli.errors import CheckpointError, ConfigError, shown_on_one_line
from rnncli.exporting.torch_layout import GATES, from_torch
from rnncli.exporting.torch_weights import FORMAT, layer_keys
from rnncli.packing import Array
from rnncli.tasks import task_of
from rnncli.tasks.base import Stored

_OTHER_VERSION = "Use the version of rnncli that wrote it"


class Found(NamedTuple):
    """What a checkpoint is made of.

    Attributes
    ----------
    config : AnyConfig
        Of the run, or what is known of it.
    stored : Stored
        Vocabulary, labels.
    params : dict of str to ndarray
        The weights, under our names.
    step : int
        Of the run; 0 where it is not known.
    """

    config: AnyConfig
    stored: Stored
    params: dict[str, Array]
    step: int


def read_exported(path: Path, tensors: Mapping[str, Array], text: str) -> Found:
    """Return what an exported file holds.

    Parameters
    ----------
    path : Path
        The file, for messages.
    tensors : mapping of str to ndarray
        Its tensors.
    text : str
        What its metadata says of the model.

    Returns
    -------
    Found
        All it takes.

    Raises
    ------
    CheckpointError
        If it is of another format, or a tensor is missing, of another shape or one too many.
    """
    try:
        about: dict[str, Any] = json.loads(text)
        version, step = about["format"], about["step"]
        if version != FORMAT:
            what = f"has the format {str(version)[:20]!a}; this rnncli reads {FORMAT}"
            raise CheckpointError(what, where=str(path), remedy=_OTHER_VERSION)
        if type(step) is not int or step < 0:
            raise ValueError("step")
        config = parse_config(about["config"], f"{path} (config)")
        if config.task == "classification":
            if not all(isinstance(token, str) for token in about["vocabulary"]):
                raise ValueError("vocabulary")
            stored = Stored({"labels": about["labels"]}, tuple(about["vocabulary"]))
        else:
            stored = Stored({}, (about["codec"],))
        task = task_of(config)
        shapes = task.shapes(config, task.restore(config, stored.metadata, stored.tokens))
    except ConfigError as error:
        raise CheckpointError("; ".join(str(error).splitlines()), remedy=_OTHER_VERSION) from None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        what = f"holds no usable {shown_on_one_line(str(error))[:80]} in its metadata"
        raise CheckpointError(what, where=str(path), remedy="Export it again") from None
    return Found(config, stored, _from_state_dict(str(path), tensors, shapes), step)


def _from_state_dict(
    where: str, tensors: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Array]:
    """Return the weights of a state dict, under our names and in their order."""
    left = dict(tensors)

    def take(name: str, *shape: int) -> Array:
        found = left.pop(name, None)
        if found is None or found.shape != shape:
            what = "is missing" if found is None else f"is {found.shape}"
            raise CheckpointError(f"tensor {name} {what}; its config makes it {shape}", where=where)
        return found

    params = {"embedding.W": take("embedding.weight", *shapes["embedding.W"])}
    if "spelling.W" in shapes:
        params["spelling.W"] = take("spelling.weight", *shapes["spelling.W"])
    for prefix, keys in layer_keys(shapes):
        (D, rows), (H, _) = shapes[f"{prefix}.Wx"], shapes[f"{prefix}.Wh"]
        arrays = [take(key, *shape) for key, shape in zip(keys, [(rows, D), (rows, H), (rows,), (rows,)], strict=True)]
        cell = next(name for name, gates in GATES.items() if gates == rows // H)
        weights = from_torch(cell, arrays)
        params |= {f"{prefix}.{part}": array for part, array in zip(("Wx", "Wh", "b", "bhn"), weights, strict=False)}
    if "attention.w" in shapes:
        params["attention.w"] = take("attention.weight", 1, *shapes["attention.w"])[0]
    (outputs,) = shapes["output.b"]
    params["output.b"] = take("output.bias", outputs)
    if "output.w" in shapes:
        params["output.w"] = np.ascontiguousarray(take("output.weight", outputs, shapes["output.w"][0]).T)
    elif not np.array_equal(take("output.weight", *shapes["embedding.W"]), params["embedding.W"]):
        raise CheckpointError(
            "output.weight is not embedding.weight, and its config ties them (model.tied: true)", where=where
        )
    for name in left:
        raise CheckpointError(f"has a tensor {name[:80]}, which its config does not", where=where)
    for name in params.keys() - shapes.keys():  # bhn, of a GRU that its config says resets before the product
        raise CheckpointError(f"its config has no {name}, which its tensors make", where=where)
    return {name: params[name] for name in shapes}
