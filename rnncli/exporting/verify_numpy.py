"""Whether an exported ``predict.py`` says what its model does, by running it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.errors import RnncliError
from rnncli.exporting.differences import largest_difference
from rnncli.layers.activations import softmax
from rnncli.packing import Array
from rnncli.predicting import probabilities, tag_words
from rnncli.sampling import Stepper, prompt_ids
from rnncli.trained import Trained

_REMEDY = "This is a fault of rnncli: report it, and use --to onnx meanwhile"
# Run by a Python of its own, as a user's would be: with the folder on its path and nothing of rnncli in it.
_PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
import predict
for line in sys.stdin:
    given = json.loads(line)
    found = predict.softmax(predict.read(given, None)[0]) if hasattr(predict, "read") else predict.probabilities(given)
    print(json.dumps(found.tolist()))
"""


def verify_folder(folder: Path, trained: Trained, texts: Sequence[Any]) -> float:
    """Compare the probabilities of a model with those of its program.

    Parameters
    ----------
    folder : Path
        Has ``predict.py``.
    trained : Trained
        The original.
    texts : sequence
        Of :func:`rnncli.exporting.samples.sample_of`: texts, words of sentences, or beginnings of a text.

    Returns
    -------
    float
        The largest difference of a probability.

    Raises
    ------
    RnncliError
        If it is too large, or the program fails.
    """
    theirs = [np.array(found, np.float32) for found in _run(folder, texts)]
    pairs = {"classification": _of_texts, "tagging": _of_words, "language_model": _of_beginnings}
    return largest_difference(pairs[trained.config.task](trained, texts, theirs), "predict.py's", _REMEDY)


def _run(folder: Path, texts: Sequence[Any]) -> list[Any]:
    """Return what the program says of each text."""
    # -P: a file of the folder that rnncli runs in is no module; -B: what was imported leaves nothing in the export.
    command = [sys.executable, "-P", "-B", "-c", _PROGRAM, str(folder)]
    given = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(command, input=given, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise RnncliError(f"nothing was written: predict.py failed ({reason})", remedy=_REMEDY)
    return [json.loads(line) for line in done.stdout.splitlines()]


Pairs = Iterator[tuple[Array, Array]]


def _of_texts(trained: Trained, texts: Sequence[str], theirs: Sequence[Array]) -> Pairs:
    yield from zip(probabilities(trained, texts), theirs, strict=True)


def _of_words(trained: Trained, texts: Sequence[Sequence[str]], theirs: Sequence[Array]) -> Pairs:
    """Yield of each word the probability of the tag that the model gives it."""
    for ours, found in zip(tag_words(trained, texts), theirs, strict=True):
        tags = [trained.learned.tags.index(tag) for tag in ours.tags]
        yield ours.probabilities, found[np.arange(len(tags)), tags]


def _of_beginnings(trained: Trained, texts: Sequence[str], theirs: Sequence[Array]) -> Pairs:
    """Yield of each beginning the probability of every token to come next."""
    stepper = Stepper(trained.model)
    for text, found in zip(texts, theirs, strict=True):
        stepper.reset()
        for token in prompt_ids(trained.learned, text).tolist():
            scores = stepper.read(token)
        yield softmax(scores), found
