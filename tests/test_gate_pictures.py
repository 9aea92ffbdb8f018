"""Pictures of gates and gradients."""

import base64
import re
import struct
import zlib

import numpy as np
import pytest
from made_models import CELLS, classifier

from rnncli.explaining import explain
from rnncli.gate_pictures import MOST_WORDS, gates_svg, gradients_svg

TEXT = "good film is $5 & bad $9 \u65e5\u672c <b> n't"


def traced(cell, text=TEXT, directions=1):
    explanation = explain(classifier(cell, directions), text)
    return explanation.trace(), explanation.tokens


def pixels(svg):
    """The first image of an SVG, (units, steps, 4)."""
    data = base64.b64decode(re.search(r'href="data:image/png;base64,\s*([^"]+)"', svg)[1])
    width, height = struct.unpack(">II", data[16:24])
    assert data[24:26] == b"\x08\x06"  # eight bits of red, green, blue and alpha
    rows, place = b"", 8
    while place < len(data):
        size, kind = struct.unpack(">I4s", data[place : place + 8])
        rows += data[place + 8 : place + 8 + size] if kind == b"IDAT" else b""
        place += size + 12
    raw = np.frombuffer(zlib.decompress(rows), np.uint8).reshape(height, 1 + 4 * width)
    return raw, height, width


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
    _, height, width = pixels(svg)
    assert (height, width) == (5, len(tokens))
    for word in ("good", "n't", "\u65e5\u672c", "&amp;", "$", "5"):
        assert f">{word}</text>" in svg, word


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
