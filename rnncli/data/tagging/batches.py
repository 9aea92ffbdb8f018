"""Some tagged sentences, packed; the spelling of each written form in them once."""

from typing import NamedTuple

import numpy as np

from rnncli.data.tagging.codec import TaggedTexts
from rnncli.packing import IntArray, Packing, make_packing, pack_flat


class FormBatch(NamedTuple):
    """The distinct written forms of a batch, packed as sequences of pieces.

    Parameters
    ----------
    pieces : ndarray of int, shape (P,)
        Ids of characters or buckets of n-grams, time-major without padding.
    packing : Packing
        The layout of the F forms, in its own order.
    of_word : ndarray of int, shape (R,)
        Which packed form each word of the batch is, from 0 to F - 1.
    """

    pieces: IntArray
    packing: Packing
    of_word: IntArray


class TaggedBatch(NamedTuple):
    """Some sentences, packed.

    Parameters
    ----------
    ids : ndarray of int, shape (R,)
        Word ids, time-major without padding.
    packing : Packing
        The layout; ``packing.order`` tells which of the requested sentences each packed one is.
    y : ndarray of int, shape (R,)
        The tag of each word. One that training does not have is the number of classes or more: it has no place in the
        model's output, so it can neither count in a loss nor be right.
    forms : FormBatch or None
        The spellings, where there are any.
    """

    ids: IntArray
    packing: Packing
    y: IntArray
    forms: FormBatch | None


def make_tagged_batch(texts: TaggedTexts, rows: IntArray) -> TaggedBatch:
    """Pack some of the sentences.

    Parameters
    ----------
    texts : TaggedTexts
        All of them.
    rows : ndarray of int, shape (N,)
        Which to take.

    Returns
    -------
    TaggedBatch
        Those sentences.
    """
    starts = texts.offsets[rows]
    packing = make_packing(texts.offsets[rows + 1] - starts)
    ids, y = (pack_flat(values, starts, packing).astype(np.int64) for values in (texts.ids, texts.labels))
    if texts.spellings is None:
        return TaggedBatch(ids, packing, y, None)
    distinct, index = np.unique(pack_flat(texts.forms, starts, packing), return_inverse=True)
    offsets = texts.spellings.offsets
    of_forms = make_packing(offsets[distinct + 1] - offsets[distinct])
    pieces = pack_flat(texts.spellings.pieces, offsets[distinct], of_forms).astype(np.int64)
    places = np.empty(len(distinct), np.int64)
    places[of_forms.order] = np.arange(len(distinct))
    return TaggedBatch(ids, packing, y, FormBatch(pieces, of_forms, places[index]))


def unpack_tags(packed: IntArray, packing: Packing) -> list[IntArray]:
    """Return what a model says of each word as one array per sentence.

    Parameters
    ----------
    packed : ndarray of int, shape (R,)
        A class for each packed row.
    packing : Packing
        The layout of the batch.

    Returns
    -------
    list of ndarray of int
        The classes of each requested sentence, in the order in which they were asked for.
    """
    by_sentence = np.argsort(packing.sequences, kind="stable")
    pieces = np.split(packed[by_sentence], np.cumsum(packing.lengths)[:-1])
    out: list[IntArray] = [packed[:0]] * len(pieces)
    for place, piece in zip(packing.order.tolist(), pieces, strict=True):
        out[place] = piece
    return out
