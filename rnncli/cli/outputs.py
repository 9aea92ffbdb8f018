"""The files that commands write: whole or not at all, and never over what they read."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rnncli.config.base import Section
from rnncli.errors import ConfigError, RnncliError, told
from rnncli.run_dir import RunDir


def data_files(sections: Iterable[Section]) -> list[Path]:
    """Return the files and folders that data sections of configs name.

    Parameters
    ----------
    sections : iterable of Section
        Sections ``data``.

    Returns
    -------
    list of Path
        Of the training, validation and test data.
    """
    sources = [section.model_dump()[part] or {} for section in sections for part in ("train", "valid", "test")]
    return [Path(values[key]) for values in sources for key in ("path", "word_index") if key in values]


def refuse_to_overwrite(option: str, path: Path, checkpoints: Iterable[Path], data: Iterable[Path] = ()) -> None:
    """Raise ConfigError if a file would replace a checkpoint, another file of its run, or data.

    Parameters
    ----------
    option : str
        What the file was given with, such as ``--predictions``.
    path : Path
        The file.
    checkpoints, data : iterable of Path
        What must stay.
    """
    checkpoints = list(checkpoints)
    files = {file: "a file of the run" for checkpoint in checkpoints for file in RunDir(checkpoint.parent).files}
    files |= {**dict.fromkeys(data, "a data file"), **dict.fromkeys(checkpoints, "the checkpoint")}
    # A text of a folder of data lies in the folder of its label.
    folder = Path(os.path.realpath(path)).parent.parent
    for file, what in files.items():
        with suppress(OSError):  # one of the two is not there
            if os.path.samefile(path, file) or (path.exists() and os.path.samefile(folder, file)):
                raise ConfigError(
                    f"is {what}, which it would replace",
                    where=f"{option} {path}",
                    remedy="Give it a name of its own",
                )


@contextmanager
def output_file(option: str, path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Open a file that takes its place only at the end of the ``with``, and only without an error in it.

    Parameters
    ----------
    option : str
        What the file was given with, such as ``--predictions``.
    path : Path
        A file, or a device or pipe, which is written to as it is.
    binary : bool
        Write bytes; otherwise text in UTF-8.

    Returns
    -------
    context manager of a file
        To be written to inside :func:`rnncli.errors.told`.

    Raises
    ------
    RnncliError
        If it cannot be written, before anything is done in the ``with`` as far as that can be told.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise RnncliError("cannot be written: it is a folder", where=str(path), remedy=f"Name a file for {option}")
    special = path.exists() and not path.is_file()
    opened = path if special else target.with_name(f".rnncli-output.{os.getpid()}.tmp")
    with told(option, path):
        # The name of a file may hold bytes that are not UTF-8; escaped this way they are JSON.
        text = {} if binary else {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
        file = opened.open("wb" if binary else "w", **text)  # type: ignore[call-overload]
    try:
        yield file
        with told(option, path):
            file.close()
            if not special:
                if target.exists():
                    shutil.copymode(target, opened)
                os.replace(opened, target)
    finally:
        with suppress(OSError):
            file.close()
        if not special:
            with suppress(OSError):
                opened.unlink(missing_ok=True)
