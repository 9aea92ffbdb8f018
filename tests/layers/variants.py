"""Every way to call the sequence functions, under one signature, so that one test serves all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import plain_cells
import pytest

from rnncli import layers

Array = np.ndarray
NAMES = ("x", "h0", "Wx", "Wh", "b")


@dataclass(frozen=True)
class Variant:
    """``forward(*inputs, lengths=, reverse=)`` and ``plain`` likewise; ``backward`` returns grads of ``inputs``."""

    name: str
    gates: int
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    plain: Callable[..., Array]
    extra: str = ""  # the name of the input after b, if there is one

    @property
    def names(self) -> tuple[str, ...]:
        return (*NAMES, self.extra) if self.extra else NAMES


def _lstm_with_c0(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, c0: Array, **options: Any) -> Any:
    return layers.lstm_forward(x, h0, Wx, Wh, b, c0=c0, **options)


def _gru_with_bhn(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array, bhn: Array, **options: Any) -> Any:
    return layers.gru_forward(x, h0, Wx, Wh, b, bhn=bhn, reset="after", **options)


RNN = Variant("rnn", 1, layers.rnn_forward, layers.rnn_backward, plain_cells.rnn)
LSTM = Variant("lstm", 4, layers.lstm_forward, layers.lstm_backward, plain_cells.lstm)
LSTM_C0 = Variant("lstm with c0", 4, _lstm_with_c0, layers.lstm_backward, plain_cells.lstm, "c0")
GRU = Variant("gru", 3, layers.gru_forward, layers.gru_backward, partial(plain_cells.gru, reset="before"))
GRU_AFTER = Variant(
    "gru, reset after",
    3,
    partial(layers.gru_forward, reset="after"),
    layers.gru_backward,
    partial(plain_cells.gru, reset="after"),
)
GRU_AFTER_BHN = Variant(
    "gru, reset after, bhn", 3, _gru_with_bhn, layers.gru_backward, partial(plain_cells.gru, reset="after"), "bhn"
)

ALL = [RNN, LSTM, LSTM_C0, GRU, GRU_AFTER, GRU_AFTER_BHN]
every_variant = pytest.mark.parametrize("variant", ALL, ids=lambda variant: variant.name)
both_ways = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
both_types = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


def draw(
    variant: Variant, N: int, T: int, D: int, H: int, dtype: Any = np.float64, seed: int = 0, scale: float = 0.7
) -> tuple[Array, ...]:
    """Draw inputs large enough that the gates leave their linear range."""
    rng = np.random.default_rng(seed)
    columns = variant.gates * H
    shapes = [(N, T, D), (N, H), (D, columns), (H, columns), (columns,)]
    if variant.extra:
        shapes.append((N, H) if variant.extra == "c0" else (H,))
    return tuple((scale * rng.standard_normal(shape)).astype(dtype) for shape in shapes)


def check_against_plain(variant: Variant, lengths: list[int] | None, reverse: bool) -> None:
    """Compare states and every gradient with the plain loop and its complex-step derivative."""
    inputs = draw(variant, N=3, T=4, D=3, H=2)
    options = {"lengths": lengths, "reverse": reverse}
    h, cache = variant.forward(*inputs, **options)
    np.testing.assert_allclose(h, variant.plain(*inputs, **options), rtol=1e-13, atol=1e-14)
    dh = np.random.default_rng(1).standard_normal(h.shape)
    grads = variant.backward(dh, cache)
    expected = plain_cells.complex_step_gradients(partial(variant.plain, **options), inputs, dh)
    assert len(grads) == len(expected)
    for name, got, want in zip(variant.names, grads, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13, err_msg=f"gradient of {name}")
