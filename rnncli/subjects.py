"""One text as a trained model reads it, with the functions that its prediction can be explained by."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnncli.attributions import ScoreFunction
from rnncli.config import Config
from rnncli.data.batches import Batch, make_batch
from rnncli.data.dataset import EncodedTexts
from rnncli.data.spans import Span, token_spans
from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.vocabulary import UNKNOWN, UNKNOWN_ID
from rnncli.gate_traces import Trace
from rnncli.packing import Array, IntArray
from rnncli.score_functions import classifier_score, classifier_scores, classifier_trace, classifier_without
from rnncli.trained import Trained


@dataclass(frozen=True)
class Subject:
    """What is explained: a text and what a model makes of it.

    Attributes
    ----------
    text : str
        As it was given.
    tokens : list of str
        What the model reads of it, T of them.
    known : list of bool
        Whether the model knows each.
    spans : list of (start, end) or None
        Where each lies in the text; None where that cannot be told.
    unread : int
        Tokens of the text that the model is not given, because of ``max_length``.
    labels : sequence of str
        What can be predicted, C of them.
    scores : ndarray of shape (C,)
        Whose softmax is their probabilities.
    inputs : ndarray of shape (T, D)
        The embedded tokens.
    baselines : dict of str to ndarray of shape (D,)
        Embeddings that can stand for a token that says nothing.
    read : callable
        ``read(x)`` -> the scores (K, C) of embedded texts (K, T, D).
    score : callable
        ``score(label)`` -> the function of the inputs whose value is the log-odds of a label.
    without : callable
        ``without(label)`` -> the log-odds without each token, (T,).
    trace : callable
        ``trace(label)`` -> gates, states and gradients of the log-odds at each step.
    """

    text: str
    tokens: list[str]
    known: list[bool]
    spans: list[Span] | None
    unread: int
    labels: tuple[str, ...]
    scores: Array
    inputs: Array
    baselines: dict[str, Array]
    read: Callable[[Array], Array]
    score: Callable[[int], ScoreFunction]
    without: Callable[[int], Array]
    trace: Callable[[int], Trace]


def subject_of(trained: Trained, text: str, word: int | None = None) -> Subject:
    """Return a text as a model of any task reads it.

    Parameters
    ----------
    trained : Trained
        A loaded checkpoint.
    text : str
        The text.
    word : int, optional
        Of a tagger, the word whose tag is meant, from 1.

    Returns
    -------
    Subject
        Its labels are those of a classifier.

    Raises
    ------
    ConfigError
        If the word is missing or has no meaning.
    """
    return classified_text(trained, text)


def classified_text(trained: Trained, text: str) -> Subject:
    """Return a text as a classifier reads it.

    Parameters
    ----------
    trained : Trained
        A loaded classifier.
    text : str
        Any text; one without tokens is read as the unknown one, as in training.

    Returns
    -------
    Subject
        With the tokens that ``max_length`` leaves.
    """
    assert isinstance(trained.config, Config)
    model, data, vocabulary = trained.model, trained.config.data, trained.learned.vocabulary
    kind, lowercase = data.tokenizer.kind, data.tokenizer.lowercase
    everything = make_tokenizer(kind, lowercase)(text)
    spans = token_spans(text, everything, kind, lowercase) if everything else None
    kept = slice(None)
    if data.max_length is not None:
        kept = slice(data.max_length) if data.truncate == "head" else slice(-data.max_length, None)
    tokens = everything[kept] or [UNKNOWN]
    ids = vocabulary.encode(tokens).astype(np.int64)
    logits, _ = model.forward(_batch(ids), keep=False)
    W = model.params["embedding.W"]
    return Subject(
        text=text,
        tokens=tokens,
        known=[token in vocabulary and token != UNKNOWN for token in tokens],
        spans=None if spans is None else spans[kept],
        unread=max(0, len(everything) - len(tokens)),
        labels=trained.learned.labels,
        scores=model.class_scores(logits)[0],
        inputs=W[ids],
        baselines=word_baselines(W),
        read=lambda x: classifier_scores(model, x),
        score=lambda label: classifier_score(model, label),
        without=lambda label: classifier_without(model, ids, label),
        trace=lambda label: classifier_trace(model, ids, label),
    )


def word_baselines(W: Array) -> dict[str, Array]:
    """Return embeddings that can stand for a word that says nothing.

    Parameters
    ----------
    W : ndarray of shape (V, D)
        The embeddings: the unknown word's, then those of the vocabulary from the most to the least frequent.

    Returns
    -------
    dict of str to ndarray of shape (D,)
        ``zero``; ``mean``, of all words; ``common``, of all words as often as they are used, which a model does not
        keep and Mandelbrot's law guesses from their rank r, as 1 / (r + 2.7); ``unknown``.
    """
    shares = 1 / (np.arange(1, len(W)) + 2.7)
    common = shares / shares.sum() @ W[1:] if len(W) > 1 else W[0]
    vectors = {"zero": np.zeros_like(W[0]), "mean": W.mean(axis=0), "common": common, "unknown": W[UNKNOWN_ID]}
    return {name: vector.astype(W.dtype) for name, vector in vectors.items()}


def _batch(ids: IntArray) -> Batch:
    texts = EncodedTexts(ids.astype(np.int32), np.array([0, len(ids)]), np.zeros(1, np.int64))
    return make_batch(texts, np.zeros(1, np.int64))
