"""Texts as arrays: one long row of token ids, where each text begins in it, and a class for each text."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.rows import Row
from rnncli.data.settings import End, TokenizerSettings
from rnncli.data.tokenizers import Tokenizer
from rnncli.data.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary, build_vocabulary
from rnncli.errors import DataError

Ids = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """Texts as token ids, end to end. The arrays are read-only.

    Parameters
    ----------
    ids : ndarray of shape (total,), int32
        The ids of all texts in order; text ``i`` is ``ids[offsets[i]:offsets[i + 1]]``, at least one id.
    offsets : ndarray of shape (rows + 1,), int64
        Where each text begins, and at the end the total.
    labels : ndarray of shape (rows,), int64
        The class of each text.
    inputs : ndarray of shape (total, E), float32, optional
        What a model is to read beside each id, where that is not to be worked out from the ids.
    """

    ids: Ids
    offsets: Integers
    labels: Integers
    inputs: Numbers | None = None

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.labels)

    @property
    def lengths(self) -> Integers:
        """Return the number of ids of each text, shape (rows,)."""
        return np.diff(self.offsets)


def learn_vocabulary(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    settings: TokenizerSettings,
    max_length: int | None,
    truncate: End,
    where: str,
) -> tuple[Vocabulary, Ids, Integers]:
    """Return the vocabulary of the training part, and the part encoded with it; each text is tokenized once.

    Tokens are counted after ``max_length`` is applied, so that every token of the vocabulary is one the model sees.

    Parameters
    ----------
    rows : iterable of Row
        The training part.
    tokenizer : callable
        As :func:`rnncli.data.tokenizers.make_tokenizer` returns it.
    settings : TokenizerSettings
        Its ``min_count`` and ``max_vocab`` are used.
    max_length, truncate
        As for :func:`encode_rows`.
    where : str
        Name of the source, for messages.

    Returns
    -------
    vocabulary : Vocabulary
        The most frequent tokens.
    ids, offsets : ndarray
        As in :class:`EncodedTexts`.

    Raises
    ------
    DataError
        If no text has a token, or none occurs ``min_count`` times.
    """
    # Ids in the order in which tokens are first met; a new token gets the next one.
    first_met: defaultdict[str, int] = defaultdict(lambda: len(first_met), {UNKNOWN: UNKNOWN_ID})

    def meet(tokens: Sequence[str]) -> Ids:
        return np.fromiter(map(first_met.__getitem__, tokens), dtype=np.int32, count=len(tokens))

    ids, offsets = encode_texts(rows, tokenizer, meet, max_length, truncate)
    if len(first_met) == 1:
        raise DataError(
            "no text of the training part has a token", where=where, remedy="Check which column is the text"
        )
    counts = dict(zip(first_met, np.bincount(ids, minlength=len(first_met)).tolist(), strict=True))
    vocabulary = build_vocabulary(counts, settings.min_count, settings.max_vocab)
    if len(vocabulary) == 1:
        raise DataError(
            f"no token occurs {settings.min_count} times in the training part",
            where=where,
            remedy="Lower data.tokenizer.min_count",
        )
    return vocabulary, vocabulary.encode(list(first_met))[ids], offsets


def encode_rows(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    labels: Sequence[str],
    max_length: int | None,
    truncate: End,
) -> EncodedTexts:
    """Return rows encoded with a vocabulary and labels that are given.

    Parameters
    ----------
    rows : iterable of Row
        The texts, with labels.
    tokenizer : callable
        As :func:`rnncli.data.tokenizers.make_tokenizer` returns it.
    vocabulary : Vocabulary
        The tokens that have an id; a text without any token becomes the single unknown id.
    labels : sequence of str
        The name of each class.
    max_length : int or None
        Most tokens kept of a text; None keeps all.
    truncate : {"head", "tail"}
        The end of a longer text that is KEPT: "head" its first tokens, "tail" its last.

    Returns
    -------
    EncodedTexts
        One text for each row, in order.

    Raises
    ------
    DataError
        If a row has a label that is not among ``labels``.
    """
    rows = list(rows)
    classes = classes_of(rows, labels)
    return frozen_texts(*encode_texts(rows, tokenizer, vocabulary.encode, max_length, truncate), classes)


def encode_texts(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    encode: Callable[[Sequence[str]], Ids],
    max_length: int | None,
    truncate: End,
) -> tuple[Ids, Integers]:
    """Return the ids of all texts end to end, and where each text begins.

    Parameters
    ----------
    rows : iterable of Row
        The texts; their labels do not matter.
    tokenizer : callable
        Cuts a text into tokens.
    encode : callable
        Gives a list of tokens their ids.
    max_length, truncate
        As for :func:`encode_rows`.

    Returns
    -------
    ids, offsets : ndarray
        As in :class:`EncodedTexts`.
    """
    kept = slice(None) if max_length is None else slice(max_length) if truncate == "head" else slice(-max_length, None)
    pieces = [encode(tokenizer(row.text)[kept] or [UNKNOWN]) for row in rows]
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32), offsets


def classes_of(rows: Sequence[Row], labels: Sequence[str]) -> Integers:
    """Return the class of each row.

    Parameters
    ----------
    rows : sequence of Row
        Labelled rows.
    labels : sequence of str
        The name of each class.

    Returns
    -------
    ndarray of shape (rows,), int64
        The place of each row's label in ``labels``.

    Raises
    ------
    DataError
        If a row has a label that is not among ``labels``.
    """
    classes = {label: number for number, label in enumerate(labels)}
    try:
        return np.array([classes[row.label] for row in rows], dtype=np.int64)
    except KeyError:
        row = next(row for row in rows if row.label not in classes)
    known = ", ".join(repr(label) for label in labels[:20]) + (", ..." if len(labels) > 20 else "")
    raise DataError(
        f"label {row.label!r} is not one the training part has ({known})",
        where=row.where,
        remedy="Correct the label or remove its rows; a config can leave them out with skip_labels",
    )


def frozen_texts(ids: Ids, offsets: Integers, labels: Integers) -> EncodedTexts:
    """Return the arrays as texts that nobody can change; the arrays themselves become read-only.

    Parameters
    ----------
    ids, offsets, labels : ndarray
        As in :class:`EncodedTexts`.

    Returns
    -------
    EncodedTexts
        With these very arrays.
    """
    for array in (ids, offsets, labels):
        array.setflags(write=False)
    return EncodedTexts(ids, offsets, labels)
