"""Pictures of a :class:`rnncli.gate_traces.Trace`: gates as heat maps, gradients by step as curves."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.errors import shown_on_one_line
from rnncli.gate_traces import LayerTrace, Trace
from rnncli.packing import Array
from rnncli.pictures import BLUE, GREEN, INK, ORANGE, RED, VIOLET, inline_svg, new_figure, subplots

# For the page. As wide as it is; wider than a phone, where they are scrolled, which keeps the words readable.
STYLE = """
.steps svg { min-width: 44rem; }
.steps image { image-rendering: pixelated; }
"""

MEANINGS = {
    "lstm": {
        "i": "input gate",
        "f": "forget gate (1 keeps)",
        "o": "output gate",
        "g": "candidate",
        "c": "cell state",
        "h": "state",
    },
    "gru": {"r": "reset gate", "z": "update gate (1 keeps)", "n": "candidate", "h": "state"},
    "rnn": {"h": "state"},
}
MOST_WORDS = 60  # on an axis; of more, every so many are counted instead

# Between the page's colours for light and for dark, so that one picture does for both; what is near zero lets the
# paper through.
_FOR, _AGAINST = (52, 132, 205), (220, 116, 20)


def gates_svg(layer: LayerTrace, tokens: Sequence[str], title: str) -> str:
    """Draw the gates and states of a layer: a row of pixels for each unit, a column for each step.

    Parameters
    ----------
    layer : LayerTrace
        What to draw.
    tokens : sequence of str
        The token of each step.
    title : str
        For those who can't see it; unlike that of any other picture of the page.

    Returns
    -------
    str
        An SVG element. The units are in the order of :attr:`LayerTrace.unit_order` throughout.
    """
    names, order = list(layer.values), layer.unit_order
    figure = new_figure(9.6, 0.7 + 1.35 * len(names) + 0.05 * max(map(len, _labels(tokens))))
    axes = subplots(figure, len(names), 1, squeeze=False, sharex=True)[:, 0]
    meanings = MEANINGS[_cell_name(layer)]
    for axis, name in zip(axes, names, strict=True):
        values = layer.values[name][:, order].T
        # A hundredth of the values may lie beyond what gets the full colour, lest a few of them pale the rest.
        bound = 1.0 if name in layer.sigmoids else float(np.quantile(np.abs(values), 0.99)) or 1.0
        axis.imshow(_coloured(values / bound), aspect="auto", interpolation="none")
        scale = "0 clear, 1 blue" if name in layer.sigmoids else f"blue to +{bound:.2g}, orange to -{bound:.2g}"
        axis.set_title(f"{name}  {meanings[name]}: {scale}", loc="left", fontsize=9, color=INK)
        axis.set_yticks([])
        axis.set_ylabel(f"{values.shape[0]} units", fontsize=8)
        axis.grid(visible=False)
    _mark_steps(axes[-1], tokens)
    return _drawn(figure, title)


def gradients_svg(trace: Trace, tokens: Sequence[str], title: str) -> str:
    """Draw the norm of the gradient by each step's input and states, on a logarithmic scale.

    Parameters
    ----------
    trace : Trace
        What to draw.
    tokens : sequence of str
        The token of each step.
    title : str
        For those who can't see it.

    Returns
    -------
    str
        An SVG element.
    """
    figure = new_figure(9.6, 3.4 + 0.05 * max(map(len, _labels(tokens))))
    axis = subplots(figure)
    curves = [("input |dx|", trace.input_gradient_norms)]
    curves += [(f"{layer.name} |dh|", layer.gradient_norms) for layer in trace.layers]
    colours, dashes = (INK, BLUE, ORANGE, GREEN, VIOLET, RED), ("-", "--", "-.", ":")
    for number, (name, norms) in enumerate(curves):
        shown = np.where(norms > 0, norms, np.nan)
        colour, dash = colours[number % len(colours)], dashes[number % len(dashes)]
        axis.plot(np.arange(len(norms)), shown, dash, color=colour, label=name, marker="." if len(norms) < 3 else "")
    if any((norms > 0).any() for _, norms in curves):
        axis.set_yscale("log")
    axis.set_ylabel("gradient of the log-odds")
    axis.legend(fontsize=8)
    _mark_steps(axis, tokens)
    return _drawn(figure, title)


def _cell_name(layer: LayerTrace) -> str:
    return "lstm" if "c" in layer.values else "gru" if "z" in layer.values else "rnn"


def _coloured(values: Array) -> Any:
    """Return values from -1 to 1 as pixels: the sign is the colour, the size how much of it there is."""
    pixels = np.empty((*values.shape, 4), np.uint8)
    pixels[..., :3] = np.where(values[..., None] < 0, _AGAINST, _FOR)
    pixels[..., 3] = 17 * np.round(15 * np.minimum(np.abs(values), 1))  # sixteen shades: a quarter of the bytes
    return pixels


def _labels(tokens: Sequence[str]) -> list[str]:
    """Return what stands below each step, if the words do."""
    if len(tokens) > MOST_WORDS:
        return [""]
    # A dollar sign would begin a formula.
    short = [token if len(token) <= 16 else token[:15] + "\N{HORIZONTAL ELLIPSIS}" for token in tokens]
    return [shown_on_one_line(token).replace("$", r"\$") for token in short]


def _mark_steps(axis: Any, tokens: Sequence[str]) -> None:
    if len(tokens) > MOST_WORDS:
        axis.set_xlabel("step")
        every = -(-len(tokens) // 100) * 10
        places = [0, *range(every - 1, len(tokens), every)]
        axis.set_xticks(places, [str(place + 1) for place in places])
    else:
        axis.set_xticks(np.arange(len(tokens)), _labels(tokens), rotation=90, fontsize=8)
    axis.set_xlim(-0.5, len(tokens) - 0.5)


def _drawn(figure: Any, title: str) -> str:
    with warnings.catch_warnings():
        # Words stay words in the SVG and get the reader's font; only their width is guessed without it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return inline_svg(figure, title)
