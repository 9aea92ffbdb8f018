"""Classification: from config and texts to work, and what travels with the weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli.classifiers import build_classifier, classifier_shapes, classifier_with
from rnncli.classifying import Classifying
from rnncli.config import Config
from rnncli.data.dataset import Dataset, EncodedTexts, load_dataset
from rnncli.data.vocabulary import UNKNOWN, Vocabulary
from rnncli.errors import ConfigError, shown_on_one_line
from rnncli.models import Model
from rnncli.ngram_inputs import spread
from rnncli.packing import Array
from rnncli.randomness import generator
from rnncli.tasks.base import Parcel, Stored
from rnncli.tasks.ngrams import refuse_other_ngrams, with_ngrams
from rnncli.tasks.pretrained import Reading, take_language_model
from rnncli.tasks.vectors import Words, count_ids
from rnncli.tasks.weights import Source, Taken, match_keys, match_tokens, take_arrays
from rnncli.wide_models import BIAS, FIXED, KEYS, TABLE
from rnncli.workers.exchange import Anything, Exchange

_TEXTS = ("ids", "offsets", "labels")


class Labelled(NamedTuple):
    """What a classifier learned from its training part.

    Attributes
    ----------
    vocabulary : Vocabulary
        Token to id.
    labels : tuple of str
        Name of each class id.
    """

    vocabulary: Vocabulary
    labels: tuple[str, ...]


class Classification:
    """See :class:`rnncli.tasks.base.Task`."""

    def load(self, config: Config, cache: Path | None) -> Dataset:
        """Return the encoded texts."""
        return load_dataset(config.data, config.split_seed, cache)

    def build(self, config: Config, data: Dataset) -> Classifying:
        """Return the work with fresh weights."""
        if config.model.loss == "binary" and len(data.labels) != 2:
            raise ConfigError(
                f"'binary' is for two labels and the data has {len(data.labels)} ({', '.join(data.labels)})",
                where="model.loss",
                remedy="Use softmax",
            )
        data = self.ready(config, data)
        sizes, rng = (len(data.vocabulary), len(data.labels)), generator(config.seed, "weights")
        scale = None if data.train.inputs is None else spread(data.train.inputs)
        model = build_classifier(config.model, *sizes, rng, data.ngrams, scale=scale)
        return self._work(config, data, model)

    def ready(self, config: Config, data: Dataset) -> Dataset:
        """Return the data with its n-grams counted and, if the layers read their ratios, those of the training part."""
        return with_ngrams(config, data)

    def pack(self, data: Dataset, exchange: Exchange) -> Parcel:
        """Return the texts of both parts."""
        parts = {"train": data.train, "valid": data.valid}
        arrays = {f"{name}.{key}": getattr(part, key) for name, part in parts.items() for key in _TEXTS}
        if data.train.inputs is not None:
            arrays["train.inputs"] = data.train.inputs
        return Parcel({"labels": list(data.labels)}, arrays)

    def unpack(self, config: Config, parcel: Parcel) -> Dataset:
        """Return the texts without their vocabulary."""
        train, valid = (texts_of(parcel.arrays, name) for name in ("train", "valid"))
        return Dataset(
            train=train, valid=valid, vocabulary=Vocabulary((UNKNOWN,)), labels=tuple(parcel.facts["labels"])
        )

    def with_arrays(self, data: Dataset, arrays: dict[str, Anything]) -> Dataset:
        """Return the data in other memory."""
        return replace(data, train=texts_of(arrays, "train"), valid=texts_of(arrays, "valid"))

    def join(self, config: Config, data: Dataset, params: dict[str, Array]) -> Classifying:
        """Return the work with weights that are given."""
        return self._work(config, data, classifier_with(config.model, params))

    def digest(self, data: Dataset) -> str:
        """Return a digest of the encoded texts, the vocabulary and the labels."""
        hashed = hashlib.sha256(repr((data.vocabulary.tokens, data.labels)).encode("utf-8", "surrogatepass"))
        for part in (data.train, data.valid):
            for array in (part.ids, part.offsets, part.labels):
                hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()

    def store(self, data: Dataset) -> Stored:
        """Return labels and vocabulary."""
        return Stored({"labels": list(data.labels)}, tuple(data.vocabulary.tokens))

    def restore(self, config: Config, metadata: Mapping[str, Any], tokens: tuple[str, ...]) -> Labelled:
        """Return labels and vocabulary."""
        labels = tuple(metadata["labels"])
        if len(set(labels)) < max(2, len(labels)) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels")
        if any(shown_on_one_line(label) != label for label in labels):
            raise ValueError("labels")
        if config.model.loss == "binary" and len(labels) != 2:
            raise ValueError("labels")
        return Labelled(Vocabulary(tokens), labels)

    def shapes(self, config: Config, learned: Labelled) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight."""
        return classifier_shapes(config.model, len(learned.vocabulary), len(learned.labels))

    def network(self, config: Config, params: dict[str, Array]) -> Model:
        """Return the model."""
        return classifier_with(config.model, params)

    def words(self, data: Dataset) -> Words:
        """Return the vocabulary."""
        return Words(data.vocabulary.tokens, count_ids(data.train.ids, len(data.vocabulary)))

    def samples(self, config: Any, data: Any, network: Any, step: int) -> list[str]:
        """Return none."""
        return []

    def take_weights(self, config: Config, network: Model, data: Dataset, source: Source, where: str) -> Taken:
        """Start from a language model's weights, or from another classifier's.

        Of a classifier, the embeddings are matched by token, so the vocabularies may differ; the recurrent layers must
        be of one shape. The output layer is taken over where the labels are the same, else it stays fresh; so do the
        weights of n-grams unless the vocabulary is the same too, as an n-gram is known by the ids of its tokens. What
        multiplies them must be of one kind.
        """
        if source.config.task == "language_model":
            tokenizer = config.data.tokenizer
            reading = Reading(data.vocabulary, (tokenizer.kind,), tokenizer.lowercase, "data.tokenizer")
            return take_language_model(network, config, reading, source, where)
        same_labels = source.learned.labels == data.labels
        refuse_other_ngrams(config.model.ngrams, source, where, same_labels)
        by_token = {"embedding.W": match_tokens(data.vocabulary, source.learned.vocabulary)}
        if same_labels and len(network.poolings) > 1 and source.model.poolings != network.poolings:
            raise ConfigError(
                f"{where} pools by {', '.join(source.model.poolings)}, in this order, and this config by "
                f"{', '.join(network.poolings)}",
                where="init_from",
                remedy=f"Give model.pooling: [{', '.join(source.model.poolings)}]",
            )
        fresh = set() if same_labels else {"output.w", "output.b"}
        fresh |= set(FIXED)
        wide = KEYS in network.params and KEYS in source.model.params
        if same_labels and data.vocabulary.tokens == source.learned.vocabulary.tokens and wide:
            by_token[TABLE] = match_keys(network.params[KEYS], source.model.params[KEYS])
        else:
            fresh |= {TABLE, BIAS}
        return take_arrays(network, source, where, by_token, lambda name: name not in fresh)

    def _work(self, config: Config, data: Dataset, model: Model) -> Classifying:
        train = config.train
        weights = class_weights(train.class_weights, data.train, data.labels)
        return Classifying(
            model, data.train, data.valid, data.labels, train.batch_size, config.seed, weights, train.label_smoothing
        )


def texts_of(arrays: Mapping[str, Anything], name: str) -> EncodedTexts:
    """Return the texts that a parcel has under a name."""
    ids, offsets, labels = (arrays[f"{name}.{key}"] for key in _TEXTS)
    return EncodedTexts(ids, offsets, labels, arrays.get(f"{name}.inputs"))


def class_weights(given: str | dict[str, float] | None, texts: EncodedTexts, labels: tuple[str, ...]) -> Array | None:
    """Work out what a text of each class counts in the training loss.

    Parameters
    ----------
    given : "balanced", dict of label to weight, or None
        As in the config; "balanced" is rows / (classes * rows of the class).
    texts : EncodedTexts
        The training part.
    labels : tuple of str
        Name of each class id.

    Returns
    -------
    ndarray of shape (C,), float32, or None
        The weights; None where all count the same.

    Raises
    ------
    ConfigError
        If the labels given are not those of the data.
    """
    if given is None:
        return None
    if isinstance(given, dict):
        if set(given) != set(labels):
            raise ConfigError(
                f"is for {', '.join(sorted(given))} and the data has {', '.join(labels)}",
                where="train.class_weights",
                remedy="Give one weight for each label of the data",
            )
        return np.array([given[label] for label in labels], np.float32)
    counts = np.bincount(texts.labels, minlength=len(labels))
    return (len(texts) / (len(labels) * np.maximum(counts, 1))).astype(np.float32)
