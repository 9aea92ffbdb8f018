"""Scores of whole corpora, without what only a backward pass needs."""

import numpy as np

from rnncli.data.batches import make_batch, scoring_batches
from rnncli.data.dataset import EncodedTexts
from rnncli.models import Model
from rnncli.packing import Array

# Texts. IMDB's validation part took 0.95 s in batches of 64, 0.82 of 128 and 0.75 of 256, the memory of which doubles
# each time (LSTM, 128 hidden units).
SCORING_BATCH = 128


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
