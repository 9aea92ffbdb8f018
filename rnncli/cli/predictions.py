"""The file of predictions that ``rnncli eval`` writes."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rnncli.cli.outputs import output_file, refuse_to_overwrite
from rnncli.errors import told
from rnncli.evaluation import Evaluation

OPTION = "--predictions"


@contextmanager
def predictions_file(path: Path | None, checkpoints: Iterable[Path], data: Iterable[Path]) -> Iterator[IO[str] | None]:
    """Open the file before there is anything to write: scoring may take long, and be for nothing.

    Parameters
    ----------
    path : Path or None
        The file; None opens none.
    checkpoints, data : iterable of Path
        What must not be replaced.

    Returns
    -------
    context manager of a text file or None
        See :func:`rnncli.cli.outputs.output_file`.
    """
    if path is None:
        yield None
        return
    refuse_to_overwrite(OPTION, path, checkpoints, data)
    with output_file(OPTION, path) as file:
        yield file


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
    with told(OPTION, path):
        scored = zip(evaluation.rows, evaluation.predicted.tolist(), evaluation.probabilities, strict=True)
        for row, predicted, probabilities in scored:
            prediction = {
                "where": row.where,
                "text": row.text,
                "label": row.label,
                "predicted": labels[predicted],
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
    with told(OPTION, path):
        file.writelines(lines)
