"""Scores of whole corpora, without what only a backward pass needs."""

from itertools import islice

import numpy as np

from rnncli.data.batches import make_batch, scoring_batches
from rnncli.data.dataset import EncodedTexts
from rnncli.models import Model
from rnncli.packing import Array
from rnncli.workers.exchange import ALONE, Exchange

# Texts. IMDB's validation part took 0.95 s in batches of 64, 0.82 of 128 and 0.75 of 256, the memory of which doubles
# each time (LSTM, 128 hidden units).
SCORING_BATCH = 128


@np.errstate(over="ignore", invalid="ignore")  # scores that are not finite are for the metrics to refuse
def score(model: Model, texts: EncodedTexts, exchange: Exchange = ALONE) -> Array:
    """Score every text for every class, with as many processes as there are.

    Parameters
    ----------
    model : Model
        Not changed.
    texts : EncodedTexts
        The corpus.
    exchange : Exchange
        To the processes that do this together; without it this one does it alone.

    Returns
    -------
    ndarray of shape (rows, C)
        Scores whose softmax is the probabilities, in the order of the corpus; what rank 0 gets. The same bits for any
        number of processes.
    """
    parts = [model.class_scores(np.empty((0, model.logits), np.float32))]
    places = [np.empty(0, np.int64)]
    batches = scoring_batches(texts.lengths, SCORING_BATCH)
    for rows in islice(batches, exchange.rank, None, exchange.size):  # neighbours cost nearly the same
        batch = make_batch(texts, rows)
        logits, _ = model.forward(batch, keep=False)
        parts.append(model.class_scores(logits))
        places.append(rows[batch.packing.order])
    mine = [np.concatenate(parts), np.concatenate(places)]
    everybodys = exchange.all_to_all([mine, *([] for _ in range(exchange.size - 1))])
    out = np.zeros((len(texts), mine[0].shape[1]), mine[0].dtype)
    if exchange.rank == 0:
        for scores, rows in everybodys:
            out[rows] = scores
    return out
