"""The file of predictions that ``rnncli eval`` writes: whole or not at all, and never over what it reads."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from rnncli.config.base import Section
from rnncli.errors import ConfigError, RnncliError, elsewhere, unwritable
from rnncli.evaluation import Evaluation


def refuse_to_overwrite(path: Path, checkpoint: Path, sections: Iterable[Section], others: Iterable[Path] = ()) -> None:
    """Raise ConfigError if a file of predictions would replace the checkpoint or data.

    Parameters
    ----------
    path : Path
        Where the predictions are to go.
    checkpoint : Path
        What is evaluated.
    sections : iterable of Section
        Data sections of configs, which name data that must stay.
    others : iterable of Path
        Further files of data.
    """
    files = {str(checkpoint): "the checkpoint", **dict.fromkeys(map(str, others), "a data file")}
    for section in sections:
        sources = section.model_dump()
        for values in (sources[part] or {} for part in ("train", "valid", "test")):
            files.update({values[key]: "a data file" for key in ("path", "word_index") if key in values})
    # A text of a folder of data lies in the folder of its label.
    folder = Path(os.path.realpath(path)).parent.parent
    for file, what in files.items():
        with suppress(OSError):  # one of the two is not there
            if os.path.samefile(path, file) or (path.exists() and os.path.samefile(folder, file)):
                raise ConfigError(
                    f"is {what}, which it would replace",
                    where=f"--predictions {path}",
                    remedy="Give it a name of its own",
                )


@contextmanager
def predictions_file(path: Path) -> Iterator[IO[str]]:
    """Open a file for predictions, which takes its place only at the end of the ``with``, without an error in it.

    Parameters
    ----------
    path : Path
        A file, or a device or pipe, which is written to as it is.

    Returns
    -------
    context manager of a text file
        To be filled with :func:`write_predictions`.

    Raises
    ------
    RnncliError
        If it cannot be written, before anything is done in the ``with`` as far as that can be told.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise RnncliError("cannot be written: it is a folder", where=str(path), remedy="Name a file for --predictions")
    special = path.exists() and not path.is_file()
    opened = path if special else target.with_name(f".rnncli-predictions.{os.getpid()}.tmp")
    with _told(path):
        # The name of a file may hold bytes that are not UTF-8; escaped this way they are JSON.
        file = opened.open("w", encoding="utf-8", errors="backslashreplace")
    try:
        yield file
        with _told(path):
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


def write_predictions(path: Path, file: IO[str], evaluation: Evaluation, labels: tuple[str, ...]) -> None:
    """Write one JSON line for each text.

    Parameters
    ----------
    path : Path
        What to call the file in an error.
    file : text file
        Open for writing.
    evaluation : Evaluation
        The texts with the probabilities of their labels.
    labels : tuple of str
        The name of each class.

    Raises
    ------
    RnncliError
        If they cannot be written.
    """
    with _told(path):
        for row, probabilities in zip(evaluation.rows, evaluation.probabilities, strict=True):
            prediction = {
                "where": row.where,
                "text": row.text,
                "label": row.label,
                "predicted": labels[int(probabilities.argmax())],
                "probabilities": {label: round(float(p), 6) for label, p in zip(labels, probabilities, strict=True)},
            }
            file.write(json.dumps(prediction, ensure_ascii=False) + "\n")


def write_lines(path: Path, file: IO[str], lines: Iterable[str]) -> None:
    """Write lines, which end as they are to end.

    Parameters
    ----------
    path : Path
        What to call the file in an error.
    file : text file
        Open for writing.
    lines : iterable of str
        The lines.

    Raises
    ------
    RnncliError
        If they cannot be written.
    """
    with _told(path):
        file.writelines(lines)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of an error of the system that the predictions cannot be written."""
    try:
        yield
    except OSError as error:
        raise RnncliError(
            unwritable(path, error), where=str(path), remedy=elsewhere(error, "choose another place for --predictions")
        ) from error
