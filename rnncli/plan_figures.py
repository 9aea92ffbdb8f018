"""What can be said of a run without training a step: its data, its batches, its weights."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.classifying import Classifying
from rnncli.data.batches import epoch_batches
from rnncli.data.language.windows import lm_windows
from rnncli.language_modelling import LanguageWork
from rnncli.packing import Array, IntArray
from rnncli.tagging import TaggingWork
from rnncli.work import Work

UNKNOWN_ID = 0


def data_figures(work: Work) -> dict[str, Any]:
    """Count what there is to train on.

    Parameters
    ----------
    work : Work
        Of any task.

    Returns
    -------
    dict
        ``texts`` (None of a language model), ``tokens``, ``unknown_share``, ``valid_texts``, ``valid_tokens``,
        ``vocabulary``; ``labels``, texts of each class or words of each tag, else None; ``lengths`` in tokens: median,
        90th percentile and longest of the training part's texts, and the share of those as long as the longest.
    """
    if isinstance(work, LanguageWork):
        return {
            "texts": None,
            "tokens": len(work.train),
            "unknown_share": work.train.unknown / max(len(work.train), 1),
            "valid_texts": None,
            "valid_tokens": len(work.valid),
            "vocabulary": len(work.model.params["output.b"]),
            "labels": None,
            "lengths": None,
        }
    assert isinstance(work, Classifying | TaggingWork)
    train, valid = work.train, work.valid
    names = work.labels if isinstance(work, Classifying) else work.train.tags
    labels = dict(zip(names, np.bincount(train.labels, minlength=len(names)).tolist(), strict=True))
    longest = int(train.lengths.max())
    return {
        "texts": len(train),
        "tokens": len(train.ids),
        "unknown_share": float(np.mean(train.ids == UNKNOWN_ID)),
        "valid_texts": len(valid),
        "valid_tokens": len(valid.ids),
        "vocabulary": len(work.model.params["embedding.W"]),
        "labels": labels,
        "lengths": {
            "median": float(np.median(train.lengths)),
            "p90": float(np.percentile(train.lengths, 90)),
            "longest": longest,
            "share_of_longest": float(np.mean(train.lengths == longest)),
        },
    }


def padding_figures(work: Work, batch_size: int, seed: int) -> dict[str, float] | None:
    """Tell what padding would cost that rnncli does not do.

    Parameters
    ----------
    work : Work
        Of any task.
    batch_size : int
        Texts a batch.
    seed : int
        Decides how the batches for comparison are shuffled.

    Returns
    -------
    dict or None
        The share of real tokens in batches padded to their longest text: ``close``, the batches that are trained on,
        and ``shuffled``, batches of texts in any order. None of a language model, whose windows are full.
    """
    if not isinstance(work, Classifying | TaggingWork):
        return None
    lengths = work.train.lengths
    shuffled = np.random.default_rng(seed).permutation(len(lengths))
    cut = [shuffled[start : start + batch_size] for start in range(0, len(shuffled), batch_size)]
    close = epoch_batches(lengths, batch_size, np.random.default_rng(seed))
    return {"close": real_share(lengths, close), "shuffled": real_share(lengths, cut)}


def real_share(lengths: IntArray, batches: Sequence[IntArray]) -> float:
    """Return the share of real tokens in batches whose texts are padded to the longest one."""
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    return int(lengths[np.concatenate(batches)].sum()) / padded


def distinct_tokens(work: Work, items: IntArray) -> int:
    """Return how many different tokens a step has: so many rows of the embedding are projected and moved."""
    if isinstance(work, LanguageWork):
        window = next(lm_windows(work.train.tokens, work.streams, work.steps, int(items[0])))
        return len(np.unique(window.inputs))
    assert isinstance(work, Classifying | TaggingWork)
    offsets, ids = work.train.offsets, work.train.ids
    return len(np.unique(np.concatenate([ids[offsets[row] : offsets[row + 1]] for row in items.tolist()])))


def weight_figures(params: dict[str, Array]) -> list[dict[str, Any]]:
    """Return name, shape, numbers and size in MB of each weight."""
    return [
        {"name": name, "shape": list(array.shape), "numbers": array.size, "mb": array.nbytes / 1e6}
        for name, array in params.items()
    ]
