"""The rows of the recurrent layers: every cell as a step, over sequences, on packed rows, and stacked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rnncli.gradcheck.checks import Case, GradientCheck, Inputs
from rnncli.layers import (
    GRU,
    GRU_RESET_AFTER,
    LSTM,
    RNN,
    gru_backward,
    gru_forward,
    gru_step_backward,
    gru_step_forward,
    lstm_backward,
    lstm_forward,
    lstm_step_backward,
    lstm_step_forward,
    rnn_backward,
    rnn_forward,
    rnn_step_backward,
    rnn_step_forward,
)
from rnncli.layers.gru import Reset
from rnncli.layers.recurrent import Cell, recurrent_backward, recurrent_forward
from rnncli.packing import Array, group_rows, make_packing

# All four differ, so that a gradient of a transposed shape is noticed; a length of 1 is in the batch, and the
# longest sequence is neither first nor last.
N, T, D, H = 4, 4, 3, 2
LENGTHS = (3, 1, 4, 2)
# The token of each of the 10 rows: 4 distinct ones, one of them in half of the rows.
TOKENS = (7, 2, 7, 7, 5, 7, 2, 9, 7, 5)


@dataclass(frozen=True)
class Variant:
    """A cell with the options that decide its formulas; ``bhn`` tells whether that bias is given."""

    name: str
    cell: Cell
    bhn: bool = False


VARIANTS = (
    Variant("rnn", RNN),
    Variant("lstm", LSTM),
    Variant("gru", GRU),
    Variant("gru reset after", GRU_RESET_AFTER),
    Variant("gru reset after, bhn", GRU_RESET_AFTER, bhn=True),
)


def draw_weights(cell: Cell, D: int, rng: np.random.Generator, *, bhn: bool = False) -> Inputs:
    """Draw weights large enough that the gates leave their linear range, and small enough that none saturates."""
    G = cell.gates
    shapes: dict[str, tuple[int, ...]] = {"Wx": (D, G * H), "Wh": (H, G * H), "b": (G * H,)}
    if bhn:
        shapes["bhn"] = (H,)
    return {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}


def sequence(variant: Variant, inputs: Inputs, **options: Any) -> tuple[Array, Any]:
    """Call the (N, T, D) function of a variant; inputs are x, h0, Wx, Wh, b and what the variant adds."""
    positional = [inputs[name] for name in ("x", "h0", "Wx", "Wh", "b")]
    if variant.cell is RNN:
        return rnn_forward(*positional, **options)
    if variant.cell is LSTM:
        return lstm_forward(*positional, c0=inputs.get("c0"), **options)
    reset: Reset = "after" if variant.cell is GRU_RESET_AFTER else "before"
    return gru_forward(*positional, reset=reset, bhn=inputs.get("bhn"), **options)


def sequence_gradients(variant: Variant, inputs: Inputs, dh: Array, cache: Any) -> Inputs:
    """Call its backward function and name the gradients."""
    if variant.cell is RNN:
        backward: Any = rnn_backward
    else:
        backward = lstm_backward if variant.cell is LSTM else gru_backward
    return dict(zip(inputs, backward(dh, cache), strict=True))


def draw_sequence(variant: Variant, rng: np.random.Generator, *, initial: bool, width: int = D) -> Inputs:
    """Draw the inputs of a (N, T, D) function, in the order of its gradients."""
    x = rng.standard_normal((N, T, width))
    h0 = 0.5 * rng.standard_normal((N, H)) if initial else np.zeros((N, H))
    inputs = {"x": x, "h0": h0, **draw_weights(variant.cell, width, rng, bhn=variant.bhn)}
    if initial and variant.cell is LSTM:
        inputs["c0"] = 0.5 * rng.standard_normal((N, H))
    return inputs


def _sequence_case(
    variant: Variant,
    rng: np.random.Generator,
    *,
    lengths: Sequence[int] | None = None,
    reverse: bool = False,
    initial: bool = False,
    width: int = D,
) -> Case:
    inputs = draw_sequence(variant, rng, initial=initial, width=width)

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        h, cache = sequence(variant, inputs, lengths=lengths, reverse=reverse)
        return [h], cache

    return Case(inputs, forward, lambda douts, cache: sequence_gradients(variant, inputs, douts[0], cache))


def step(variant: Variant, inputs: Inputs) -> tuple[list[Array], Any]:
    """Call the step function of a variant; the outputs are next_h and, of an LSTM, next_c."""
    given = list(inputs.values())
    if variant.cell is LSTM:
        next_h, next_c, cache = lstm_step_forward(*given)
        return [next_h, next_c], cache
    if variant.cell is RNN:
        next_h, cache = rnn_step_forward(*given)
    else:
        reset: Reset = "after" if variant.cell is GRU_RESET_AFTER else "before"
        next_h, cache = gru_step_forward(*given[:5], reset=reset, bhn=inputs.get("bhn"))
    return [next_h], cache


def step_gradients(variant: Variant, inputs: Inputs, douts: Sequence[Array], cache: Any) -> Inputs:
    """Call its backward function and name the gradients."""
    if variant.cell is LSTM:
        grads: Sequence[Array] = lstm_step_backward(douts[0], douts[1], cache)
    else:
        grads = (rnn_step_backward if variant.cell is RNN else gru_step_backward)(douts[0], cache)
    return dict(zip(inputs, grads, strict=True))


def draw_step(variant: Variant, rng: np.random.Generator) -> Inputs:
    """Draw the inputs of a step function, in the order of its gradients."""
    names = ("prev_h", "prev_c") if variant.cell is LSTM else ("prev_h",)
    states = {name: 0.7 * rng.standard_normal((N, H)) for name in names}
    return {"x": rng.standard_normal((N, D)), **states, **draw_weights(variant.cell, D, rng, bhn=variant.bhn)}


def _step_case(variant: Variant, rng: np.random.Generator) -> Case:
    inputs = draw_step(variant, rng)
    return Case(inputs, partial(step, variant), partial(step_gradients, variant, inputs))


def _packed_case(variant: Variant, rng: np.random.Generator, *, reverse: bool, masked: bool = False) -> Case:
    """Distinct tokens' inputs, initial states given, and a loss that reads the final states besides all others."""
    cell, packing, groups = variant.cell, make_packing(np.array(LENGTHS)), group_rows(np.array(TOKENS))
    states = ("h0", "c0") if cell.has_cell_state else ("h0",)
    inputs = {
        "x": rng.standard_normal((len(groups.values), D)),
        **{name: 0.5 * rng.standard_normal((N, H)) for name in states},
        # The reset-after cell always takes bhn here; where the variant does not give it, it is zero.
        **draw_weights(cell, D, rng, bhn=cell is GRU_RESET_AFTER),
    }
    if cell is GRU_RESET_AFTER and not variant.bhn:
        inputs["bhn"] = np.zeros(H)
    mask = np.array([[0.0, 1.6], [1.6, 1.6], [1.6, 0.0], [0.0, 0.0]]) if masked else None

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        x, h0, Wx, Wh, b = (inputs[name] for name in ("x", "h0", "Wx", "Wh", "b"))
        more = [inputs["bhn"]] if "bhn" in inputs else []
        c0 = inputs.get("c0")
        h, final_h, final_c, cache = recurrent_forward(
            cell, x, packing, h0, Wx, Wh, b, *more, groups=groups, c0=c0, reverse=reverse, state_mask=mask
        )
        return [h, final_h] if final_c is None else [h, final_h, final_c], cache

    def backward(douts: Sequence[Array], cache: Any) -> Inputs:
        dfinal_c = douts[2] if cell.has_cell_state else None
        dx, dh0, dc0, dWx, dWh, db, dmore = recurrent_backward(douts[0], cache, dfinal_h=douts[1], dfinal_c=dfinal_c)
        dstates = [dh0, dc0] if cell.has_cell_state else [dh0]
        return dict(zip(inputs, [dx, *dstates, dWx, dWh, db, *dmore], strict=True))

    return Case(inputs, forward, backward)


def _stacked_case(variant: Variant, rng: np.random.Generator, *, layers: int, reverses: Sequence[bool]) -> Case:
    """Layers of one or both directions on ragged rows, the states of both directions side by side."""
    cell, packing = variant.cell, make_packing(np.array(LENGTHS))
    h0 = np.zeros((N, H))
    inputs: Inputs = {"x": rng.standard_normal((packing.rows, D))}
    keys = [[f"{layer}.{'bwd' if reverse else 'fwd'}." for reverse in reverses] for layer in range(layers)]
    names: list[str] = []
    for layer in range(layers):
        for key in keys[layer]:
            width = len(reverses) * H if layer else D
            weights = draw_weights(cell, width, rng, bhn=cell is GRU_RESET_AFTER)
            names = list(weights)
            inputs.update({key + name: weight for name, weight in weights.items()})

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        x, caches = inputs["x"], []
        for layer in range(layers):
            halves = []
            for key, reverse in zip(keys[layer], reverses, strict=True):
                weights = [inputs[key + name] for name in names]
                h, _, _, cache = recurrent_forward(cell, x, packing, h0, *weights, reverse=reverse)
                halves.append(h)
                caches.append(cache)
            x = np.concatenate(halves, axis=1)
        return [x], caches

    def backward(douts: Sequence[Array], caches: Any) -> Inputs:
        grads: Inputs = {}
        dx, left = douts[0], list(caches)
        for layer in reversed(range(layers)):
            dinput: Any = 0
            for d in reversed(range(len(reverses))):
                part = dx[:, d * H : (d + 1) * H]
                dhalf, _, _, dWx, dWh, db, dmore = recurrent_backward(part, left.pop())
                grads.update({keys[layer][d] + name: g for name, g in zip(names, (dWx, dWh, db, *dmore), strict=True)})
                dinput = dinput + dhalf
            dx = dinput
        return {"x": dx, **grads}

    return Case(inputs, forward, backward)


def _rows(variant: Variant) -> list[GradientCheck]:
    name = variant.name
    rows = [
        GradientCheck(f"{name}: step", partial(_step_case, variant)),
        GradientCheck(f"{name}: sequence", partial(_sequence_case, variant)),
        GradientCheck(f"{name}: sequence, ragged", partial(_sequence_case, variant, lengths=LENGTHS)),
        GradientCheck(
            f"{name}: sequence, ragged, initial states",
            partial(_sequence_case, variant, lengths=LENGTHS, initial=True),
        ),
        GradientCheck(
            f"{name}: sequence, ragged, initial states, reverse",
            partial(_sequence_case, variant, lengths=LENGTHS, initial=True, reverse=True),
        ),
    ]
    if variant.cell is RNN:
        # Inputs as wide as the state: a Wx that ought to be transposed is square here, and fits without.
        row = partial(_sequence_case, variant, initial=True, width=H)
        rows.append(GradientCheck(f"{name}: sequence, square Wx", row))
    both = (False, True)
    rows += [
        GradientCheck(
            f"{name}: packed, distinct tokens, final states{', reverse' if reverse else ''}",
            partial(_packed_case, variant, reverse=reverse),
            limit=16,
        )
        for reverse in both
    ]
    rows += [
        GradientCheck(
            f"{name}: packed, recurrent dropout{', reverse' if reverse else ''}",
            partial(_packed_case, variant, reverse=reverse, masked=True),
            limit=16,
        )
        for reverse in both
    ]
    if variant.cell is GRU_RESET_AFTER and not variant.bhn:
        return rows  # the stacks of the reset-after cell always have a bhn
    stacks: tuple[tuple[str, int, tuple[bool, ...]], ...] = (
        ("two layers", 2, (False,)),
        ("bidirectional", 1, both),
        ("two layers, bidirectional", 2, both),
    )
    rows += [
        GradientCheck(f"{name}: {what}", partial(_stacked_case, variant, layers=layers, reverses=reverses), limit=12)
        for what, layers, reverses in stacks
    ]
    return rows


CHECKS = tuple(row for variant in VARIANTS for row in _rows(variant))
