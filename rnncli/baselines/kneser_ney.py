"""An n-gram language model with interpolated, modified Kneser-Ney smoothing, on token ids.

S. Chen and J. Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling", TR-10-98, Harvard 1998; what
begins a text is counted as in K. Heafield et al., "Scalable Modified Kneser-Ney Language Model Estimation", ACL 2013.
Of the k tokens that end at a place, the first k - 1 are the context in which the last is predicted:

    P_k(w | context) = (a(context w) - D_k(a(context w))) / a(context) + freed(context) P_{k-1}(w | shorter context)

For the highest order a is how often the k tokens occur; for the others, before how many different tokens they do, where
an occurrence that begins a text counts by itself. Below the unigrams every id has the same probability.

The n-grams of each order are sorted whole numbers: the number of the context among those of one order less, times the
number of ids, plus the last token.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnncli.packing import Array, IntArray

BLOCK = 2**20  # tokens scored at once
PLAIN_DISCOUNTS = (0.5, 1.0, 1.5)  # where there are too few n-grams to tell better ones


@dataclass(frozen=True)
class _Order:
    """The n-grams of one order.

    Attributes
    ----------
    keys : ndarray of shape (U,), int64
        Sorted; the place of a key is the number of its n-gram.
    counts : ndarray of shape (U,), int32
        a of the formula above.
    totals : ndarray of shape (U of the order below,), int32
        The sum of the counts after each context.
    freed : ndarray of the same shape, float64
        The part of the probability that discounting has freed.
    discounts : ndarray of shape (4,)
        Of counts 0, 1, 2, and 3 or more.
    """

    keys: IntArray
    counts: NDArray[np.int32]
    totals: NDArray[np.int32]
    freed: Array
    discounts: Array


@dataclass(frozen=True)
class NgramModel:
    """A trained model.

    Attributes
    ----------
    size : int
        Ids there are, V.
    end_of_text : int or None
        The id that separates documents; nothing before it is part of a context.
    orders : tuple of _Order
        From unigrams on.
    """

    size: int
    end_of_text: int | None
    orders: tuple[_Order, ...]

    @property
    def ngrams(self) -> int:
        """N-grams of all orders together."""
        return sum(len(order.keys) for order in self.orders)


def train_ngrams(tokens: NDArray[np.integer], size: int, order: int, end_of_text: int | None = None) -> NgramModel:
    """Count the n-grams of a text.

    Parameters
    ----------
    tokens : ndarray of int, shape (total,)
        Ids from 0 to ``size`` - 1, at least two. All but the first are predicted.
    size : int
        Ids there are, V.
    order : int
        Tokens of the longest n-grams, at least 1; fewer where no document is as long.
    end_of_text : int, optional
        As in :class:`NgramModel`.

    Returns
    -------
    NgramModel
        The same for the same tokens. Words and order 5 took some 110 bytes a token while it was made, characters and
        order 6 some 80.

    Raises
    ------
    ValueError
        If there is nothing to count, or the order is not a positive number.
    """
    if len(tokens) < 2 or order < 1:
        raise ValueError(f"need at least two tokens and an order of 1, got {len(tokens)} and {order}")
    tokens = np.ascontiguousarray(tokens)
    room = _room(tokens, end_of_text)
    contexts = np.zeros(len(tokens), np.int32)  # of each place to predict: the number of its context
    below: tuple[NDArray[np.int32], IntArray, int] | None = None  # numbers, keys and contexts of the order below
    orders = []
    for k in range(1, order + 1):
        places = np.flatnonzero(contexts >= 0)
        if not len(places):  # the documents are too short for longer n-grams
            break
        keys, first, inverse = np.unique(
            contexts[places].astype(np.int64) * size + tokens[places], return_index=True, return_inverse=True
        )
        numbers = np.full(len(tokens), -1, np.int32)
        numbers[places] = inverse
        del inverse
        if below is not None:
            # Each n-gram is another token before what it ends with; places without a token before count by themselves.
            lower, lower_keys, lower_contexts = below
            alone = lower[1:][(numbers[1:] < 0) & (lower[1:] >= 0)]
            a = np.bincount(lower[places[first]], minlength=len(lower_keys))
            a += np.bincount(alone, minlength=len(lower_keys))
            orders.append(_order(lower_keys, a, size, lower_contexts))
        contexts_of_order = 1 if below is None else len(below[1])
        below = (numbers, keys, contexts_of_order)
        contexts = np.full(len(tokens), -1, np.int32)
        contexts[1:] = np.where(room[:-1] >= k, numbers[:-1], -1)
    assert below is not None
    numbers, keys, contexts_of_order = below
    seen = numbers[1:]
    orders.append(_order(keys, np.bincount(seen[seen >= 0], minlength=len(keys)), size, contexts_of_order))
    return NgramModel(size, end_of_text, tuple(orders))


def ngram_nats(model: NgramModel, tokens: NDArray[np.integer]) -> Array:
    """Return what each token of a text but the first costs.

    Parameters
    ----------
    model : NgramModel
        From :func:`train_ngrams`.
    tokens : ndarray of int, shape (total,)
        Ids, of any text.

    Returns
    -------
    ndarray of shape (total - 1,)
        The negative natural logarithm of each token's probability; always finite.
    """
    back = len(model.orders)
    out = np.empty(max(len(tokens) - 1, 0))
    for start in range(1, len(tokens), BLOCK):
        begin = max(0, start - back)  # far enough for the context of the first place
        stop = min(start + BLOCK, len(tokens))
        out[start - 1 : stop - 1] = _block_nats(model, np.asarray(tokens[begin:stop]))[start - begin - 1 :]
    return out


def _block_nats(model: NgramModel, tokens: NDArray[np.integer]) -> Array:
    """Return what each token of a block but the first costs."""
    room = _room(tokens, model.end_of_text)
    contexts = np.zeros(len(tokens), np.int64)
    p = np.full(len(tokens), 1 / model.size)
    for k, order in enumerate(model.orders, start=1):
        numbers = np.full(len(tokens), -1)
        places = np.flatnonzero(contexts >= 0)
        keys = contexts[places] * model.size + tokens[places]
        found = np.searchsorted(order.keys, keys)
        found[found == len(order.keys)] = 0
        numbers[places] = np.where(order.keys[found] == keys, found, -1)
        places = places[order.totals[contexts[places]] > 0]
        context, number = contexts[places], numbers[places]
        counts = np.where(number >= 0, order.counts[number], 0)
        kept = counts - order.discounts[np.minimum(counts, 3)]
        p[places] = kept / order.totals[context] + order.freed[context] * p[places]
        contexts = np.full(len(tokens), -1)
        contexts[1:] = np.where(room[:-1] >= k, numbers[:-1], -1)
    return np.asarray(-np.log(p[1:]))


def _room(tokens: NDArray[np.integer], end_of_text: int | None) -> NDArray[np.int32]:
    """Return for each place how many tokens a context that ends there may have: back to where its document begins."""
    places = np.arange(len(tokens), dtype=np.int32)
    if end_of_text is None:
        return places + 1
    begins = np.where(tokens == end_of_text, places, np.int32(0))
    return np.asarray(places - np.maximum.accumulate(begins) + 1)


def _order(keys: IntArray, counts: IntArray, size: int, contexts: int) -> _Order:
    """Return the discounted n-grams of an order."""
    discounts = find_discounts(counts)
    off = discounts[np.minimum(counts, 3)]
    context = keys // size
    totals = np.bincount(context, weights=counts, minlength=contexts).astype(np.int32)
    freed = np.bincount(context, weights=off, minlength=contexts)
    np.divide(freed, totals, out=freed, where=totals > 0)
    return _Order(keys, counts.astype(np.int32), totals, np.asarray(freed), discounts)


def find_discounts(counts: IntArray) -> Array:
    """Return what to take off each count, by how many n-grams have a count of 1, 2, 3 and 4.

    Parameters
    ----------
    counts : ndarray of int, shape (U,)
        Of the n-grams of one order.

    Returns
    -------
    ndarray of shape (4,)
        Of counts 0 (nothing), 1, 2, and 3 or more. Chen and Goodman: D_k = k - (k + 1) Y n_{k+1} / n_k for k = 1, 2, 3,
        with Y = n_1 / (n_1 + 2 n_2), where n_k of the n-grams have the count k. Where one of n_1 to n_4 is 0, or a
        discount is not above 0, which may leave nothing for what was never seen, it is 0.5, 1 and 1.5, as with KenLM's
        ``--discount_fallback``.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(float)
    discounts: tuple[float, ...] = PLAIN_DISCOUNTS
    if n[1:5].all():
        y = n[1] / (n[1] + 2 * n[2])
        found = tuple(float(k - (k + 1) * y * n[k + 1] / n[k]) for k in (1, 2, 3))
        if all(0 < discount <= k for k, discount in enumerate(found, start=1)):
            discounts = found
    return np.array([0, *discounts])
