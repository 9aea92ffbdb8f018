"""Inputs to compare an exported model with its original on: a user's own texts where they are still there."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rnncli.config import Config, TaggingConfig
from rnncli.data.encoding import encode_texts, frozen_texts
from rnncli.data.language.text_codec import TextCodec
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import make_tokenizer
from rnncli.errors import DataError, RnncliError
from rnncli.evaluation import rows_of_config
from rnncli.language_evaluation import text_of_config
from rnncli.packing import IntArray
from rnncli.tagger_evaluation import sentences_of_config
from rnncli.trained import Trained

Item = TypeVar("Item")

MADE_UP_TEXTS = 64
MADE_UP_LENGTH = 60  # tokens, at most
TEXT_TOKENS = 512  # of one text, for a language model
CUTS = (1, 4, 16, 64, 256)  # where it is cut; in short pieces the state that a model begins with shows
# One text of a million tokens would pad all others of its batch to that, and take minutes a token at a time.
MOST_TOKENS = 1000  # of a text or sentence
MOST_TEXT = 10_000  # characters of a text
MOST_CHARACTERS = 100  # of a word


class Sample(NamedTuple):
    """Some inputs of a model.

    Attributes
    ----------
    data : EncodedTexts, TaggedTexts or ndarray
        As the model of the task takes them; of a language model the ids of a text.
    texts : sequence
        The same as people have them: texts, the words of each sentence, or pieces of the text, each with a token.
    name : str
        What they are, for people.
    """

    data: Any
    texts: Sequence[Any]
    name: str


def sample_of(trained: Trained, most: int) -> Sample:
    """Return texts of the data a model is evaluated on, or else texts made of its vocabulary.

    Parameters
    ----------
    trained : Trained
        Of any task.
    most : int
        So many texts at most.

    Returns
    -------
    Sample
        Texts of at most ``MOST_TOKENS`` tokens; of a language model at most ``TEXT_TOKENS`` tokens.
    """
    try:
        return _own(trained, most)
    except RnncliError as error:  # it has moved, or was never on this machine
        sample = _made_up(trained, min(most, MADE_UP_TEXTS))
        reason = error.what if error.where is None else f"{error.where}: {error.what}"
        return sample._replace(name=f"{sample.name} ({reason})")


def _own(trained: Trained, most: int) -> Sample:
    """Return texts of the config's test data or validation part."""
    config, learned = trained.config, trained.learned
    if isinstance(config, Config):
        rows, name = rows_of_config(config)
        data = config.data
        tokenizer = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
        rows = [row._replace(text=row.text[:MOST_TEXT]) for row in _some(rows, most)]
        longest = min(data.max_length or MOST_TOKENS, MOST_TOKENS)
        ids, offsets = encode_texts(rows, tokenizer, learned.vocabulary.encode, longest, data.truncate)
        texts = frozen_texts(ids, offsets, np.zeros(len(rows), np.int64))
        return Sample(texts, [row.text for row in rows], f"{_count(rows, 'text')} of {_first_part(name)}")
    if isinstance(config, TaggingConfig):
        sentences, name = sentences_of_config(config)
        kept = [_cut(sentence) for sentence in _some(sentences, most)]
        words = [sentence.words for sentence in kept]
        return Sample(learned.encode(kept), words, f"{_count(kept, 'sentence')} of {_first_part(name)}")
    text, name = text_of_config(trained, None)
    tokens = np.array(text.tokens[:TEXT_TOKENS], np.int64)
    return Sample(tokens, _beginnings(learned, tokens), f"{len(tokens):,} tokens of {_first_part(name)}")


def _made_up(trained: Trained, count: int) -> Sample:
    """Return texts of tokens drawn from the vocabulary."""
    config, learned = trained.config, trained.learned
    rng = np.random.default_rng(1)
    if isinstance(config, Config):
        longest = min(config.data.max_length or MADE_UP_LENGTH, MADE_UP_LENGTH)
        offsets = np.concatenate([[0], np.cumsum(rng.integers(1, longest + 1, count))]).astype(np.int64)
        ids = rng.integers(0, len(learned.vocabulary), offsets[-1]).astype(np.int32)
        between = "" if config.data.tokenizer.kind == "character" else " "
        words = [learned.vocabulary.tokens[number] for number in ids.tolist()]
        texts = [between.join(words[start:end]) for start, end in pairwise(offsets.tolist())]
        data = frozen_texts(ids, offsets, np.zeros(count, np.int64))
        return Sample(data, texts, f"{count} texts made of the vocabulary")
    if isinstance(config, TaggingConfig):
        sentences = [_sentence(learned.words.tokens, learned.tags[0], rng) for _ in range(count)]
        words = [sentence.words for sentence in sentences]
        return Sample(learned.encode(sentences), words, f"{count} sentences made of the vocabulary")
    ids = rng.integers(0, learned.size, TEXT_TOKENS)
    return Sample(ids, _beginnings(learned, ids), f"{TEXT_TOKENS} tokens drawn from the vocabulary")


def _beginnings(codec: TextCodec, ids: IntArray) -> list[str]:
    """Return pieces of a text, for a language model to begin with."""
    pieces = [codec.decode(piece.tolist()) for piece in np.split(ids, CUTS)]
    return [piece for piece in pieces if len(codec.encode(piece))]


def _sentence(words: Sequence[str], tag: str, rng: np.random.Generator) -> Sentence:
    chosen = tuple(words[number] for number in rng.integers(0, len(words), rng.integers(1, MADE_UP_LENGTH + 1)))
    return Sentence(chosen, (tag,) * len(chosen), "", (0,) * len(chosen))


def _cut(sentence: Sentence) -> Sentence:
    """Return the beginning of a sentence, and of its words, of a usual length."""
    words = tuple(word[:MOST_CHARACTERS] for word in sentence.words[:MOST_TOKENS])
    return sentence._replace(words=words, tags=sentence.tags[:MOST_TOKENS])


def _some(texts: list[Item], most: int) -> list[Item]:
    """Return the first texts; nothing can be compared on none."""
    if not texts:
        raise DataError("its data has no texts")
    return texts[:most]


def _count(items: Sequence[Any], what: str) -> str:
    return f"{len(items):,} {what}{'' if len(items) == 1 else 's'}"


def _first_part(name: str) -> str:
    """Return a name of data without the remark that there is no other."""
    return name.partition("; ")[0].partition(", which")[0]
