"""An explanation on a terminal, wide or narrow, with colours or without."""

import re

import click
import numpy as np
import pytest
from made_models import CELLS, classifier

from rnncli.cli.coloured_text import Look, text_lines
from rnncli.cli.explain_text import explanation_lines, percent
from rnncli.cli.tables import columns
from rnncli.cli.trace_text import sparkline, trace_lines
from rnncli.coloured_words import Piece
from rnncli.explaining import explain

LONG = " ".join(f"good film is so{n} bad ." for n in range(60))


def pieces(text):
    out = []
    for word in text.split(" "):
        out += [Piece(word, 0.1 * len(word)), Piece(" ")]
    return out[:-1]


def look(width=40, height=None, colours=True, top=5):
    return Look(width, height, colours, top)


@pytest.mark.parametrize("colours", [False, True])
@pytest.mark.parametrize("width", [48, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(width, colours):
    explanation = explain(classifier(CELLS[1], directions=2), LONG, leave_one_out=True)
    wide = look(width, colours=colours)
    lines = explanation_lines(explanation, wide) + trace_lines(explanation.trace(), 0.9, wide)
    assert max(map(columns, lines)) <= width


def test_the_words_of_a_text_all_stay_in_order():
    lines = text_lines(pieces("a bb ccc dddd eeeee " * 9 + "end"), look())
    assert " ".join(map(click.unstyle, lines)).split() == ("a bb ccc dddd eeeee " * 9 + "end").split()
    assert len(lines) > 4


def test_what_was_written_together_stays_together():
    glued = [
        Piece("is", 1.0),
        Piece("n't", -1.0),
        Piece(" "),
        Piece("so", 0.1),
        Piece("."),
        Piece("\n\n\n"),
        Piece("B", 0.0),
    ]
    assert [click.unstyle(line) for line in text_lines(glued, look())] == ["isn't so.", "", "B"]


def test_characters_keep_their_blanks():
    letters = [Piece(c, 0.5) for c in "to be,\nor"]
    assert [click.unstyle(line).rstrip() for line in text_lines(letters, look())] == ["to be,", "or"]


def test_a_word_longer_than_a_line_is_cut():
    dots = "\N{HORIZONTAL ELLIPSIS}"
    (line,) = text_lines([Piece("x" * 500, 1.0)], look())
    assert click.unstyle(line) == "x" * 39 + dots
    assert text_lines([Piece("x" * 500, 1.0)], look(colours=False)) == ["x" * 32 + dots + "[+1.00]"]
    (line,) = text_lines([Piece("\u65e5" * 25, 1.0)], look())  # two columns each
    assert click.unstyle(line) == "\u65e5" * 19 + dots


def test_marks_are_for_those_without_colours():
    plain = text_lines([Piece("good", 2.0), Piece(" "), Piece("so", 0.1)], look(colours=False), mark=1.0)
    assert plain == ["good[+2.00] so"]


@pytest.mark.parametrize("height", [2, 3, 4, 7, 10])
def test_a_text_that_does_not_fit_keeps_its_strongest_lines(height):
    weak = [piece for n in range(400) for piece in (Piece(f"w{n}", 0.01), Piece(" "))]
    weak[500] = Piece("MOST", 9.0)
    lines = [click.unstyle(line) for line in text_lines(weak, look(height=height))]
    assert any("MOST" in line for line in lines)
    assert lines[-1].startswith("(")
    assert len(lines) <= max(height, 4)  # what is kept, what is left out before and after it, how much that is
    everything = text_lines(weak, look())
    shown = [line for line in lines if line[0] == "w"]
    assert f"({len(everything) - len(shown)} lines" in lines[-1]


def test_what_the_other_words_push_is_added_up():
    explanation = explain(classifier(CELLS[1]), LONG)
    lines = explanation_lines(explanation, look(100, colours=False, top=2))
    rest = explanation.scores[explanation.strongest()[2:]].sum()
    assert any(re.fullmatch(rf"the other 358 words: \{rest:+.2f}\d*", line) for line in lines)


def test_gates_are_counted_by_how_far_they_are_open():
    trace = explain(classifier(CELLS[1]), "good film").trace()
    layer = trace.layers[0]
    gate = np.repeat([0.05, 0.5, 0.95, 0.99], [1, 6, 2, 1])[None]
    trace = trace._replace(layers=[layer._replace(values={**layer.values, "i": gate})])
    lines = trace_lines(trace, 0.9, look(100))
    assert "(the loss's: 0.1 of it)" in lines[0]
    assert any(line.split() == ["rnn0.fwd", "i", f"{gate.mean():.2f}", "10%", "30%"] for line in lines)


def test_of_many_unknown_words_a_few_are_named():
    lines = "\n".join(explanation_lines(explain(classifier(CELLS[0]), LONG), look(200)))
    assert "unknown     60 of 360 words: so0, so1" in lines
    assert "and 48 more" in lines


def test_a_text_without_words_is_said_to_have_none():
    lines = explanation_lines(explain(classifier(CELLS[0]), ""), look(100))
    assert "unknown     the text has no word; the model reads the unknown one" in lines


def test_what_was_not_read_is_counted():
    lines = explanation_lines(explain(classifier(CELLS[0], data={"max_length": 10}), LONG), look(100))
    assert "not read    350 words beyond data.max_length" in lines


def test_points_that_do_not_suffice_are_told():
    explanation = explain(classifier(CELLS[1]), "good film is bad")
    strict = explanation.method._replace(tolerance=1e-30)
    lines = explanation_lines(
        type(explanation)(
            **{**{key: getattr(explanation, key) for key in explanation.__dataclass_fields__}, "method": strict}
        ),
        look(200),
    )
    assert any("more than 1e-30: try --steps 64" in line for line in lines)


def test_probabilities_near_the_ends_do_not_look_like_them():
    assert [percent(p) for p in (0.5, 0.9999, 1.0, 1e-9, 0.0)] == ["50.0%", ">99.9%", "100.0%", "<0.1%", "0.0%"]


def test_a_sparkline_is_logarithmic():
    assert sparkline(10.0 ** np.arange(8), 8) == "▁▂▃▄▅▆▇█"
    assert sparkline(np.array([0.0, 1e-9, 1.0]), 8) == " ▁█"
    assert sparkline(np.zeros(3), 8) == "   "
    assert sparkline(np.ones(3), 8) == "▁▁▁"
    assert sparkline(10.0 ** np.repeat(np.arange(8), 5), 8) == "▁▂▃▄▅▆▇█"
    assert len(sparkline(np.exp(np.random.default_rng(0).normal(size=999)), 30)) == 30


def test_a_simple_network_has_no_gates_to_count():
    lines = trace_lines(explain(classifier(CELLS[0]), "good film").trace(), 0.5, look(80))
    assert len(lines) == 3
    assert not any("gate" in line for line in lines)


@pytest.mark.parametrize("truncate", ["head", "tail"])
def test_of_what_was_not_read_a_few_words_are_shown(truncate):
    trained = classifier(CELLS[0], data={"max_length": 12, "truncate": truncate})
    (line,) = text_lines(explain(trained, LONG).pieces(), look(200))
    shown = click.unstyle(line)
    dots, words = "\N{HORIZONTAL ELLIPSIS}", LONG.split()
    if truncate == "tail":
        assert shown == f"{dots} {' '.join(words[-20:])}"
    else:
        assert shown == f"{' '.join(words[:20])} {dots}"


def test_attention_has_a_line_and_a_column():
    trained = classifier(CELLS[1], pooling="attention")
    explanation = explain(trained, "good film is bad !!")
    lines = [click.unstyle(line) for line in explanation_lines(explanation, look(80, colours=False))]
    half, order = explanation.attended()
    named = next(line for line in lines if line.startswith("attention"))
    assert f"half of it is on {half} of 5 words; the most: {explanation.shown(order[0])} " in named
    head = next(number for number, line in enumerate(lines) if line.startswith("word "))
    assert lines[head].split() == ["word", "no.", "push", "attention"]
    weight = explanation.subject.attention[explanation.strongest(1)[0]]
    assert f"{weight:.1%}" in lines[head + 1]
    plain = explanation_lines(explain(classifier(CELLS[1]), "good film"), look(80, colours=False))
    assert not any("attention" in line for line in plain)


@pytest.mark.parametrize("width", [48, 60, 80])
def test_the_column_of_attention_fits_too(width):
    explanation = explain(classifier(CELLS[1], pooling="attention"), LONG, leave_one_out=True)
    assert max(map(columns, explanation_lines(explanation, look(width, colours=False)))) <= width
