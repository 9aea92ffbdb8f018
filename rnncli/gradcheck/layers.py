"""The rows of all other layers: affine maps, embedding, dropout, pooling and losses."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rnncli.gradcheck.cells import LENGTHS
from rnncli.gradcheck.checks import Case, GradientCheck, Inputs
from rnncli.layers import (
    activation_penalty_backward,
    activation_penalty_forward,
    affine_backward,
    affine_forward,
    attention_pooling_backward,
    attention_pooling_forward,
    bag_backward,
    bag_forward,
    binary_loss,
    dropout_backward,
    dropout_forward,
    dropout_mask,
    last_pooling_backward,
    last_pooling_forward,
    max_pooling_backward,
    max_pooling_forward,
    mean_pooling_backward,
    mean_pooling_forward,
    slowness_penalty_backward,
    slowness_penalty_forward,
    softmax_loss,
    temporal_affine_backward,
    temporal_affine_forward,
    temporal_softmax_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from rnncli.layers.losses import masked_softmax_loss
from rnncli.layers.output import affine_softmax_loss
from rnncli.layers.sampled import draw_classes, sampled_softmax_loss
from rnncli.packing import LARGE_GROUP, Array, make_packing


def _case(
    inputs: Inputs, forward: Callable[..., tuple[Array, Any]], backward: Callable[[Array, Any], Any], *fixed: Any
) -> Case:
    """Wrap a pair of functions of one output whose fixed arguments come last."""

    def gradients(douts: Sequence[Array], cache: Any) -> Inputs:
        grads = backward(douts[0], cache)
        return dict(zip(inputs, grads if isinstance(grads, tuple) else (grads,), strict=True))

    def outputs(inputs: Inputs) -> tuple[list[Array], Any]:
        out, cache = forward(*inputs.values(), *fixed)
        return [out], cache

    return Case(inputs, outputs, gradients)


def _affine(rng: np.random.Generator, *, shape: tuple[int, ...]) -> Case:
    # More inputs than outputs and more rows than either: no two of the sizes are the same.
    inputs: Inputs = {name: rng.standard_normal(size) for name, size in (("x", shape), ("w", (3, 2)), ("b", (2,)))}
    if len(shape) == 2:
        return _case(inputs, affine_forward, affine_backward)
    return _case(inputs, temporal_affine_forward, temporal_affine_backward)


def _embedding(rng: np.random.Generator) -> Case:
    # Groups just above, exactly at and below the size where the way of summing changes, and a token that is absent.
    tokens = np.repeat([4, 0, 2, 5], [LARGE_GROUP + 2, LARGE_GROUP, 5, 1])
    ids = rng.permutation(tokens).reshape(5, -1)

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        out, cache = word_embedding_forward(ids, inputs["W"])
        return [out], cache

    inputs: Inputs = {"W": rng.standard_normal((6, 2))}
    return Case(inputs, forward, lambda douts, cache: {"W": word_embedding_backward(douts[0], cache)})


def _bag(rng: np.random.Generator, *, weighted: bool) -> Case:
    # Rows that several sequences have, and one twice; a row that none has; a sequence without any.
    rows, sequences = np.array([4, 0, 2, 4, 4, 0, 5]), np.array([0, 0, 0, 1, 1, 3, 3])
    values = rng.standard_normal((7, 2)) if weighted else None
    inputs: Inputs = {"W": rng.standard_normal((6, 2))}
    return _case(inputs, lambda W: bag_forward(rows, sequences, 4, values, W), bag_backward)


def _dropout(rng: np.random.Generator) -> Case:
    mask = dropout_mask((4, 3), 0.4, rng, np.dtype(np.float64))
    return _case({"x": rng.standard_normal((4, 3))}, dropout_forward, dropout_backward, mask)


_POOLINGS: dict[str, tuple[Callable[..., tuple[Array, Any]], Callable[[Array, Any], Array]]] = {
    "last": (last_pooling_forward, last_pooling_backward),
    "last, reverse": (partial(last_pooling_forward, reverse=True), last_pooling_backward),
    "mean": (mean_pooling_forward, mean_pooling_backward),
    "max": (max_pooling_forward, max_pooling_backward),
}


def _pooling(rng: np.random.Generator, *, name: str) -> Case:
    packing = make_packing(np.array(LENGTHS))
    # Values a tenth apart: no step of the difference reaches the kink where another one becomes the largest.
    h = rng.permutation(np.arange(packing.rows * 3) / 10 - 1).reshape(packing.rows, 3)
    return _case({"h": h}, *_POOLINGS[name], packing)


def _attention(rng: np.random.Generator) -> Case:
    packing = make_packing(np.array(LENGTHS))
    inputs: Inputs = {"h": rng.standard_normal((packing.rows, 3)), "w": rng.standard_normal(3)}
    return _case(inputs, attention_pooling_forward, attention_pooling_backward, packing)


def _penalty(rng: np.random.Generator, *, slowness: bool, share: int | None) -> Case:
    packing = make_packing(np.array(LENGTHS))
    if slowness:
        forward = partial(slowness_penalty_forward, packing=packing, changes=share)
        return _case({"h": rng.standard_normal((packing.rows, 3))}, forward, slowness_penalty_backward)
    forward = partial(activation_penalty_forward, rows=share)
    return _case({"h": rng.standard_normal((packing.rows, 3))}, forward, activation_penalty_backward)


def _loss(rng: np.random.Generator, *, shape: tuple[int, ...], loss: Callable[[Array], tuple[float, Array]]) -> Case:
    """Wrap a loss, which gives its gradient along with its value."""

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        value, dx = loss(inputs["x"])
        return [np.array(value)], dx

    return Case({"x": 2 * rng.standard_normal(shape)}, forward, lambda douts, dx: {"x": douts[0] * dx})


def _softmax(rng: np.random.Generator, *, weighted: bool, smoothing: float = 0.0) -> Case:
    y = np.array([2, 0, 1, 2, 2])
    # Weights by class and by row at once: what a weighted text of a weighted class counts.
    weights = np.array([0.5, 3.0, 1.25])[y] * rng.uniform(0.5, 2, 5) if weighted else None
    return _loss(rng, shape=(5, 3), loss=partial(softmax_loss, y=y, weights=weights, smoothing=smoothing))


def _binary(rng: np.random.Generator, *, weighted: bool, smoothing: float = 0.0) -> Case:
    y = np.array([1, 0, 1, 1, 0])
    weights = np.array([0.5, 3.0])[y] * rng.uniform(0.5, 2, 5) if weighted else None
    return _loss(rng, shape=(5, 1), loss=partial(binary_loss, y=y, weights=weights, smoothing=smoothing))


def _temporal(rng: np.random.Generator, *, average: Any) -> Case:
    mask = np.arange(4) < np.array(LENGTHS)[:, None]
    mask[0, 1] = False  # a hole, besides the padding at the end
    y = rng.integers(0, 3, (4, 4))
    return _loss(rng, shape=(4, 4, 3), loss=partial(temporal_softmax_loss, y=y, mask=mask, average=average))


def _output(
    rng: np.random.Generator, *, block: int, count: int | None, transposed: bool, smoothing: float = 0.0
) -> Case:
    """Wrap an output layer with its loss, whose gradients come along with it."""
    y = rng.integers(0, 4, 7)
    shapes = {"x": (7, 3), "w": (4, 3) if transposed else (3, 4), "b": (4,)}

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        x, w, b = inputs.values()
        found = affine_softmax_loss(x, w.T if transposed else w, b, y, count, block, smoothing=smoothing)
        return [np.array(found.loss)], found

    def backward(douts: Sequence[Array], found: Any) -> Inputs:
        dw = found.dw.T if transposed else found.dw
        return {"x": douts[0] * found.dx, "w": douts[0] * dw, "b": douts[0] * found.db}

    return Case({name: rng.standard_normal(shape) for name, shape in shapes.items()}, forward, backward)


def _sampled(rng: np.random.Generator, *, transposed: bool) -> Case:
    """Wrap an output layer of 9 classes of which 3 come and 2 are drawn; a loss that is not over all of them."""
    y = rng.permutation([5, 5, 2, 8, 2, 5, 8])
    candidates = draw_classes(np.unique(y), rng.uniform(1, 4, 9), 2, rng)
    shapes = {"x": (7, 3), "w": (9, 3) if transposed else (3, 9), "b": (9,)}

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        x, w, b = inputs.values()
        found = sampled_softmax_loss(x, w.T if transposed else w, b, y, candidates, 11)
        return [np.array(found.loss)], found

    def backward(douts: Sequence[Array], found: Any) -> Inputs:
        dw, db = np.zeros((3, 9)), np.zeros(9)
        dw[:, found.classes], db[found.classes] = found.dw, found.db
        return {"x": douts[0] * found.dx, "w": douts[0] * (dw.T if transposed else dw), "b": douts[0] * db}

    return Case({name: rng.standard_normal(shape) for name, shape in shapes.items()}, forward, backward)


def _masked(rng: np.random.Generator) -> Case:
    mask = np.array([True, False, True, True, False])
    y = np.array([2, 9, 1, 0, 3])  # where it does not count, a class may be none of them
    return _loss(rng, shape=(5, 3), loss=partial(masked_softmax_loss, y=y, mask=mask, count=4))


CHECKS = (
    GradientCheck("affine", partial(_affine, shape=(4, 3))),
    GradientCheck("temporal affine", partial(_affine, shape=(4, 5, 3)), limit=60),
    GradientCheck("embedding, frequent and absent tokens", _embedding),
    GradientCheck("bag of features", partial(_bag, weighted=False)),
    GradientCheck("bag of features, each with a value", partial(_bag, weighted=True)),
    GradientCheck("dropout, mask fixed", _dropout),
    *(GradientCheck(f"pooling, ragged: {name}", partial(_pooling, name=name)) for name in _POOLINGS),
    GradientCheck("pooling, ragged: attention", _attention),
    GradientCheck("activation penalty", partial(_penalty, slowness=False, share=None)),
    GradientCheck("activation penalty, a part of a batch", partial(_penalty, slowness=False, share=29)),
    GradientCheck("slowness penalty, ragged", partial(_penalty, slowness=True, share=None)),
    GradientCheck("slowness penalty, a part of a batch", partial(_penalty, slowness=True, share=29)),
    GradientCheck("softmax loss", partial(_softmax, weighted=False)),
    GradientCheck("softmax loss, class and row weights", partial(_softmax, weighted=True)),
    GradientCheck("binary loss", partial(_binary, weighted=False)),
    GradientCheck("binary loss, class and row weights", partial(_binary, weighted=True)),
    GradientCheck("temporal loss, per sequence, masked", partial(_temporal, average="batch")),
    GradientCheck("temporal loss, per token, masked", partial(_temporal, average="tokens")),
    GradientCheck("softmax loss of some rows", _masked),
    GradientCheck("softmax loss, smoothed, weighted", partial(_softmax, weighted=True, smoothing=0.2)),
    GradientCheck("binary loss, smoothed, weighted", partial(_binary, weighted=True, smoothing=0.2)),
    GradientCheck("output layer with its loss", partial(_output, block=1000, count=None, transposed=False)),
    GradientCheck("output layer, in blocks, tied", partial(_output, block=9, count=11, transposed=True)),
    GradientCheck("output layer, smoothed", partial(_output, block=9, count=11, transposed=False, smoothing=0.2)),
    GradientCheck("output layer, some classes", partial(_sampled, transposed=False), limit=30),
    GradientCheck("output layer, some classes, tied", partial(_sampled, transposed=True), limit=30),
)
