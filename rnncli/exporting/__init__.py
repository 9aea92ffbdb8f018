"""Trained models as other tools read them: one module a format, imported when that format is asked for."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import ConfigError, RnncliError, elsewhere, unwritable
from rnncli.trained import Trained

OPTION = "--output"


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
    """

    module: str
    ending: str
    summary: str


FORMATS = {
    "onnx": Format("rnncli.exporting.onnx_file", ".onnx", "one graph, for onnxruntime and what else reads ONNX"),
    "torch": Format(
        "rnncli.exporting.torch_weights", "-torch.safetensors", "a state dict whose keys torch.nn modules have"
    ),
    "keras-npz": Format("rnncli.exporting.keras_npz", "-keras.npz", "arrays in the layouts of Keras 3"),
    "numpy": Format("rnncli.exporting.numpy_folder", "-numpy", "a folder with a predict.py that needs NumPy alone"),
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
        The file or folder; a file of that name is replaced, as a whole or not at all.

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
    export: Export = import_module(FORMATS[name].module).export
    with whole_or_nothing(path) as unfinished:
        facts = export(trained, unfinished)
        size = sum(file.stat().st_size for file in [unfinished, *unfinished.rglob("*")] if file.is_file())
    return [Fact("bytes", size, _size(size)), *facts]


@contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """Give a name beside a file or folder for what takes its place at the end of the ``with``, without an error in it.

    Parameters
    ----------
    path : Path
        May exist as a file, or as an empty folder.

    Yields
    ------
    Path
        Does not exist; has the same ending.

    Raises
    ------
    RnncliError
        If it cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir() and any(target.iterdir()):
        raise ConfigError(
            "is a folder with something in it", where=f"{OPTION} {path}", remedy="Name one that is not there yet"
        )
    if target.exists() and not target.is_file() and not target.is_dir():
        raise ConfigError("is neither a file nor a folder", where=f"{OPTION} {path}", remedy="Name a file or folder")
    unfinished = target.with_name(f".rnncli-export-{os.getpid()}{target.suffix}")
    try:
        yield unfinished
        if target.is_dir():
            target.rmdir()
        elif target.exists() and unfinished.is_file():
            shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    except OSError as error:
        raise RnncliError(
            unwritable(path, error), where=str(path), remedy=elsewhere(error, f"choose another place for {OPTION}")
        ) from error
    finally:
        with suppress(OSError):
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink(missing_ok=True)


def _size(count: int) -> str:
    """Return bytes as people read them."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
