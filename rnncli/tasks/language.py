"""Language models: from config and text to work, and what travels with the weights."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rnncli.config import LanguageConfig
from rnncli.data.language.codecs import codec_from_json
from rnncli.data.language.corpus import Corpus, load_corpus, open_corpus
from rnncli.data.language.encoding import EncodedText
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.language.word_codec import WordCodec
from rnncli.errors import ConfigError, DataError
from rnncli.language_modelling import LanguageWork
from rnncli.language_models import LanguageModel, build_language_model, language_model_with, language_shapes
from rnncli.packing import Array
from rnncli.randomness import generator
from rnncli.run_dir import CACHE
from rnncli.sampling import Stepper, generate, start_ids
from rnncli.tasks.base import Parcel, Stored
from rnncli.tasks.vectors import Words, count_ids
from rnncli.tasks.weights import Matched, Source, Taken, match_tokens, take_arrays
from rnncli.workers.exchange import Anything, Exchange

_PARTS = ("train", "valid")
SAMPLE_LENGTH, TEMPERATURE = 300, 0.8  # of texts in a run's log

_CHUNK = 2**22


class LanguageModelling:
    """See :class:`rnncli.tasks.base.Task`."""

    def load(self, config: LanguageConfig, cache: Path | None) -> Corpus:
        """Return the encoded text, mapped from the cache."""
        return load_corpus(config.data, cache or CACHE)

    def build(self, config: LanguageConfig, data: Corpus) -> LanguageWork:
        """Return the work with fresh weights."""
        streams = config.train.batch_size
        if len(data.train) - 1 < streams:
            raise ConfigError(
                f"{streams} streams are more than the training part has tokens ({len(data.train):,})",
                where="train.batch_size",
                remedy="Lower it",
            )
        drawn = config.train.sampled_softmax
        if drawn is not None and drawn >= data.codec.size:
            raise ConfigError(
                f"{drawn:,} tokens cannot be drawn of {data.codec.size:,}",
                where="train.sampled_softmax",
                remedy="Lower it, or set it to null: all are scored then",
            )
        model = build_language_model(config.model, data.codec.size, generator(config.seed, "weights"))
        return self._work(config, data, model)

    def ready(self, config: LanguageConfig, data: Corpus) -> Corpus:
        """Return the data."""
        return data

    def pack(self, data: Corpus, exchange: Exchange) -> Parcel:
        """Return where the text lies, for processes of this machine; else the text itself."""
        parts = {name: getattr(data, name) for name in _PARTS}
        facts: dict[str, Any] = {
            name: {"characters": part.characters, "unknown": part.unknown} for name, part in parts.items()
        }
        facts |= {"codec": data.codec.to_json(), "path": None}
        filename = getattr(data.train.tokens, "filename", None)
        if exchange.shares_memory and filename is not None:
            return Parcel({**facts, "path": str(Path(filename).parent)}, {})
        return Parcel(facts, {name: np.asarray(part.tokens) for name, part in parts.items()})

    def unpack(self, config: LanguageConfig, parcel: Parcel) -> Corpus:
        """Return the text."""
        facts = parcel.facts
        if facts["path"] is not None:
            found = open_corpus(Path(facts["path"]))
            if found is None:
                raise DataError("the encoded text cannot be read", where=facts["path"], remedy="Check the disk")
            return found
        train, valid = (EncodedText(parcel.arrays[name], **facts[name]) for name in _PARTS)
        return Corpus(train, valid, codec_from_json(facts["codec"]))

    def with_arrays(self, data: Corpus, arrays: dict[str, Anything]) -> Corpus:
        """Return the data in other memory, where it is not mapped from a file."""
        if not arrays:
            return data
        train, valid = (replace(getattr(data, name), tokens=arrays[name]) for name in _PARTS)
        return replace(data, train=train, valid=valid)

    def join(self, config: LanguageConfig, data: Corpus, params: dict[str, Array]) -> LanguageWork:
        """Return the work with weights that are given."""
        return self._work(config, data, language_model_with(config.model, params))

    def digest(self, data: Corpus) -> str:
        """Return a digest of the encoded text and its codec."""
        hashed = hashlib.sha256(data.codec.to_json().encode("utf-8", "surrogatepass"))
        for name in _PARTS:
            tokens = getattr(data, name).tokens
            hashed.update(f"{tokens.dtype} {len(tokens)}".encode())
            filename = getattr(tokens, "filename", None)
            if filename is not None:  # read rather than mapped: that would count as this process's memory
                with open(filename, "rb", buffering=0) as file:
                    while chunk := file.read(_CHUNK):
                        hashed.update(chunk)
            else:
                hashed.update(np.ascontiguousarray(tokens).data)
        return hashed.hexdigest()

    def store(self, data: Corpus) -> Stored:
        """Return the codec."""
        return Stored({}, (data.codec.to_json(),))

    def restore(self, config: LanguageConfig, metadata: Mapping[str, Any], tokens: tuple[str, ...]) -> TextCodec:
        """Return the codec."""
        if len(tokens) != 1:
            raise ValueError("codec")
        return codec_from_json(tokens[0])

    def shapes(self, config: LanguageConfig, learned: TextCodec) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight."""
        return language_shapes(config.model, learned.size)

    def network(self, config: LanguageConfig, params: dict[str, Array]) -> LanguageModel:
        """Return the model."""
        return language_model_with(config.model, params)

    def words(self, data: Corpus) -> Words:
        """Return the vocabulary; what ends a text is no word."""
        assert isinstance(data.codec, WordCodec)
        tokens = data.codec.vocabulary.tokens
        return Words(tokens, count_ids(data.train.tokens, len(tokens)))

    def samples(self, config: LanguageConfig, data: Corpus, network: LanguageModel, step: int) -> list[str]:
        """Return texts that the model makes up from nothing, or after a line end."""
        train = config.train
        if not train.samples:
            return []
        stepper, texts = Stepper(network), []
        for number in range(train.samples):
            rng = np.random.default_rng([config.seed, step, number])
            prompt = start_ids(data.codec, data.train.tokens)
            ids = generate(stepper, data.codec, prompt, train.sample_length or SAMPLE_LENGTH, rng, TEMPERATURE)
            texts.append(data.codec.decode(ids))
        return texts

    def take_weights(
        self, config: LanguageConfig, network: LanguageModel, data: Corpus, source: Source, where: str
    ) -> Taken:
        """Start from another language model's weights.

        Characters and words are matched by name, and what is new stays fresh; sub-words must be the same.
        """
        ours, theirs = data.codec, source.learned
        by_token: dict[str, Matched] = {}
        if isinstance(ours, WordCodec) and isinstance(theirs, WordCodec):
            pairs = _same_tokens(ours, theirs)
            by_token = dict.fromkeys(("embedding.W", "output.w", "output.b"), pairs)
        elif ours.to_json() != theirs.to_json():
            raise ConfigError(
                f"{where} has another tokenizer than this config",
                where="init_from",
                remedy="Give data.tokenizer what that checkpoint has",
            )
        return take_arrays(network, source, where, by_token)

    def _work(self, config: LanguageConfig, data: Corpus, model: LanguageModel) -> LanguageWork:
        train, weights = config.train, None
        if train.sampled_softmax is not None:
            # as often as each comes, but none of them never
            weights = count_ids(data.train.tokens, data.codec.size) + 1.0
        return LanguageWork(
            replace(model, sampled=train.sampled_softmax is not None),
            data.train,
            data.valid,
            data.codec.end_of_text,
            train.batch_size,
            train.window,
            train.forget,
            train.label_smoothing,
            train.sampled_softmax,
            weights,
        )


def _same_tokens(ours: WordCodec, theirs: WordCodec) -> Matched:
    """Return the ids of the tokens that two codecs have in common, the end-of-text token included."""
    ids, their_ids = match_tokens(ours.vocabulary, theirs.vocabulary)
    if ours.end_of_text is None or theirs.end_of_text is None:
        return ids, their_ids
    return np.append(ids, ours.end_of_text), np.append(their_ids, theirs.end_of_text)
