"""What simple methods reach where a trained model is evaluated: trained on its training part, scored on the same."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnncli.baselines.frequent_tags import learn_frequent_tags
from rnncli.baselines.kneser_ney import NgramModel, ngram_nats, train_ngrams
from rnncli.baselines.nbsvm import nbsvm_log_probabilities
from rnncli.baselines.ngrams import feature_matrix, find_features
from rnncli.config import Config, LanguageConfig, TaggingConfig
from rnncli.data.dataset import read_parts, source_name
from rnncli.data.encoding import classes_of, encode_texts, learn_vocabulary
from rnncli.data.language.corpus import load_corpus
from rnncli.data.language.encoding import EncodedText
from rnncli.data.rows import Row
from rnncli.data.tagging.dataset import read_tagged_parts
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import make_tokenizer
from rnncli.errors import DataError
from rnncli.language_metrics import TokenLosses, language_report
from rnncli.metrics import classification_report
from rnncli.packing import IntArray
from rnncli.run_dir import CACHE
from rnncli.tagging_metrics import tagging_report
from rnncli.trained import Trained

MOST_TOKENS = 10_000_000  # of a text that n-grams are counted in; some 1.1 GB at the most
ORDERS = {"character": 6}  # by the kind of tokenizer
ORDER = 5  # of words and sub-words


@dataclass(frozen=True)
class Baseline:
    """A simple method and what it reaches.

    Attributes
    ----------
    name : str
        What it is, for people.
    report : dict
        The figures that the model's evaluation has, as far as it has them; a ``loss`` of None without probabilities.
    seconds : float
        To learn and to score, reading the data not counted.
    right : ndarray of bool or None
        Which texts or words it gets right, in order; None for a text.
    """

    name: str
    report: dict[str, Any]
    seconds: float
    right: NDArray[np.bool_] | None = None


class _EveryToken(NamedTuple):
    """A vocabulary without limits; see :class:`rnncli.data.settings.TokenizerSettings`."""

    kind: Any
    lowercase: bool
    max_vocab: int = 10**9
    min_count: int = 1


def classifier_baselines(trained: Trained, rows: Sequence[Row]) -> list[Baseline]:
    """Return what the most frequent label and NB-SVM reach.

    Parameters
    ----------
    trained : Trained
        A classifier; its config says what to train on.
    rows : sequence of Row
        Texts to classify, at least one, each with a label that the classifier has.

    Returns
    -------
    list of Baseline
        NB-SVM sees whole texts, as words and pairs of neighbours, with a vocabulary of all words; of characters too it
        sees words.

    Raises
    ------
    DataError
        If the training part cannot be read.
    RnncliError
        If scikit-learn is not installed.
    """
    config, labels = trained.config, trained.learned.labels
    assert isinstance(config, Config)
    train = read_parts(config.data, config.split_seed)[0]
    y, true = classes_of(train, labels), classes_of(rows, labels)
    start = time.perf_counter()
    counts = np.bincount(y, minlength=len(labels))
    smoothed = np.log((counts + 1) / (counts + 1).sum())  # a label that only the validation part has is not impossible
    majority = _classified("most frequent label", smoothed[None].repeat(len(rows), axis=0), true, labels, start)
    start = time.perf_counter()
    settings = config.data.tokenizer
    tokenizer = make_tokenizer("word" if settings.kind == "character" else settings.kind, settings.lowercase)
    everything = _EveryToken(settings.kind, settings.lowercase)
    where = source_name(config.data.train)
    vocabulary, ids, offsets = learn_vocabulary(train, tokenizer, everything, None, "head", where)
    features = find_features(ids, offsets, len(vocabulary))
    learned = feature_matrix(features, ids, offsets)
    texts = feature_matrix(features, *encode_texts(rows, tokenizer, vocabulary.encode, None, "head"))
    scores = nbsvm_log_probabilities(learned, y, len(labels), texts)
    return [majority, _classified("NB-SVM, words and pairs", scores, true, labels, start)]


def _classified(name: str, scores: Any, true: IntArray, labels: Sequence[str], start: float) -> Baseline:
    seconds = time.perf_counter() - start
    return Baseline(name, classification_report(true, scores, labels), seconds, scores.argmax(axis=1) == true)


def tagger_baselines(trained: Trained, sentences: Sequence[Sentence]) -> list[Baseline]:
    """Return what the most frequent tag reaches, over all and by word.

    Parameters
    ----------
    trained : Trained
        A tagger; its config says what to train on.
    sentences : sequence of Sentence
        Sentences to tag, at least one.

    Returns
    -------
    list of Baseline
        Words are looked up as they are written.

    Raises
    ------
    DataError
        If the training part cannot be read.
    """
    config = trained.config
    assert isinstance(config, TaggingConfig)
    train = read_tagged_parts(config.data, config.split_seed)[0]
    unseen = trained.learned.encode(sentences).unseen
    true = [sentence.tags for sentence in sentences]
    start = time.perf_counter()
    learned = learn_frequent_tags((s.words for s in train), (s.tags for s in train))
    between = time.perf_counter()
    ways = {
        "most frequent tag": [[learned.most for _ in sentence.words] for sentence in sentences],
        "most frequent tag by word": [[learned.tag(word) for word in sentence.words] for sentence in sentences],
    }
    seconds = [between - start, time.perf_counter() - start]
    return [
        Baseline(
            name,
            {"loss": None, **tagging_report(true, tags, unseen)},
            spent,
            np.array([a == b for ours, its in zip(tags, true, strict=True) for a, b in zip(ours, its, strict=True)]),
        )
        for (name, tags), spent in zip(ways.items(), seconds, strict=True)
    ]


def language_baselines(trained: Trained, text: EncodedText, order: int | None = None) -> list[Baseline]:
    """Return what n-grams with Kneser-Ney smoothing reach on the tokens of a language model.

    Parameters
    ----------
    trained : Trained
        A language model; its config says what to train on.
    text : EncodedText
        Encoded with its codec.
    order : int, optional
        Tokens of the longest n-grams; 6 for characters and 5 for others when not given.

    Returns
    -------
    list of Baseline
        Unigrams, then n-grams. Of a training part of more than ``MOST_TOKENS`` the last ones are counted.

    Raises
    ------
    DataError
        If the training part cannot be read, or is not the one that the model was trained on.
    """
    config, codec = trained.config, trained.learned
    assert isinstance(config, LanguageConfig)
    corpus = load_corpus(config.data, CACHE)
    if corpus.codec.to_json() != codec.to_json():
        raise DataError(
            "the training text is not the one the model was trained on: its tokens are others",
            where=str(config.data.train.model_dump().get("path", config.data.train.format)),
            remedy="Put back the file, or leave --baseline out",
        )
    kind = config.data.tokenizer.kind
    longest = order or ORDERS.get(kind, ORDER)
    tokens = corpus.train.tokens[-MOST_TOKENS:]
    cut = f", last {MOST_TOKENS:,} tokens" if len(tokens) < len(corpus.train) else ""
    found = []
    for length in sorted({1, longest}):
        start = time.perf_counter()
        model = train_ngrams(tokens, codec.size, length, codec.end_of_text)
        name = "frequency of each token" if length == 1 else f"{len(model.orders)}-grams, Kneser-Ney"
        found.append(_read(f"{name}{cut}", model, text, start))
    return found


def _read(name: str, model: NgramModel, text: EncodedText, start: float) -> Baseline:
    losses = TokenLosses()
    losses.add(ngram_nats(model, text.tokens))
    report = language_report(losses, text.characters, text.unknown)
    return Baseline(name, report, time.perf_counter() - start)
