"""Whether an ONNX model computes what the model it was made of does, by onnxruntime."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnncli.data.batches import make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.data.language.steps import make_steps
from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.codec import TaggedTexts
from rnncli.exporting.differences import largest_difference
from rnncli.language_models import LanguageModel
from rnncli.layers.activations import softmax
from rnncli.models import Model
from rnncli.packing import Array, IntArray, pack
from rnncli.taggers import Tagger

BATCH = 32  # texts, in the order in which they come, so that their lengths differ
STREAMS = 8
PADDING = -1  # no id: what a model reads of it would show


def verify(session: Any, model: Model | Tagger | LanguageModel, data: Any) -> float:
    """Compare the probabilities of a model with those of its graph.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The graph.
    model : Model, Tagger or LanguageModel
        The original.
    data : EncodedTexts, TaggedTexts or ndarray
        From :func:`rnncli.exporting.samples.sample_of`.

    Returns
    -------
    float
        The largest difference of a probability.

    Raises
    ------
    RnncliError
        If it is too large, or the probabilities are not numbers.
    """
    if isinstance(model, LanguageModel):
        pairs = language_pairs(session, model, data)
    elif isinstance(model, Tagger):
        pairs = tagger_pairs(session, model, data)
    else:
        pairs = classifier_pairs(session, model, data)
    remedy = "This is a fault of rnncli or of onnxruntime: report it, and use --to numpy meanwhile"
    return largest_difference(pairs, "onnxruntime's", remedy)


def classifier_pairs(session: Any, model: Model, texts: EncodedTexts) -> Iterator[tuple[Array, Array]]:
    """Yield the probabilities of each batch by the model and by its graph, (N, C).

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The graph.
    model : Model
        The original.
    texts : EncodedTexts
        Any.

    Yields
    ------
    ours, theirs : ndarrays of shape (N, C), in packed order
        By the model and by its graph.
    """
    for rows in _batches(len(texts)):
        batch = make_batch(texts, rows)
        logits, _ = model.forward(batch, keep=False)
        ids, lengths = padded(texts.ids, texts.offsets, rows)
        (theirs,) = session.run(["probabilities"], {"ids": ids, "lengths": lengths})
        yield softmax(model.class_scores(logits)), theirs[batch.packing.order]


def tagger_pairs(session: Any, model: Tagger, texts: TaggedTexts) -> Iterator[tuple[Array, Array]]:
    """Yield the probabilities of each batch by the model and by its graph, (R, C).

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The graph.
    model : Tagger
        The original.
    texts : TaggedTexts
        Any.

    Yields
    ------
    ours, theirs : ndarrays of shape (R, C), in packed order
        By the model and by its graph.
    """
    for rows in _batches(len(texts)):
        batch = make_tagged_batch(texts, rows)
        logits, _ = model.forward(batch, keep=False)
        ids, lengths = padded(texts.ids, texts.offsets, rows)
        feed = {"ids": ids, "lengths": lengths}
        if texts.spellings is not None:
            forms, _ = padded(texts.forms, texts.offsets, rows)
            pieces, counts = padded(texts.spellings.pieces, texts.spellings.offsets, np.maximum(forms, 0).reshape(-1))
            feed["pieces"] = pieces.reshape(*forms.shape, -1)
            feed["piece_counts"] = np.where(forms < 0, 0, counts.reshape(forms.shape))
        (theirs,) = session.run(["probabilities"], feed)
        yield softmax(logits), pack(theirs, batch.packing)


def language_pairs(session: Any, model: LanguageModel, ids: IntArray) -> Iterator[tuple[Array, Array]]:
    """Yield the probabilities of two windows, of which the second goes on with the states of the first.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        The graph.
    model : LanguageModel
        The original.
    ids : ndarray of int, shape (total,)
        At least two.

    Yields
    ------
    ours, theirs : ndarrays of shape (R, V)
        By the model and by its graph.
    """
    N = max(1, min(STREAMS, len(ids) // 16))
    T = len(ids) // N
    dense = ids[: N * T].reshape(N, T)
    state = model.fresh_state(N)
    feed = {name: np.zeros((N, shape), np.float32) for name, shape in states_of(session).items()}
    w = model.params["embedding.W"].T if model.tied else model.params["output.w"]
    for window in (dense[:, : T // 2], dense[:, T // 2 :]):
        steps = make_steps(window, window, np.zeros(window.shape, bool))
        out, state, _ = model.forward(steps, state, keep=False)
        logits = out @ w + model.params["output.b"]
        names = ["log_probabilities", *(f"next_{name}" for name in feed)]
        theirs, *after = session.run(names, {"ids": window, **feed})
        feed = dict(zip(feed, after, strict=True))
        yield softmax(logits), pack(np.exp(theirs), steps.packing)


def states_of(session: Any) -> dict[str, int]:
    """Return the states that the graph of a language model takes, each with its size."""
    return {value.name: value.shape[1] for value in session.get_inputs() if value.name != "ids"}


def padded(values: Any, offsets: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return some of the sequences that are stored end to end as a padded array, and their lengths.

    Parameters
    ----------
    values : ndarray of int, shape (total,)
        All sequences.
    offsets : ndarray of int, shape (sequences + 1,)
        Where each begins.
    rows : ndarray of int, shape (N,)
        Which to take.

    Returns
    -------
    padded : ndarray of int64, shape (N, T)
        ``PADDING`` beyond each length.
    lengths : ndarray of int64, shape (N,)
        Of each.
    """
    lengths = offsets[rows + 1] - offsets[rows]
    out = np.full((len(rows), int(lengths.max())), PADDING, np.int64)
    within = np.arange(out.shape[1]) < lengths[:, None]
    out[within] = values[(offsets[rows][:, None] + np.arange(out.shape[1]))[within]]
    return out, lengths


def _batches(count: int) -> Iterator[IntArray]:
    for start in range(0, count, BATCH):
        yield np.arange(start, min(start + BATCH, count))
