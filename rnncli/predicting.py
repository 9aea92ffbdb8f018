"""What a trained model says of new texts: probabilities of labels, tags of words, costs of lines.

The answer to a text does not depend on what stands beside it, but for rounding: BLAS adds up a row of a large product
otherwise than a row of a small one, which was seen to move a probability by 1e-6 and less. The same inputs in the same
blocks give the same bits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rnncli.config import Config
from rnncli.data.batches import make_batch, scoring_batches
from rnncli.data.encoding import encode_texts, frozen_texts
from rnncli.data.language.steps import make_steps
from rnncli.data.language.windows import document_starts
from rnncli.data.rows import Row
from rnncli.data.tagging.batches import make_tagged_batch
from rnncli.data.tagging.sentences import Sentence
from rnncli.data.tokenizers import end_tokenizer, make_tokenizer
from rnncli.errors import GradientError
from rnncli.language_metrics import perplexity
from rnncli.language_scoring import score_text
from rnncli.layers.activations import softmax
from rnncli.packing import Array, IntArray
from rnncli.trained import Trained

BATCH = 128  # texts that are read side by side
# A block is read, sorted by length and answered as a whole: enough for batches of close lengths, little enough to hold.
BLOCK = 4096  # texts
BLOCK_CHARACTERS = 2**20
LONG_LINE = 2**12  # tokens, beyond which a language model reads a line by itself, piece by piece

Item = TypeVar("Item")


class Tags(NamedTuple):
    """The tags of a sentence.

    Attributes
    ----------
    tags : list of str
        The likeliest tag of each word.
    probabilities : ndarray of shape (words,)
        Of these tags.
    """

    tags: list[str]
    probabilities: Array


class Cost(NamedTuple):
    """What a line costs a language model that has read nothing before it.

    Attributes
    ----------
    tokens : int
        Those of the line. They are predicted from the beginning of a text (the end-of-text token) or of a line (the
        line end); where the model knows neither, its first is only read, and not counted.
    nats : float
        These together; the end of the line is not one of them.
    unknown : int
        How many of them are the unknown token, which makes the line look cheaper than it is.
    """

    tokens: int
    nats: float
    unknown: int

    @property
    def perplexity(self) -> float | None:
        """The exponential of the mean over tokens; None without any, or beyond what a float holds."""
        return perplexity(self.nats / self.tokens) if self.tokens else None


Prediction = Array | Tags | Cost


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is refused below
def probabilities(trained: Trained, texts: Sequence[str]) -> Array:
    """Return how likely a classifier holds each label for each text.

    Parameters
    ----------
    trained : Trained
        A classifier.
    texts : sequence of str
        Any strings. One without a token, such as an empty one, is read as a single unknown token, as in training.

    Returns
    -------
    ndarray of shape (rows, C), float32
        Each row adds up to 1; the columns are ``trained.learned.labels``.

    Raises
    ------
    GradientError
        If the model's outputs are not finite.
    """
    config, learned, model = trained.config, trained.learned, trained.model
    assert isinstance(config, Config)
    data = config.data
    whole = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    tokenizer = end_tokenizer(whole, data.max_length, data.truncate)
    rows = [Row(text, "", "") for text in texts]
    ids, offsets = encode_texts(rows, tokenizer, learned.vocabulary.encode, data.max_length, data.truncate)
    encoded = frozen_texts(ids, offsets, np.zeros(len(rows), np.int64))
    scores = np.zeros((len(rows), len(learned.labels)), np.float32)
    for chosen in scoring_batches(encoded.lengths, BATCH):
        batch = make_batch(encoded, chosen)
        logits, _ = model.forward(batch, keep=False)
        scores[chosen[batch.packing.order]] = model.class_scores(logits)
    _refuse_unfinite(scores)
    return softmax(scores)


def tag_words(trained: Trained, sentences: Sequence[Sequence[str]]) -> list[Tags]:
    """Return the tags that a tagger gives to words.

    Parameters
    ----------
    trained : Trained
        A tagger.
    sentences : sequence of sequence of str
        The words of each; a sentence may have none.

    Returns
    -------
    list of Tags
        One for each sentence, in order.

    Raises
    ------
    GradientError
        If the model's outputs are not finite.
    """
    return likeliest_tags(word_probabilities(trained, sentences), trained.learned.tags, sentences)


@np.errstate(over="ignore", invalid="ignore")
def word_probabilities(trained: Trained, sentences: Sequence[Sequence[str]]) -> Array:
    """Return how likely a tagger holds each tag for each word.

    Parameters
    ----------
    trained : Trained
        A tagger.
    sentences : sequence of sequence of str
        The words of each; a sentence may have none.

    Returns
    -------
    ndarray of shape (words, C), float32
        The sentences one below the other; the columns are ``trained.learned.tags``.

    Raises
    ------
    GradientError
        If the model's outputs are not finite.
    """
    learned, model = trained.learned, trained.model
    some = [Sentence(tuple(words), (learned.tags[0],) * len(words), "", ()) for words in sentences if len(words)]
    texts = learned.encode(some)
    found = np.zeros((len(texts.ids), len(learned.tags)), np.float32)
    for chosen in scoring_batches(texts.lengths, BATCH):
        batch = make_tagged_batch(texts, chosen)
        logits, _ = model.forward(batch, keep=False)
        _refuse_unfinite(logits)
        places = texts.offsets[chosen[batch.packing.order]][batch.packing.sequences] + batch.packing.times
        found[places] = softmax(logits)
    return found


def likeliest_tags(found: Array, tags: Sequence[str], sentences: Sequence[Sequence[str]]) -> list[Tags]:
    """Return the likeliest tag of each word.

    Parameters
    ----------
    found : ndarray of shape (words, C)
        From :func:`word_probabilities`.
    tags : sequence of str
        The name of each column.
    sentences : sequence of sequence of str
        The words of each sentence.

    Returns
    -------
    list of Tags
        One for each sentence, in order.
    """
    names = [tags[number] for number in found.argmax(axis=1).tolist()]
    certainty = found.max(axis=1)
    ends = np.cumsum([0, *map(len, sentences)]).tolist()
    return [Tags(names[start:end], certainty[start:end]) for start, end in pairwise(ends)]


@np.errstate(over="ignore", invalid="ignore")
def line_costs(trained: Trained, lines: Sequence[str]) -> list[Cost]:
    """Return what each line costs a language model, each read by itself.

    Parameters
    ----------
    trained : Trained
        A language model.
    lines : sequence of str
        Without their line ends.

    Returns
    -------
    list of Cost
        One for each line, in order.

    Raises
    ------
    GradientError
        If the model's outputs are not finite.
    """
    codec, model = trained.learned, trained.model
    before = _beginning(codec)
    read = [np.concatenate([before, codec.encode(line)]) for line in lines]
    counts = np.array([max(len(ids) - 1, 0) for ids in read], np.int64)
    nats = np.zeros(len(read))
    for row in np.flatnonzero(counts > LONG_LINE).tolist():
        nats[row] = score_text(model, read[row], codec.end_of_text).nats
    short = np.flatnonzero((counts > 0) & (counts <= LONG_LINE))
    for places in scoring_batches(counts[short], BATCH):
        chosen = short[places]
        lengths = counts[chosen]
        dense = np.zeros((len(chosen), int(lengths.max()) + 1), np.int64)
        for line, number in zip(dense, chosen.tolist(), strict=True):
            line[: len(read[number])] = read[number]
        inputs = dense[:, :-1]
        steps = make_steps(inputs, dense[:, 1:], document_starts(inputs, codec.end_of_text), lengths=lengths)
        out, _, _ = model.forward(steps, model.fresh_state(len(chosen)), keep=False)
        cost, _ = model.nats(out, steps.y)
        nats[chosen] = np.bincount(steps.cells // inputs.shape[1], weights=cost, minlength=len(chosen))
    _refuse_unfinite(nats)
    unknown = [0 if codec.unknown is None else int(np.count_nonzero(ids[1:] == codec.unknown)) for ids in read]
    return [Cost(*values) for values in zip(counts.tolist(), nats.tolist(), unknown, strict=True)]


def predict(trained: Trained, inputs: Sequence[Any]) -> Sequence[Prediction]:
    """Return what a model of any task says of some inputs.

    Parameters
    ----------
    trained : Trained
        The model.
    inputs : sequence
        Texts for a classifier, lines for a language model; for a tagger the words of each sentence.

    Returns
    -------
    sequence of ndarray, Tags or Cost
        In order: the row of :func:`probabilities`, or one of :func:`tag_words` or :func:`line_costs`.
    """
    by_task: dict[str, Callable[[Trained, Sequence[Any]], Any]] = {
        "classification": probabilities,
        "tagging": tag_words,
        "language_model": line_costs,
    }
    found: Sequence[Prediction] = by_task[trained.config.task](trained, inputs)
    return found


def in_blocks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Cut items into blocks of at most ``BLOCK`` of them and some ``BLOCK_CHARACTERS`` characters.

    Parameters
    ----------
    items : iterable
        Texts, or sequences of words.

    Yields
    ------
    list
        At least one item.
    """
    block: list[Item] = []
    held = 0
    for item in items:
        block.append(item)
        held += characters(item)
        if len(block) >= BLOCK or held >= BLOCK_CHARACTERS:
            yield block
            block, held = [], 0
    if block:
        yield block


def characters(item: Any) -> int:
    """Return how many characters a text, or the words of a sentence, have."""
    return len(item) if isinstance(item, str) else sum(map(len, item))


def _beginning(codec: Any) -> IntArray:
    """Return what a language model reads before a line."""
    if codec.end_of_text is not None:
        return np.array([codec.end_of_text], np.int64)
    ids: IntArray = codec.encode("\n")
    return ids if len(ids) == 1 and ids[0] != codec.unknown else ids[:0]


def _refuse_unfinite(outputs: Array) -> None:
    if not np.isfinite(outputs).all():
        raise GradientError("the model's outputs are not finite numbers", remedy="Train again with a lower optim.lr")
