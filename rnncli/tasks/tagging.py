"""Tagging: from config and sentences to work, and what travels with the weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.config import TaggingConfig
from rnncli.data.tagging.codec import TaggedTexts, TaggingCodec
from rnncli.data.tagging.codec_json import tagging_codec_from_json, tagging_codec_to_json
from rnncli.data.tagging.dataset import TaggingDataset, load_tagging_dataset
from rnncli.data.tagging.schemes import is_entity_tag
from rnncli.data.tagging.spelling import Spellings
from rnncli.data.vocabulary import UNKNOWN, Vocabulary
from rnncli.errors import ConfigError
from rnncli.packing import Array
from rnncli.randomness import generator
from rnncli.taggers import Tagger, build_tagger, tagger_shapes, tagger_with
from rnncli.tagging import TaggingWork
from rnncli.tasks.base import Parcel, Stored
from rnncli.tasks.pretrained import Reading, take_language_model
from rnncli.tasks.vectors import Words, count_ids
from rnncli.tasks.weights import Source, Taken, match_tokens, take_arrays
from rnncli.workers.exchange import Anything, Exchange

_TEXTS = ("ids", "labels", "offsets", "forms", "unseen")
_SPELLINGS = ("pieces", "offsets")


class Tagging:
    """See :class:`rnncli.tasks.base.Task`."""

    def load(self, config: TaggingConfig, cache: Path | None) -> TaggingDataset:
        """Return the encoded sentences."""
        return load_tagging_dataset(config.data, config.split_seed)

    def build(self, config: TaggingConfig, data: TaggingDataset) -> TaggingWork:
        """Return the work with fresh weights."""
        if config.train.best_metric == "entity_f1" and not _has_entities(data.valid.tags):
            raise ConfigError(
                "'entity_f1' is for tags of entities, such as B-PER and O; the data has others",
                where="train.best_metric",
                remedy="Use accuracy",
            )
        model = build_tagger(config.model, self.shapes(config, data.codec), generator(config.seed, "weights"))
        return self._work(config, data, model)

    def ready(self, config: TaggingConfig, data: TaggingDataset) -> TaggingDataset:
        """Return the data."""
        return data

    def pack(self, data: TaggingDataset, exchange: Exchange) -> Parcel:
        """Return the sentences of both parts."""
        parts = {"train": data.train, "valid": data.valid}
        arrays = {f"{name}.{key}": getattr(part, key) for name, part in parts.items() for key in _TEXTS}
        for name, part in parts.items():
            if part.spellings is not None:
                arrays |= {f"{name}.spellings.{key}": getattr(part.spellings, key) for key in _SPELLINGS}
        return Parcel({name: list(part.tags) for name, part in parts.items()}, arrays)

    def unpack(self, config: TaggingConfig, parcel: Parcel) -> TaggingDataset:
        """Return the sentences without what was learned from them."""
        train, valid = (_texts_of(parcel.arrays, name, tuple(parcel.facts[name])) for name in ("train", "valid"))
        nothing = TaggingCodec(Vocabulary((UNKNOWN,)), (), None, np.zeros(0, np.uint64), False, config.data.spelling)
        return TaggingDataset(train, valid, nothing)

    def with_arrays(self, data: TaggingDataset, arrays: dict[str, Anything]) -> TaggingDataset:
        """Return the data in other memory."""
        train, valid = (
            _texts_of(arrays, name, part.tags) for name, part in (("train", data.train), ("valid", data.valid))
        )
        return replace(data, train=train, valid=valid)

    def join(self, config: TaggingConfig, data: TaggingDataset, params: dict[str, Array]) -> TaggingWork:
        """Return the work with weights that are given."""
        return self._work(config, data, tagger_with(config.model, params))

    def digest(self, data: TaggingDataset) -> str:
        """Return a digest of the encoded sentences and of what was learned from them."""
        hashed = hashlib.sha256(tagging_codec_to_json(data.codec).encode("utf-8", "surrogatepass"))
        for array in self.pack(data, None).arrays.values():  # type: ignore[arg-type]
            hashed.update(np.ascontiguousarray(array).data)
        return hashed.hexdigest()

    def store(self, data: TaggingDataset) -> Stored:
        """Return words, tags and characters."""
        return Stored({}, (tagging_codec_to_json(data.codec),))

    def restore(self, config: TaggingConfig, metadata: Mapping[str, Any], tokens: tuple[str, ...]) -> TaggingCodec:
        """Return words, tags and characters."""
        if len(tokens) != 1:
            raise ValueError("codec")
        return tagging_codec_from_json(tokens[0], config.data.words, config.data.spelling)

    def shapes(self, config: TaggingConfig, learned: TaggingCodec) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight."""
        spelling, pieces = config.data.spelling, None
        if spelling is not None:
            pieces = spelling.buckets if spelling.kind == "ngrams" else len(learned.characters or ())
        characters = learned.characters is not None
        return tagger_shapes(config.model, len(learned.words), pieces, characters, len(learned.tags))

    def network(self, config: TaggingConfig, params: dict[str, Array]) -> Tagger:
        """Return the model."""
        return tagger_with(config.model, params)

    def words(self, data: TaggingDataset) -> Words:
        """Return the vocabulary."""
        return Words(data.codec.words.tokens, count_ids(data.train.ids, len(data.codec.words)))

    def samples(self, config: Any, data: Any, network: Any, step: int) -> list[str]:
        """Return none."""
        return []

    def take_weights(
        self, config: TaggingConfig, network: Tagger, data: TaggingDataset, source: Source, where: str
    ) -> Taken:
        """Start from a language model's weights, or from another tagger's.

        Of a tagger, words and characters are matched by name, and the output layer is taken over where the tags are the
        same.
        """
        if source.config.task == "language_model":
            lowercase = config.data.words.lowercase
            reading = Reading(data.codec.words, ("word", "whitespace"), lowercase, "data.words")
            return take_language_model(network, config, reading, source, where)
        ours, theirs = data.codec, source.learned
        by_token = {"embedding.W": match_tokens(ours.words, theirs.words)}
        if ours.characters is not None and theirs.characters is not None:
            by_token["spelling.W"] = match_tokens(ours.characters, theirs.characters)
        elif ours.spelling != theirs.spelling:
            raise ConfigError(
                f"{where} sees other runs of characters than this config",
                where="init_from",
                remedy="Give data.spelling what that checkpoint has",
            )
        same_tags = ours.tags == theirs.tags
        return take_arrays(network, source, where, by_token, lambda name: same_tags or not name.startswith("output."))

    def _work(self, config: TaggingConfig, data: TaggingDataset, model: Tagger) -> TaggingWork:
        train = config.train
        return TaggingWork(model, data.train, data.valid, train.batch_size, config.seed, train.label_smoothing)


def _texts_of(arrays: Mapping[str, Anything], name: str, tags: tuple[str, ...]) -> TaggedTexts:
    """Return the sentences that a parcel has under a name."""
    spellings = None
    if f"{name}.spellings.pieces" in arrays:
        spellings = Spellings(*(arrays[f"{name}.spellings.{key}"] for key in _SPELLINGS))
    return TaggedTexts(**{key: arrays[f"{name}.{key}"] for key in _TEXTS}, tags=tags, spellings=spellings)


def _has_entities(tags: tuple[str, ...]) -> bool:
    return all(map(is_entity_tag, tags)) and any(tag != "O" for tag in tags)
