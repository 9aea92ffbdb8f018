"""Labelled texts as arrays: one long row of token ids, where each text begins in it, and a class for each text."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnncli.data.cache import Entry, entry_path, load_entry, save_entry
from rnncli.data.readers import Source, read_rows
from rnncli.data.rows import Row
from rnncli.data.settings import DataSettings, End
from rnncli.data.split import split_rows
from rnncli.data.tokenizers import Tokenizer, make_tokenizer
from rnncli.data.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary, build_vocabulary
from rnncli.errors import DataError

Ids = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]


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
    """

    ids: Ids
    offsets: Integers
    labels: Integers

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.labels)

    @property
    def lengths(self) -> Integers:
        """Return the number of ids of each text, shape (rows,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True, eq=False)
class Dataset:
    """What training needs.

    Parameters
    ----------
    train, valid : EncodedTexts
        The two parts.
    vocabulary : Vocabulary
        The tokens, counted in the training part.
    labels : tuple of str
        The name of each class, sorted.
    """

    train: EncodedTexts
    valid: EncodedTexts
    vocabulary: Vocabulary
    labels: tuple[str, ...]


def load_dataset(data: DataSettings, seed: int, cache_dir: Path | None) -> Dataset:
    """Return the encoded training and validation parts, from the cache where it has them.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    seed : int
        Seed of the split; without effect beside ``data.valid``.
    cache_dir : Path, optional
        Folder of the cache; None reads the texts every time.

    Returns
    -------
    Dataset
        The same with and without the cache.

    Raises
    ------
    DataError
        If the data cannot be read or is not fit to train on: one label only, no tokens, an empty part, a label of
        the validation part that the training part does not have.
    """
    path = None if cache_dir is None else entry_path(data, seed, cache_dir)
    entry = None if path is None else load_entry(path)
    if entry is not None:
        return _from_entry(entry)
    dataset = encode_parts(data, *read_parts(data, seed))
    if path is not None:
        save_entry(path, _to_entry(dataset))
    return dataset


def read_parts(data: DataSettings, seed: int) -> tuple[list[Row], list[Row]]:
    """Return the rows of the training and of the validation part, as texts.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    seed : int
        Seed of the split; without effect beside ``data.valid``.

    Returns
    -------
    train, valid : list of Row
        In the order of their sources, which is the order of :func:`load_dataset`'s texts.

    Raises
    ------
    DataError
        If a source cannot be read, holds a bad row, or leaves a part empty.
    """
    rows = list(read_rows(data.train, data.group_by))
    if data.valid is not None:
        return rows, list(read_rows(data.valid))
    split = split_rows(rows, data.valid_fraction, seed, source_name(data.train))
    return split.train, split.valid


def encode_parts(data: DataSettings, train: Sequence[Row], valid: Sequence[Row]) -> Dataset:
    """Return two parts encoded, with the vocabulary of the first.

    Tokens are counted after ``max_length`` is applied, so that every token of the vocabulary is one the model sees.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    train, valid : sequence of Row
        The parts, as :func:`read_parts` gives them.

    Returns
    -------
    Dataset
        The parts and what was learned from the first. When they were split off one source, its labels are those of
        both; otherwise those of the training part.

    Raises
    ------
    DataError
        As for :func:`load_dataset`.
    """
    where = source_name(data.train)
    labels = tuple(sorted({row.label for row in (*train, *(() if data.valid is not None else valid))}))
    if len(labels) < 2:
        only = f"the only label is {labels[0]!r}" if labels else "there are no labels"
        raise DataError(f"{only}; a classifier needs two or more", where=where, remedy="Add rows of another label")
    tokenizer = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    # Ids in the order in which tokens are first met; a new token gets the next one. Each text is tokenized once.
    first_met: defaultdict[str, int] = defaultdict(lambda: len(first_met), {UNKNOWN: UNKNOWN_ID})

    def meet(tokens: Sequence[str]) -> Ids:
        return np.fromiter(map(first_met.__getitem__, tokens), dtype=np.int32, count=len(tokens))

    ids, offsets = _encode(train, tokenizer, meet, data.max_length, data.truncate)
    if len(first_met) == 1:
        raise DataError(
            "no text of the training part has a token", where=where, remedy="Check which column is the text"
        )
    counts = dict(zip(first_met, np.bincount(ids, minlength=len(first_met)).tolist(), strict=True))
    vocabulary = build_vocabulary(counts, data.tokenizer.min_count, data.tokenizer.max_vocab)
    if len(vocabulary) == 1:
        raise DataError(
            f"no token occurs {data.tokenizer.min_count} times in the training part",
            where=where,
            remedy="Lower data.tokenizer.min_count",
        )
    ids = vocabulary.encode(list(first_met))[ids]
    return Dataset(
        train=_frozen(ids, offsets, _classes(train, labels)),
        valid=encode_rows(valid, tokenizer, vocabulary, labels, data.max_length, data.truncate),
        vocabulary=vocabulary,
        labels=labels,
    )


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
    classes = _classes(rows, labels)
    return _frozen(*_encode(rows, tokenizer, vocabulary.encode, max_length, truncate), classes)


def source_name(source: Source) -> str:
    """Return how messages call a source: its path."""
    return str(source.model_dump()["path"])


def _encode(
    rows: Iterable[Row],
    tokenizer: Tokenizer,
    encode: Callable[[Sequence[str]], Ids],
    max_length: int | None,
    truncate: End,
) -> tuple[Ids, Integers]:
    """Return the ids of all texts end to end, and the offsets of the texts."""
    kept = slice(None) if max_length is None else slice(max_length) if truncate == "head" else slice(-max_length, None)
    pieces = [encode(tokenizer(row.text)[kept] or [UNKNOWN]) for row in rows]
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int32), offsets


def _classes(rows: Iterable[Row], labels: Sequence[str]) -> Integers:
    """Return the class of each row."""
    classes = {label: number for number, label in enumerate(labels)}
    try:
        return np.array([classes[row.label] for row in rows], dtype=np.int64)
    except KeyError:
        row = next(row for row in rows if row.label not in classes)
    known = ", ".join(repr(label) for label in labels[:20]) + (", ..." if len(labels) > 20 else "")
    raise DataError(
        f"label {row.label!r} is not one the training part has ({known})",
        where=row.where,
        remedy="Correct the label, or leave its rows out (skip_labels)",
    )


def _frozen(ids: Ids, offsets: Integers, labels: Integers) -> EncodedTexts:
    """Return the arrays as texts that nobody can change."""
    for array in (ids, offsets, labels):
        array.setflags(write=False)
    return EncodedTexts(ids, offsets, labels)


def _to_entry(dataset: Dataset) -> Entry:
    """Return a data set as the arrays and strings that are cached."""
    parts = {"train": dataset.train, "valid": dataset.valid}
    arrays = {f"{name}.{field}": getattr(part, field) for name, part in parts.items() for field in _FIELDS}
    return Entry(arrays, {"vocabulary": dataset.vocabulary.tokens, "labels": dataset.labels})


def _from_entry(entry: Entry) -> Dataset:
    """Return the data set that was cached."""
    train, valid = (
        EncodedTexts(*(entry.arrays[f"{name}.{field}"] for field in _FIELDS)) for name in ("train", "valid")
    )
    return Dataset(train, valid, Vocabulary(entry.strings["vocabulary"]), tuple(entry.strings["labels"]))


_FIELDS = ("ids", "offsets", "labels")
