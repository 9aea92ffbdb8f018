"""Identity rows of the layers without weights: each against its formula, one text and one step at a time."""

from collections.abc import Sequence

import numpy as np

from rnncli.gradcheck.cells import LENGTHS, D, N, T
from rnncli.gradcheck.checks import IdentityCheck, Pairs
from rnncli.layers import (
    activation_penalty_forward,
    attention_pooling_forward,
    attention_weights,
    binary_loss,
    dropout_forward,
    dropout_mask,
    last_pooling_forward,
    max_pooling_forward,
    mean_pooling_forward,
    slowness_penalty_forward,
    softmax_loss,
    temporal_softmax_loss,
)
from rnncli.layers.output import affine_softmax_loss
from rnncli.layers.sampled import Candidates, draw_classes, sampled_softmax_loss
from rnncli.packing import Array, make_packing, pack, unpack


def _packing(rng: np.random.Generator) -> Pairs:
    packing = make_packing(np.array(LENGTHS))
    x = rng.standard_normal((N, T, D))
    real = (np.arange(T) < np.array(LENGTHS)[:, None])[:, :, None]
    yield "x", unpack(pack(x, packing), packing, T), x * real


def _pooling(rng: np.random.Generator) -> Pairs:
    packing = make_packing(np.array(LENGTHS))
    x = rng.standard_normal((N, T, D))
    h = pack(x, packing)
    own = [x[n, : LENGTHS[n]] for n in packing.order]
    yield "last", last_pooling_forward(h, packing)[0], np.stack([rows[-1] for rows in own])
    yield "last, reverse", last_pooling_forward(h, packing, reverse=True)[0], np.stack([rows[0] for rows in own])
    yield "mean", mean_pooling_forward(h, packing)[0], np.stack([rows.mean(axis=0) for rows in own])
    yield "max", max_pooling_forward(h, packing)[0], np.stack([rows.max(axis=0) for rows in own])
    w = rng.standard_normal(D)
    shares = [np.exp(rows @ w) / np.exp(rows @ w).sum() for rows in own]
    places = zip(packing.sequences, packing.times, strict=True)
    yield "attention's weights", attention_weights(h, w, packing), np.array([shares[n][t] for n, t in places])
    means = np.stack([share @ rows for share, rows in zip(shares, own, strict=True)])
    yield "attention", attention_pooling_forward(h, w, packing)[0], means
    mean = mean_pooling_forward(h, packing)[0]
    yield "attention with a vector of zeros", attention_pooling_forward(h, 0 * w, packing)[0], mean


def _penalties(rng: np.random.Generator) -> Pairs:
    packing = make_packing(np.array(LENGTHS))
    x = rng.standard_normal((N, T, D))
    own = [x[n, : LENGTHS[n]] for n in packing.order]
    squares, changes = (np.concatenate([f(rows).ravel() for rows in own]) for f in (np.square, _changes))
    yield "activation", activation_penalty_forward(pack(x, packing))[0], squares.mean()
    yield "slowness", slowness_penalty_forward(pack(x, packing), packing)[0], np.square(changes).mean()
    alone = make_packing(np.ones(3, np.int64))
    yield "slowness of sequences of one step", slowness_penalty_forward(x[0, :3], alone)[0], np.zeros(())


def _changes(rows: Array) -> Array:
    changes: Array = np.diff(rows, axis=0)
    return changes


def _dropout(rng: np.random.Generator) -> Pairs:
    rate, x = 0.25, rng.standard_normal((20, 4))
    mask = dropout_mask(x.shape, rate, rng, x.dtype)
    kept = mask != 0
    yield "kept", dropout_forward(x, mask)[0][kept], x[kept] / (1 - rate)
    yield "dropped", dropout_forward(x, mask)[0][~kept], np.zeros(np.sum(~kept))


def _losses(rng: np.random.Generator) -> Pairs:
    def nats(scores: Array, label: int) -> float:
        return float(-np.log(np.exp(scores[label]) / np.exp(scores).sum()))

    def mean(values: Sequence[float], weights: Sequence[float]) -> float:
        return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)

    x, y, weights = rng.standard_normal((5, 3)), np.array([2, 0, 1, 2, 2]), rng.uniform(0.5, 2, 5)
    rows = [nats(scores, label) for scores, label in zip(x, y, strict=True)]
    yield "softmax", softmax_loss(x, y)[0], mean(rows, [1] * 5)
    yield "softmax, weighted", softmax_loss(x, y, weights=weights)[0], mean(rows, weights.tolist())

    z, binary_y = x[:, :1], np.array([1, 0, 1, 1, 0])
    # One logit is the softmax over (0, logit).
    rows = [nats(np.array([0, logit]), label) for logit, label in zip(z[:, 0], binary_y, strict=True)]
    yield "binary", binary_loss(z, binary_y)[0], mean(rows, [1] * 5)
    yield "binary, weighted", binary_loss(z, binary_y, weights=weights)[0], mean(rows, weights.tolist())

    smoothing = 0.3  # every class's own loss, by what there is of it in the mixture

    def smoothed(scores: Array, label: int) -> float:
        mixture = (1 - smoothing) * np.eye(len(scores))[label] + smoothing / len(scores)
        return float(sum(part * nats(scores, k) for k, part in enumerate(mixture)))

    rows = [smoothed(scores, label) for scores, label in zip(x, y, strict=True)]
    value = softmax_loss(x, y, weights=weights, smoothing=smoothing)[0]
    yield "softmax, smoothed", value, mean(rows, weights.tolist())
    output = affine_softmax_loss(x, np.eye(3), np.zeros(3), y, 7, 6, smoothing=smoothing)
    yield "output layer, smoothed", output.loss, sum(rows) / 7
    rows = [smoothed(np.array([0, logit]), label) for logit, label in zip(z[:, 0], binary_y, strict=True)]
    yield "binary, smoothed", binary_loss(z, binary_y, smoothing=smoothing)[0], mean(rows, [1] * 5)

    scores, labels = rng.standard_normal((N, T, 3)), rng.integers(0, 3, (N, T))
    mask = np.arange(T) < np.array(LENGTHS)[:, None]
    total = sum(nats(scores[n, t], labels[n, t]) for n in range(N) for t in range(LENGTHS[n]))
    yield "temporal, per sequence", temporal_softmax_loss(scores, labels, mask)[0], total / N
    per_token = temporal_softmax_loss(scores, labels, mask, average="tokens")[0]
    yield "temporal, per token", per_token, total / sum(LENGTHS)


def _sampled(rng: np.random.Generator) -> Pairs:
    x, w, b, y = (
        rng.standard_normal((5, 2)),
        rng.standard_normal((2, 6)),
        rng.standard_normal(6),
        np.array([3, 1] * 2 + [1]),
    )
    full = affine_softmax_loss(x, w, b, y)
    every = draw_classes(np.unique(y), np.ones(6), 6, rng)
    for name, ours, theirs in zip(full._fields, sampled_softmax_loss(x, w, b, y, every), full, strict=True):
        if theirs is not None:
            yield f"all classes drawn, {name}", np.asarray(ours), np.asarray(theirs)
    # Of the classes 0, 2, 4 and 5 two were drawn, each of which stands for two.
    few = Candidates(np.array([1, 2, 3, 5]), np.log([1, 2, 1, 2]))
    scores = np.exp(x @ w + b)
    total = scores[:, 1] + scores[:, 3] + 2 * (scores[:, 2] + scores[:, 5])
    loss = np.mean(np.log(total) - np.log(scores[np.arange(5), y]))
    yield "two of four drawn", sampled_softmax_loss(x, w, b, y, few).loss, loss


CHECKS = (
    IdentityCheck("packing: unpacked = packed, zero beyond each length", _packing),
    IdentityCheck("pooling: packed = each sequence alone", _pooling),
    IdentityCheck("penalties: packed = written out", _penalties),
    IdentityCheck("dropout: kept elements divided by 1 - rate", _dropout),
    IdentityCheck("losses: stable form = written out", _losses),
    IdentityCheck("sampled softmax: of all classes = full, of some = written out", _sampled),
)
