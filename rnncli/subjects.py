"""One text as a trained model reads it, and what can be asked about its prediction: for a model of any task."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rnncli.config import Config, TaggingConfig
from rnncli.data.spans import Span, token_spans
from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.vocabulary import UNKNOWN, UNKNOWN_ID
from rnncli.errors import ConfigError
from rnncli.packing import Array
from rnncli.readings import Reader, classifier_inputs, classifier_reader, language_reader, tagger_reader
from rnncli.sampling import prompt_ids
from rnncli.trained import Trained
from rnncli.wide_models import WideModel


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
        Where each lies in the text, nowhere if the ends are the same; None where that cannot be told.
    labels : sequence of str
        What can be predicted, C of them.
    inputs : ndarray of shape (T, D)
        The embedded tokens; see :func:`rnncli.readings.classifier_inputs`.
    baselines : dict of str to ndarray of shape (D,)
        Inputs that can stand for a token that says nothing.
    layers : list of str
        The name of each layer and direction, from the input on.
    read : callable
        Reads the inputs or others in their place: see :mod:`rnncli.readings`.
    reader_without : callable
        ``reader_without(t)`` -> what reads the text without token t; None where that makes no sense.
    inputs_without : callable or None
        ``inputs_without(t)`` -> the inputs without token t, where that changes others.
    phrases : (list of (first, end), ndarray of shape (F, C)) or None
        Where a model has n-grams, the tokens of each that the text has and what it adds to the scores.
    unread : int
        Tokens of the text that the model is not given, because of ``max_length``.
    noun : str
        What a token is called.
    asked : str
        What the labels are of, such as ``the tag of word 3, "plays"``; empty for a text as a whole.
    scores : ndarray of shape (C,)
        Whose softmax is the probabilities of the labels.
    attention : ndarray of shape (T,) or None
        How much each token counts, adding up to 1, where the model has attention.
    """

    text: str
    tokens: list[str]
    known: list[bool]
    spans: list[Span] | None
    labels: tuple[str, ...]
    inputs: Array
    baselines: dict[str, Array]
    layers: list[str]
    read: Reader
    reader_without: Callable[[int], Reader | None]
    inputs_without: Callable[[int], Array] | None = None
    phrases: tuple[list[Span], Array] | None = None
    unread: int = 0
    noun: str = "word"
    asked: str = ""
    scores: Array = field(init=False)
    attention: Array | None = field(init=False)

    def __post_init__(self) -> None:
        """Read the text."""
        reading = self.read(self.inputs[None])
        object.__setattr__(self, "scores", reading.scores[0])
        object.__setattr__(self, "attention", None if reading.attention is None else reading.attention[0])


def subject_of(trained: Trained, text: str, word: int | None = None) -> Subject:
    """Return a text as a model of any task reads it.

    Parameters
    ----------
    trained : Trained
        A loaded checkpoint.
    text : str
        The text: of a tagger, words with white space between them; of a language model, what goes before.
    word : int, optional
        Of a tagger, the word whose tag is meant, from 1.

    Returns
    -------
    Subject
        Its labels are those of a classifier, the tags of a tagger, or the tokens that can come next.

    Raises
    ------
    ConfigError
        If the word is missing, has no meaning or is not there, or a language model has nothing to begin with.
    """
    task = trained.config.task
    if task == "tagging":
        return tagged_word(trained, text, word)
    if word is not None:
        raise ConfigError(f"is for taggers; this is a model of task {task}", where="--word", remedy="Leave it out")
    return classified_text(trained, text) if task == "classification" else next_token(trained, text)


def classified_text(trained: Trained, text: str) -> Subject:
    """Return a text as a classifier reads it; one without tokens is read as the unknown one, as in training."""
    assert isinstance(trained.config, Config)
    model, data, vocabulary = trained.model, trained.config.data, trained.learned.vocabulary
    kind, lowercase = data.tokenizer.kind, data.tokenizer.lowercase
    everything = make_tokenizer(kind, lowercase)(text)
    spans = token_spans(text, everything, kind, lowercase) if everything else None
    kept = slice(None)
    if data.max_length is not None:
        kept = slice(data.max_length) if data.truncate == "head" else slice(-data.max_length, None)
    tokens = everything[kept] or [UNKNOWN]
    ids, read = vocabulary.encode(tokens).astype(np.int64), classifier_reader(model)
    inputs = classifier_inputs(model, ids)
    W = model.params["embedding.W"]
    beside = np.zeros(inputs.shape[1] - W.shape[1], W.dtype)  # n-grams say nothing where nothing is said
    return Subject(
        text=text,
        tokens=tokens,
        known=[token in vocabulary and token != UNKNOWN for token in tokens],
        spans=None if spans is None else spans[kept],
        labels=trained.learned.labels,
        inputs=inputs,
        baselines={name: np.concatenate([vector, beside]) for name, vector in word_baselines(W).items()},
        layers=_layers(model.layers, model.directions),
        read=read,
        reader_without=lambda t: read,
        inputs_without=(lambda t: classifier_inputs(model, np.delete(ids, t))) if len(beside) else None,
        phrases=model.phrases(ids) if isinstance(model, WideModel) else None,
        unread=max(0, len(everything) - len(tokens)),
        noun="character" if kind == "character" else "word",
    )


def tagged_word(trained: Trained, text: str, word: int | None) -> Subject:
    """Return a sentence as a tagger reads it, asked for the tag of one word, from 1."""
    assert isinstance(trained.config, TaggingConfig)
    model, codec, words = trained.model, trained.learned, text.split()
    if word is None or not 1 <= word <= len(words):
        what = "is missing" if word is None else f"{word} is not there"
        raise ConfigError(
            f"{what}: a tagger says something of each word, and this text has {len(words):,}",
            where="--word",
            remedy=f"Give the number of one, from 1 to {len(words):,}" if words else "Give a text with words",
        )
    texts = codec.encode([Sentence(tuple(words), (codec.tags[0],) * len(words), "", ())])
    inputs = model.inputs(make_tagged_batch(texts, np.zeros(1, np.int64)))
    read, before = tagger_reader(model, word - 1), tagger_reader(model, word - 2)
    return Subject(
        text=text,
        tokens=words,
        known=(texts.ids != UNKNOWN_ID).tolist(),
        spans=token_spans(text, words, "whitespace", lowercase=False),
        labels=codec.tags,
        inputs=inputs,
        baselines={"zero": np.zeros_like(inputs[0])},
        layers=_layers(model.layers, model.directions),
        read=read,
        reader_without=lambda t: None if t == word - 1 else before if t < word - 1 else read,
        asked=f"the tag of word {word}, {words[word - 1]}",
    )


def next_token(trained: Trained, text: str) -> Subject:
    """Return a text as a language model reads it, asked for what comes next."""
    model, codec = trained.model, trained.learned
    ids = prompt_ids(codec, text)
    names = [codec.decode([number]) for number in range(codec.size)]
    shown = ["(end of text)" if n == codec.end_of_text else shown_token(name) for n, name in enumerate(names)]
    character = getattr(codec, "kind", None) == "character"
    W, read = model.params["embedding.W"], language_reader(model)
    return Subject(
        text=text,
        tokens=[shown[number] for number in ids.tolist()],
        known=[number != codec.unknown for number in ids.tolist()],
        spans=_spans_of(text, [names[number] for number in ids.tolist()], character),
        labels=tuple(shown),
        inputs=W[ids],
        baselines={"zero": np.zeros_like(W[0]), "mean": W.mean(axis=0)},
        layers=_layers(model.layers, ("fwd",)),
        read=read,
        reader_without=lambda t: read if len(ids) > 1 else None,
        noun="character" if character else "token",
        asked="what comes next",
    )


def shown_token(token: str) -> str:
    """Return a token as people can read it: in quotes where white space or nothing is to be seen."""
    return token if token and token.strip() == token and token.isprintable() else repr(token)


def word_baselines(W: Array) -> dict[str, Array]:
    """Return embeddings that can stand for a word that says nothing.

    Parameters
    ----------
    W : ndarray of shape (V, D)
        The embeddings: the unknown word's, then those of the vocabulary, at least one, the most frequent first.

    Returns
    -------
    dict of str to ndarray of shape (D,)
        ``zero``; ``mean``, of all words; ``common``, of all words as often as they are used, which a model does not
        keep and Mandelbrot's law guesses from their rank r, as 1 / (r + 2.7); ``unknown``.
    """
    shares = 1 / (np.arange(1, len(W)) + 2.7)
    common = shares / shares.sum() @ W[1:]
    vectors = {"zero": np.zeros_like(W[0]), "mean": W.mean(axis=0), "common": common, "unknown": W[UNKNOWN_ID]}
    return {name: vector.astype(W.dtype) for name, vector in vectors.items()}


def _layers(layers: int, directions: tuple[str, ...]) -> list[str]:
    return [f"rnn{layer}.{direction}" for layer in range(layers) for direction in directions]


def _spans_of(text: str, tokens: list[str], character: bool) -> list[Span] | None:
    """Find the tokens of a language model, which may have begun with one that is not of the text."""
    if character and 0 <= len(tokens) - len(text) <= 1:
        return [(0, 0)] * (len(tokens) - len(text)) + [(n, n + 1) for n in range(len(text))]
    for first in (0, 1):
        for lowercase in (False, True):
            spans = token_spans(text, tokens[first:], "whitespace", lowercase)
            if spans is not None:
                return [(0, 0)] * first + spans
    return None
