"""Pictures of gates and gradients."""

import base64
import io
import re

import numpy as np
import pytest
from made_models import CELLS, classifier
from matplotlib.image import imread

from rnncli.explaining import explain
from rnncli.gate_pictures import MOST_WORDS, gates_svg, gradients_svg

TEXT = "good film is $5 & bad $9 \u65e5\u672c <b> n't"


def traced(cell, text=TEXT, directions=1):
    explanation = explain(classifier(cell, directions), text)
    return explanation.trace(), explanation.tokens


def images(svg):
    """The images of an SVG, each (units, steps, 4)."""
    found = re.findall(r'href="data:image/png;base64,\s*([^"]+)"', svg)
    return [imread(io.BytesIO(base64.b64decode(data))) for data in found]


@pytest.mark.parametrize(
    ("cell", "titles"),
    [
        (CELLS[0], ["h  state"]),
        (
            CELLS[1],
            ["i  input gate: 0 clear, 1 blue", "f  forget gate", "o  output gate", "g  cand", "c  cell", "h  state"],
        ),
        (CELLS[3], ["r  reset gate", "z  update gate", "n  candidate", "h  state"]),
    ],
    ids=str,
)
def test_a_picture_has_a_heat_map_of_each_gate_and_state(cell, titles):
    trace, tokens = traced(cell)
    svg = gates_svg(trace.layers[0], tokens, "gates")
    assert svg.count("<image ") == len(titles)
    for title in titles:
        assert f">{title}" in svg
    assert [image.shape for image in images(svg)] == [(5, len(tokens), 4)] * len(titles)
    for word in ("good", "n't", "\u65e5\u672c", "&amp;", "$", "5"):
        assert f">{word}</text>" in svg, word


def test_the_sign_is_the_colour_and_the_size_how_much_of_it_there_is():
    trace, tokens = traced(CELLS[1])
    layer = trace.layers[0]
    shown = images(gates_svg(layer, tokens, "gates"))
    for name, image in zip(layer.values, shown, strict=True):
        values = layer.values[name][:, layer.unit_order].T
        seen = image[..., 3] > 0
        assert seen.any()
        assert ((image[..., 2] > image[..., 0]) == (values > 0))[seen].all()  # more blue than red
        assert np.corrcoef(image[..., 3].ravel(), np.abs(values).ravel())[0, 1] > 0.98
    assert (layer.values["h"] < 0).any()


def test_words_are_no_formulas():
    trace, _ = traced(CELLS[0], "a b")
    assert ">$x^2$</text>" in gates_svg(trace.layers[0], ["$x^2$", "b"], "gates")


def test_long_texts_are_counted_instead(monkeypatch):
    trace, tokens = traced(CELLS[2], "good " * (MOST_WORDS + 40))
    svg = gates_svg(trace.layers[0], tokens, "gates")
    assert ">good</text>" not in svg
    assert ">step</text>" in svg
    assert ">100</text>" in svg


def test_the_curves_are_of_the_words_and_of_every_layer():
    trace, tokens = traced(CELLS[1], directions=2)
    svg = gradients_svg(trace, tokens, "curves")
    for name in ("input |dx|", "rnn0.fwd |dh|", "rnn0.bwd |dh|"):
        assert f">{name}</text>" in svg


@pytest.mark.parametrize("text", ["", "good"])
def test_one_step_is_enough(text):
    trace, tokens = traced(CELLS[0], text)
    assert gates_svg(trace.layers[0], tokens, "gates").startswith("<svg ")
    assert gradients_svg(trace, tokens, "curves").startswith("<svg ")


def test_a_gradient_of_zero_everywhere_can_be_drawn():
    trace, tokens = traced(CELLS[0])
    nothing = trace._replace(dx=0 * trace.dx, layers=[layer._replace(dh=0 * layer.dh) for layer in trace.layers])
    assert gradients_svg(nothing, tokens, "curves").startswith("<svg ")


def test_the_same_text_gives_the_same_bytes():
    first, second = (gates_svg(trace.layers[0], tokens, "g") for trace, tokens in (traced(CELLS[1]), traced(CELLS[1])))
    assert first == second
