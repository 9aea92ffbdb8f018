"""Trained models as other tools read them: one module a format, imported when that format is asked for."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import ConfigError
from rnncli.exporting.places import whole_or_nothing
from rnncli.trained import Trained


class Fact(NamedTuple):
    """Something to say of what was exported.

    Attributes
    ----------
    name : str
        One word or two, the head of a line for people and a key for programs.
    value
        As JSON has it, unrounded.
    shown : str
        As people read it; may have several lines.
    """

    name: str
    value: Any
    shown: str


Export = Callable[[Trained, Path], list[Fact]]


class Format(NamedTuple):
    """A format.

    Attributes
    ----------
    module : str
        Has ``export(trained, path) -> list[Fact]``, which writes a file or folder that does not exist yet, with the
        ending of the output's name. Whatever it raises, nothing is left behind.
    ending : str
        What is put after the stem of a checkpoint's name where no output is given.
    summary : str
        What it is, in a few words.
    folder : bool
        Whether it is a folder, and not a file.
    """

    module: str
    ending: str
    summary: str
    folder: bool = False


FORMATS = {
    "onnx": Format("rnncli.exporting.onnx_file", ".onnx", "one graph, for onnxruntime and what else reads ONNX"),
    "torch": Format(
        "rnncli.exporting.torch_weights", "-torch.safetensors", "a state dict whose keys torch.nn modules have"
    ),
    "keras-npz": Format("rnncli.exporting.keras_npz", "-keras.npz", "arrays in the layouts of Keras 3"),
    "numpy": Format(
        "rnncli.exporting.numpy_folder", "-numpy", "a folder with a predict.py that needs NumPy alone", folder=True
    ),
}


def export_as(name: str, trained: Trained, path: Path) -> list[Fact]:
    """Write a trained model in a format.

    Parameters
    ----------
    name : str
        A key of ``FORMATS``.
    trained : Trained
        With the weights to write; see :meth:`rnncli.trained.Trained.use_average`.
    path : Path
        The file or folder; an earlier file is replaced, as a whole or not at all, a folder must be new or empty.

    Returns
    -------
    list of Fact
        What was written, its size first.

    Raises
    ------
    RnncliError
        If the model has no equal in the format, what was written does not compute what the model does, or it cannot
        be written.
    """
    form = FORMATS[name]
    if name != "numpy" and getattr(trained.config.model, "ngrams", None) is not None:
        raise ConfigError(
            f"has no layer for model.ngrams, a table of {len(trained.model.keys):,} n-grams that are known by a hash",
            where=f"--to {name}",
            remedy="Use --to numpy, or train without model.ngrams",
        )
    with whole_or_nothing(path, folder=form.folder) as unfinished:
        export: Export = import_module(form.module).export
        facts = export(trained, unfinished)
        size = sum(file.stat().st_size for file in [unfinished, *unfinished.rglob("*")] if file.is_file())
    return [Fact("bytes", size, _size(size)), *facts]


def _size(count: int) -> str:
    """Return bytes as people read them."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
