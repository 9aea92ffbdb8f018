"""What the n-grams of a text say by themselves, as numbers that recurrent layers read token by token.

Beside the embedding of a token stand the log-count ratios of the n-grams of one, two, three ... tokens that end at it.
A ratio that was counted on the label of the very text it stands in gives that label away, and a network that learns
from such numbers learns to believe them: new texts have none. So those of a training text are counted on other texts
alone (:func:`cross_fitted`), as in stacking (Wolpert 1992). Taking only a text's own count out of each ratio would not
do: what is missing then tells the label, with the sign turned.
"""

import numpy as np
from numpy.typing import NDArray

from rnncli.ngram_counts import NgramCounts, log_count_ratios
from rnncli.ngrams import endings, sorted_once
from rnncli.packing import Array, IntArray

FOLDS = 10
Inputs = NDArray[np.float32]


def looked_up(rows: NDArray[np.integer], ratios: Array) -> Array:
    """Return the ratios of the n-grams that end at each token.

    Parameters
    ----------
    rows : ndarray of int, shape (R, orders)
        From :func:`rnncli.ngrams.endings`.
    ratios : ndarray of shape (U, K)
        Of each n-gram.

    Returns
    -------
    ndarray of shape (R, orders * K)
        For each length the K ratios of its n-gram, 0 where it has none.
    """
    found = np.where(rows[..., None] < 0, ratios.dtype.type(0), ratios[rows])
    return found.reshape(len(rows), rows.shape[1] * ratios.shape[1])


def cross_fitted(
    ids: NDArray[np.integer],
    offsets: IntArray,
    labels: NDArray[np.integer],
    counts: NgramCounts,
    *,
    orders: int,
    min_count: int,
    rng: np.random.Generator,
) -> Inputs:
    """Work out the ratios at each token of the training texts, each text's counted on others only.

    The texts are dealt into ``FOLDS`` folds of equal size, and the ratios of a fold are those that the other folds
    give: of the n-grams with a row those that ``min_count`` of their texts have.

    Parameters
    ----------
    ids, offsets, labels
        The training part, as for :func:`rnncli.ngram_counts.count_ngrams`.
    counts : NgramCounts
        Of the whole training part.
    orders : int
        The longest n-gram.
    min_count : int
        Texts that must have an n-gram.
    rng : numpy.random.Generator
        Deals.

    Returns
    -------
    ndarray of shape (total, orders * K), float32
        As :func:`looked_up` has them. Those of a text do not depend on its label, nor on any of its fold.
    """
    U, C = counts.texts.shape
    out = np.zeros((len(ids), orders * (1 if C == 2 else C)), np.float32)
    fold_of = rng.permutation(len(labels)) % FOLDS
    for fold in range(FOLDS):
        texts = np.flatnonzero(fold_of == fold)
        lengths = offsets[texts + 1] - offsets[texts]
        owners = np.repeat(np.arange(len(texts)), lengths)
        here = np.arange(len(owners))
        ends = np.cumsum(lengths)[owners]
        places = here + (offsets[texts + 1] - np.cumsum(lengths))[owners]  # in the whole part
        rows = endings(ids[places], here + 1, ends - here, orders, counts.keys)
        pairs = sorted_once((owners[:, None] * U + rows)[rows >= 0])  # each n-gram once a text
        own = np.bincount(pairs % U * C + labels[texts[pairs // U]], minlength=U * C).reshape(U, C)
        others = counts.texts - own
        enough = others.sum(axis=1) >= min_count
        ratios = log_count_ratios(others[enough])
        table = np.zeros((U, ratios.shape[1]), np.float32)
        table[enough] = ratios
        out[places] = looked_up(rows, table)
    return out


def spread(inputs: Inputs) -> Inputs:
    """Return the standard deviation of each column, by which the layers' inputs are divided; 1 of one that is constant.

    Parameters
    ----------
    inputs : ndarray of shape (total, E)
        Of the training part.

    Returns
    -------
    ndarray of shape (E,), float32
        Above 0.
    """
    found = np.array([column.std(dtype=np.float64) for column in inputs.T]).astype(np.float32)
    return np.where(found > 0, found, np.float32(1))


def shared(inputs: Array, K: int) -> Array:
    """Share the ratios at each token among the tokens of their n-grams, in equal parts.

    Parameters
    ----------
    inputs : ndarray of shape (T, orders * K)
        Of one text.
    K : int
        Ratios of an n-gram.

    Returns
    -------
    ndarray of shape (T, orders * (orders + 1) / 2 * K)
        For each length, and each place in an n-gram of that length from its end on, the part of the token there.
    """
    parts = []
    for order, back, column in _parts(inputs.shape[1] // K, K):
        part = np.zeros((len(inputs), K), inputs.dtype)
        part[: max(len(inputs) - back, 0)] = inputs[back:, column] / order
        parts.append(part)
    return np.concatenate(parts, axis=1)


def gathered(shares: Array, orders: int) -> Array:
    """Add up what :func:`shared` has shared.

    Parameters
    ----------
    shares : ndarray of shape (N, T, orders * (orders + 1) / 2 * K)
        Of versions of one text.
    orders : int
        The longest n-gram.

    Returns
    -------
    ndarray of shape (N, T, orders * K)
        The ratios at each token.
    """
    N, T, S = shares.shape
    K = S // (orders * (orders + 1) // 2)
    out = np.zeros((N, T, orders * K), shares.dtype)
    for number, (_, back, column) in enumerate(_parts(orders, K)):
        out[:, back:, column] += shares[:, : T - min(back, T), number * K : (number + 1) * K]
    return out


def gathered_backward(dout: Array, orders: int) -> Array:
    """Return the gradient of the shares from that of what :func:`gathered` made of them."""
    N, T, E = dout.shape
    K, parts = E // orders, []
    for _, back, column in _parts(orders, K):
        part = np.zeros((N, T, K), dout.dtype)
        part[:, : T - min(back, T)] = dout[:, back:, column]
        parts.append(part)
    return np.concatenate(parts, axis=2)


def _parts(orders: int, K: int) -> list[tuple[int, int, slice]]:
    """Return the length of an n-gram, a place in it from its end on, and the columns of its ratios, for all of them."""
    return [(n, back, slice((n - 1) * K, n * K)) for n in range(1, orders + 1) for back in range(n)]
