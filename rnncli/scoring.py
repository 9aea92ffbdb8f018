"""Scores of whole corpora, without what only a backward pass needs."""

import numpy as np

from rnncli.data.batches import make_batch, scoring_batches
from rnncli.data.dataset import EncodedTexts
from rnncli.models import Model
from rnncli.packing import Array

SCORING_BATCH = 128  # texts; measured fastest from 64 to 512 for 128 hidden units


@np.errstate(over="ignore", invalid="ignore")  # scores that are not finite are for the metrics to refuse
def score(model: Model, texts: EncodedTexts) -> Array:
    """Score every text for every class.

    Parameters
    ----------
    model : Model
        Not changed.
    texts : EncodedTexts
        The corpus.

    Returns
    -------
    ndarray of shape (rows, C)
        Scores whose softmax is the probabilities, in the order of the corpus.
    """
    parts: list[Array] = []
    places = []
    for rows in scoring_batches(texts.lengths, SCORING_BATCH):
        batch = make_batch(texts, rows)
        logits, _ = model.forward(batch, keep=False)
        parts.append(model.class_scores(logits))
        places.append(rows[batch.packing.order])
    scores = np.concatenate(parts)
    out = np.empty_like(scores)
    out[np.concatenate(places)] = scores
    return out
