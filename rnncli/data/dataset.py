"""The training and the validation part of a config's data as arrays, read once and then cached."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnncli.data.cache import Entry, entry_path, load_entry, save_entry
from rnncli.data.encoding import EncodedTexts, classes_of, encode_rows, frozen_texts, learn_vocabulary
from rnncli.data.readers import Source, read_rows
from rnncli.data.rows import Row
from rnncli.data.settings import DataSettings
from rnncli.data.split import split_rows
from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import DataError
from rnncli.ngram_counts import NgramCounts

__all__ = ["Dataset", "EncodedTexts", "encode_parts", "encode_rows", "load_dataset", "read_parts", "source_name"]


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
    ngrams : NgramCounts, optional
        The n-grams of the training part, where they were counted.
    """

    train: EncodedTexts
    valid: EncodedTexts
    vocabulary: Vocabulary
    labels: tuple[str, ...]
    ngrams: NgramCounts | None = None


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

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    train, valid : sequence of Row
        The parts, as :func:`read_parts` gives them.

    Returns
    -------
    Dataset
        The parts and what was learned from the first.

    Raises
    ------
    DataError
        As for :func:`load_dataset`.
    """
    labels = find_labels(data, train, valid)
    tokenizer = make_tokenizer(data.tokenizer.kind, data.tokenizer.lowercase)
    cut = (data.max_length, data.truncate)
    vocabulary, ids, offsets = learn_vocabulary(train, tokenizer, data.tokenizer, *cut, source_name(data.train))
    return Dataset(
        train=frozen_texts(ids, offsets, classes_of(train, labels)),
        valid=encode_rows(valid, tokenizer, vocabulary, labels, *cut),
        vocabulary=vocabulary,
        labels=labels,
    )


def find_labels(data: DataSettings, train: Sequence[Row], valid: Sequence[Row]) -> tuple[str, ...]:
    """Return the names of the classes: the labels of the training part, and of a validation part split off it.

    Parameters
    ----------
    data : DataSettings
        The ``data`` section of a config.
    train, valid : sequence of Row
        The parts, as :func:`read_parts` gives them.

    Returns
    -------
    tuple of str
        Sorted; the place of a name is its class.

    Raises
    ------
    DataError
        If there are fewer than two.
    """
    rows = train if data.valid is not None else [*train, *valid]
    labels = tuple(sorted({row.label for row in rows}))
    if len(labels) < 2:
        raise DataError(
            f"the only label is {labels[0]!r}; a classifier needs two or more" if labels else "there are no labels",
            where=source_name(data.train),
            remedy="Add rows of another label",
        )
    return labels


def source_name(source: Source) -> str:
    """Return how messages call a source.

    Parameters
    ----------
    source : Source
        A source of the config.

    Returns
    -------
    str
        Its path.
    """
    return str(source.model_dump()["path"])


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
