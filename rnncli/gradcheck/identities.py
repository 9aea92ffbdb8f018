"""Rows that compute the same thing in two ways: what central differences cannot see.

A forward and a backward pass that are wrong together agree with each other. So each cell is compared with its formula
in the concatenated form, and each way to run a layer with every other way.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from rnncli.gradcheck.cells import (
    LENGTHS,
    TOKENS,
    VARIANTS,
    D,
    H,
    N,
    T,
    Variant,
    draw_sequence,
    draw_step,
    draw_weights,
    sequence,
    sequence_gradients,
    step,
    step_gradients,
)
from rnncli.gradcheck.checks import IdentityCheck, Inputs, Pairs
from rnncli.layers import (
    GRU,
    GRU_RESET_AFTER,
    LSTM,
    RNN,
)
from rnncli.layers.recurrent import recurrent_backward, recurrent_forward
from rnncli.packing import Array, group_rows, make_packing, unpack


def _logistic(a: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-a)))


def _one_matrix(variant: Variant, inputs: Inputs, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """Do one step from the concatenated vector [h, x] and the stacked matrix W = [Wh; Wx]."""
    W, b = np.concatenate([inputs["Wh"], inputs["Wx"]]), inputs["b"]
    hx = np.concatenate([h, x], axis=1)
    if variant.cell is RNN:
        return np.tanh(hx @ W + b), c
    if variant.cell is LSTM:
        i, f, o, g = np.split(hx @ W + b, 4, axis=1)
        c = _logistic(f) * c + _logistic(i) * np.tanh(g)
        return _logistic(o) * np.tanh(c), c
    r, z = np.split(_logistic(hx @ W[:, : 2 * H] + b[: 2 * H]), 2, axis=1)
    W_n, b_n = W[:, 2 * H :], b[2 * H :]
    if variant.cell is GRU:
        n = np.tanh(np.concatenate([r * h, x], axis=1) @ W_n + b_n)
    else:
        n = np.tanh(x @ W_n[H:] + b_n + r * (h @ W_n[:H] + inputs.get("bhn", 0)))
    return (1 - z) * n + z * h, c


def _concatenated(rng: np.random.Generator, *, variant: Variant) -> Pairs:
    inputs = draw_sequence(variant, rng, initial=True)
    h, _ = sequence(variant, inputs)
    state, cell_state = inputs["h0"], inputs.get("c0", np.zeros((N, H)))
    states = []
    for t in range(T):
        state, cell_state = _one_matrix(variant, inputs, inputs["x"][:, t], state, cell_state)
        states.append(state)
    yield "h", h, np.stack(states, axis=1)


def _one_by_one(rng: np.random.Generator, *, variant: Variant, reverse: bool) -> Pairs:
    inputs = draw_sequence(variant, rng, initial=True)
    dh = rng.standard_normal((N, T, H))
    h, cache = sequence(variant, inputs, lengths=LENGTHS, reverse=reverse)
    alone_h = np.zeros_like(h)
    alone = {name: np.zeros_like(value) for name, value in inputs.items()}
    for n, length in enumerate(LENGTHS):
        own = {name: value[n : n + 1] if name in ("h0", "c0") else value for name, value in inputs.items()}
        own["x"] = inputs["x"][n : n + 1, :length]
        own_h, own_cache = sequence(variant, own, reverse=reverse)
        alone_h[n, :length] = own_h[0]
        for name, grad in sequence_gradients(variant, own, dh[n : n + 1, :length], own_cache).items():
            where: Any = (n, slice(length)) if name == "x" else n if name in ("h0", "c0") else ...
            alone[name][where] += grad[0] if name in ("x", "h0", "c0") else grad
    yield "h", h, alone_h
    for name, grad in sequence_gradients(variant, inputs, dh, cache).items():
        yield "d" + name, grad, alone[name]


def _stepwise(rng: np.random.Generator, *, variant: Variant) -> Pairs:
    """Run T steps, each from the last one's states, and back through them."""
    inputs = draw_sequence(variant, rng, initial=True)
    dh = rng.standard_normal((N, T, H))
    h, cache = sequence(variant, inputs)
    own = draw_step(variant, rng)
    own.update({name: inputs[name] for name in own if name in inputs})
    own["prev_h"] = inputs["h0"]
    if variant.cell is LSTM:
        own["prev_c"] = inputs["c0"]
    states, caches = [], []
    flowing: list[Array] = []
    for t in range(T):
        own["x"] = inputs["x"][:, t]
        outs, own_cache = step(variant, own)
        states.append(outs[0])
        caches.append(own_cache)
        own.update(zip(("prev_h", "prev_c"), outs, strict=False))
    yield "h", h, np.stack(states, axis=1)

    grads = {name: np.zeros_like(value) for name, value in inputs.items()}
    flowing = [np.zeros((N, H)) for _ in outs]
    for t in reversed(range(T)):
        part = step_gradients(variant, own, [flowing[0] + dh[:, t], *flowing[1:]], caches[t])
        flowing = [part.pop(name) for name in ("prev_h", "prev_c") if name in part]
        grads["x"][:, t] = part.pop("x")
        for name, grad in part.items():
            grads[name] += grad
    grads.update(zip(("h0", "c0"), flowing, strict=False))
    for name, grad in sequence_gradients(variant, inputs, dh, cache).items():
        yield "d" + name, grad, grads[name]


def _reversed(rng: np.random.Generator, *, variant: Variant) -> Pairs:
    """Compare a layer that runs against time with one that runs along it on reversed sequences."""
    inputs = draw_sequence(variant, rng, initial=True)
    dh = rng.standard_normal((N, T, H))
    times = np.arange(T)
    length = np.array(LENGTHS)[:, None]
    mirror = np.arange(N)[:, None], np.where(times < length, length - 1 - times, times)
    real = (times < length)[:, :, None]
    h, cache = sequence(variant, inputs, lengths=LENGTHS, reverse=True)
    mirrored = {**inputs, "x": inputs["x"][mirror]}
    other_h, other_cache = sequence(variant, mirrored, lengths=LENGTHS)
    yield "h", h, other_h[mirror] * real
    other = sequence_gradients(variant, mirrored, dh[mirror], other_cache)
    other["x"] = other["x"][mirror]
    for name, grad in sequence_gradients(variant, inputs, dh, cache).items():
        yield "d" + name, grad, other[name]


def _reset_forms(rng: np.random.Generator) -> Pairs:
    """Where Whn is diagonal and bhn zero, r * (h Whn) = (r * h) Whn."""
    before, after = Variant("", GRU), Variant("", GRU_RESET_AFTER)
    inputs = draw_sequence(before, rng, initial=True)
    inputs["Wh"][:, 2 * H :] = np.diag(rng.standard_normal(H))
    dh = rng.standard_normal((N, T, H))
    h, cache = sequence(before, inputs, lengths=LENGTHS)
    other_h, other_cache = sequence(after, inputs, lengths=LENGTHS)
    yield "h", h, other_h
    one, other = (
        sequence_gradients(variant, inputs, dh, kept) for variant, kept in ((before, cache), (after, other_cache))
    )
    for grads in (one, other):
        # Moving Whn off its diagonal takes the two forms apart, so only there do their gradients differ.
        grads["Wh"] = np.concatenate([grads["Wh"][:, : 2 * H], np.diag(np.diag(grads["Wh"][:, 2 * H :]))], axis=1)
    for name, grad in one.items():
        yield "d" + name, grad, other[name]


def _packed_call(variant: Variant, rng: np.random.Generator) -> tuple[Any, Any, Any, Any, tuple[Any, ...], Any]:
    """Draw packing, groups, distinct rows, weights and initial states for the packed functions."""
    packing, groups = make_packing(np.array(LENGTHS)), group_rows(np.array(TOKENS))
    x = rng.standard_normal((len(groups.values), D))
    weights = tuple(draw_weights(variant.cell, D, rng, bhn=variant.cell is GRU_RESET_AFTER).values())
    h0 = rng.standard_normal((N, H))
    c0 = rng.standard_normal((N, H)) if variant.cell.has_cell_state else None
    return packing, groups, x, h0, weights, c0


def _grouped(rng: np.random.Generator, *, variant: Variant) -> Pairs:
    packing, groups, x, h0, weights, c0 = _packed_call(variant, rng)
    dh = rng.standard_normal((packing.rows, H))
    h, _, _, cache = recurrent_forward(variant.cell, x, packing, h0, *weights, c0=c0, groups=groups)
    every, _, _, every_cache = recurrent_forward(variant.cell, x[groups.index], packing, h0, *weights, c0=c0)
    assert cache is not None
    assert every_cache is not None
    yield "h", h, every
    grads, other = recurrent_backward(dh, cache), recurrent_backward(dh, every_cache)
    summed = np.zeros_like(x)
    np.add.at(summed, groups.index, other[0])
    yield "dx", grads[0], summed
    names = ("dh0", "dc0", "dWx", "dWh", "db")
    yield from zip(names, grads[1:6], other[1:6], strict=True)
    yield from (("dbhn", a, b) for a, b in zip(grads[6], other[6], strict=True))


def _not_kept(rng: np.random.Generator, *, variant: Variant, reverse: bool) -> Pairs:
    packing, groups, x, h0, weights, c0 = _packed_call(variant, rng)
    kept, not_kept = (
        recurrent_forward(variant.cell, x, packing, h0, *weights, c0=c0, groups=groups, reverse=reverse, keep=keep)
        for keep in (True, False)
    )
    yield "h", kept[0], not_kept[0]
    yield "final h", kept[1], not_kept[1]
    if variant.cell.has_cell_state:
        yield "final c", kept[2], not_kept[2]


def _masked(rng: np.random.Generator, *, variant: Variant, reverse: bool) -> Pairs:
    """Recurrent dropout: a mask of a sequence's state is as good as one of the rows of Wh, for that sequence alone."""
    packing, groups, x, h0, weights, c0 = _packed_call(variant, rng)
    mask = rng.integers(0, 2, (N, H)) * 1.25
    cell, rows = variant.cell, x[groups.index]
    h, final_h, _, _ = recurrent_forward(cell, rows, packing, h0, *weights, c0=c0, reverse=reverse, state_mask=mask)
    for n, length in enumerate(packing.lengths):
        own, alone = packing.sequences == n, make_packing(np.array([length]))
        Wx, Wh, *more = weights
        initial = None if c0 is None else c0[n : n + 1]
        given = (Wx, mask[n][:, None] * Wh, *more)
        states, final, _, _ = recurrent_forward(
            cell, rows[own], alone, h0[n : n + 1], *given, c0=initial, reverse=reverse
        )
        yield f"h of sequence {n}", h[own], states
        yield f"final h of sequence {n}", final_h[n], final[0]


def _finals(rng: np.random.Generator, *, variant: Variant) -> Pairs:
    """Each sequence's final state is its state after its own last step, forward and reverse."""
    packing, groups, x, h0, weights, c0 = _packed_call(variant, rng)
    for reverse in (False, True):
        h, final_h, _, _ = recurrent_forward(
            variant.cell, x, packing, h0, *weights, c0=c0, groups=groups, reverse=reverse
        )
        padded = unpack(h, packing, T)
        last = padded[:, 0] if reverse else padded[np.arange(N), np.array(LENGTHS) - 1]
        yield f"final h{', reverse' if reverse else ''}", final_h, last[packing.order]


def _rows(variant: Variant) -> Iterator[IdentityCheck]:
    name = variant.name
    yield IdentityCheck(f"{name}: concatenated form = split form", partial(_concatenated, variant=variant))
    yield IdentityCheck(f"{name}: step by step = sequence", partial(_stepwise, variant=variant))
    alone = partial(_one_by_one, variant=variant)
    yield IdentityCheck(f"{name}: each sequence alone = ragged batch", partial(alone, reverse=False))
    yield IdentityCheck(f"{name}: each sequence alone = ragged batch, reverse", partial(alone, reverse=True))
    yield IdentityCheck(f"{name}: reverse = forward on reversed sequences", partial(_reversed, variant=variant))
    if variant.cell is GRU_RESET_AFTER and not variant.bhn:
        return  # packed functions always take a bhn
    yield IdentityCheck(f"{name}: distinct tokens = looked-up rows", partial(_grouped, variant=variant))
    masked = partial(_masked, variant=variant)
    yield IdentityCheck(f"{name}: masked states = masked weights", partial(masked, reverse=False))
    yield IdentityCheck(f"{name}: masked states = masked weights, reverse", partial(masked, reverse=True))
    yield IdentityCheck(f"{name}: scoring = training forward", partial(_not_kept, variant=variant, reverse=False))
    yield IdentityCheck(
        f"{name}: scoring = training forward, reverse", partial(_not_kept, variant=variant, reverse=True)
    )
    yield IdentityCheck(f"{name}: final state = state after the last real step", partial(_finals, variant=variant))


CHECKS = (
    *(row for variant in VARIANTS for row in _rows(variant)),
    IdentityCheck("gru: reset before = after where Whn is diagonal", _reset_forms),
)
