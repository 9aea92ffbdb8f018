"""``rnncli explain``."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path

import click
import pytest
from tiny_runs import tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_values, write_conllu, write_text

from rnncli.cli.explain import command
from rnncli.explaining import explain
from rnncli.trained import load_trained

TEXT = "film good and dull qwx"


@pytest.fixture
def checkpoint(cli):
    values = tiny_values(write_csv(Path("tiny.csv")), name="c", model={"rnn": {"cell": "lstm", "hidden": 8}})
    assert cli("train", write_config(Path("c.yaml"), values)).code == 0
    return Path("runs/c/best.safetensors")


def test_it_prints_the_text_and_the_strongest_words(cli, checkpoint):
    done = cli("explain", checkpoint, "--text", TEXT, "--top", 2, "--leave-one-out")
    assert (done.code, done.err) == (0, "")
    found = explain(load_trained(checkpoint), TEXT, leave_one_out=True)
    label = found.subject.labels[found.label]
    assert done.out.startswith(f"predicted   {label}, {found.probabilities[found.label]:.1%}\n")
    assert f"{found.attribution.score:+.2f}\n" in done.out
    assert f"{found.scores.sum():+.2f} together, from {found.attribution.baseline_score:+.2f}" in done.out
    assert f"each word out: {found.rank_correlation:+.2f}" in done.out
    assert "unknown     1 of 5 words: qwx" in done.out
    first, second = found.strongest(2)
    rows = [line.split() for line in done.out.splitlines()]
    for place in (first, second):
        sign = "+" if found.scores[place] > 0 else "-"
        row = next(row for row in rows if row[:2] == [found.tokens[place], str(place + 1)])
        assert row[2:4] == [f"{found.scores[place]:+.2f}", f"{found.leave_one_out[place]:+.2f}"]
        assert set(row[4]) == {sign}
        assert f"{found.tokens[place]}[{found.scores[place]:+.2f}]" in done.out  # marked in the text too
    assert done.out.count("[") == 2
    assert "the other 3 words: " in done.out
    assert "\x1b" not in done.out


def on_a_terminal(arguments, environment):
    """Run the command on a terminal of 60 columns and 30 lines, and return what it shows there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 60, 0, 0))
    keep = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")}
    command = [sys.executable, "-m", "rnncli", *map(str, arguments)]
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=keep | environment)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the other end is closed
        while part := os.read(ours, 2**16):
            shown += part
    os.close(ours)
    assert running.wait(timeout=60) == 0, shown
    return shown.decode("utf-8").replace("\r\n", "\n")


def test_a_terminal_has_colours_of_sign_and_size_unless_it_wants_none(checkpoint):
    arguments = ["explain", checkpoint, "--text", TEXT]
    shown = on_a_terminal(arguments, {})
    assert re.search(r"\x1b\[38;5;231m\x1b\[48;5;(25|166)m\x1b\[1m\w+\x1b\[0m", shown)  # the strongest word
    assert click.unstyle(shown).split("\n\n")[1] == TEXT
    plain = on_a_terminal(arguments, {"NO_COLOR": "1"})
    assert "\x1b" not in plain
    assert plain.count("[") == 5


def test_a_terminal_shows_a_screenful(checkpoint):
    text = " ".join(f"film good bad{n} dull" for n in range(200))
    shown = click.unstyle(on_a_terminal(["explain", checkpoint, "--text", text, "--top", "5"], {}))
    assert len(shown.splitlines()) <= 30
    assert "lines with weaker words left out" in shown


def test_json_has_every_figure(cli, checkpoint):
    done = cli("explain", checkpoint, "--text", TEXT, "--text", "bad", "--leave-one-out", "--gates", "--json")
    assert (done.code, done.err) == (0, "")
    facts = json.loads(done.out)
    assert facts["checkpoint"] == str(checkpoint)
    first, second = facts["texts"]
    found = explain(load_trained(checkpoint), TEXT, leave_one_out=True)
    assert first == {**found.as_json(), **found.trace().as_json()}
    assert second["text"] == "bad"


def test_options_change_what_they_say(cli, checkpoint):
    def facts(*options):
        return json.loads(cli("explain", checkpoint, "--text", TEXT, "--json", *options).out)["texts"][0]

    usual = facts()
    assert facts("--method", "gradient")["method"] == "gradient"
    assert facts("--method", "gradient")["words"] != usual["words"]
    for baseline in ("zero", "mean", "common", "unknown"):
        assert facts("--baseline", baseline)["baseline"] == baseline
    assert facts("--steps", "64")["points"] == 64
    assert facts("--tolerance", "1e-12")["points"] > usual["points"]
    other = next(label for label in usual["probabilities"] if label != usual["label"])
    assert facts("--label", other)["log_odds"] == pytest.approx(-usual["log_odds"])


def test_what_one_gradient_has_no_use_for_is_refused(cli, checkpoint):
    usage = ("explain", checkpoint, "--text", TEXT, "--method", "gradient")
    assert "leave --steps out" in cli.refused(*usage, "--steps", "16", code=2)
    assert "leave --steps and --tolerance out" in cli.refused(*usage, "--tolerance", "1", "--steps", "16", code=2)


def test_gates_are_counted_and_gradients_drawn(cli, checkpoint):
    done = cli("explain", checkpoint, "--text", TEXT, "--gates")
    trace = explain(load_trained(checkpoint), TEXT).trace()
    layer = trace.layers[0]
    assert re.search(
        rf"rnn0.fwd \|dh\| +{layer.gradient_norms[0]:.1e}  [▁-█]{{5}} +{layer.gradient_norms[-1]:.1e}", done.out
    )
    assert re.search(rf"input \|dx\| +{trace.input_gradient_norms[0]:.1e}  ", done.out)
    for gate in "ifo":
        assert re.search(rf"rnn0.fwd {gate} +{layer.values[gate].mean():.2f} +\d+% +\d+%\n", done.out)


def test_the_lines_of_a_file_are_texts(cli, checkpoint):
    Path("texts.txt").write_text("film good\n\n  \r\nbad end\r\n", encoding="utf-8")
    facts = json.loads(cli("explain", checkpoint, "texts.txt", "--json").out)
    assert [text["text"] for text in facts["texts"]] == ["film good", "bad end"]
    printed = cli("explain", checkpoint, "texts.txt").out
    assert printed.count("predicted ") == 2
    assert "\n\n----" in printed


def test_standard_input_is_a_file_too(cli, checkpoint, monkeypatch):
    def given(raw):
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(raw)))

    given(b"film good\nbad\n")
    facts = json.loads(cli("explain", checkpoint, "-", "--json").out)
    assert [text["text"] for text in facts["texts"]] == ["film good", "bad"]
    given(b"caf\xe9\n")
    assert "standard input:1: is not UTF-8" in cli.refused("explain", checkpoint, "-")
    given(b"\n")
    assert "standard input: has no text" in cli.refused("explain", checkpoint, "-")


def test_what_would_steer_a_terminal_is_shown_escaped(cli, checkpoint, monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"good \x1b[31m\x00 film \xe2\x80\xa8\n")))
    done = cli("explain", checkpoint, "-")
    assert done.code == 0
    assert not re.search(r"[\x00\x1b]", done.out)


@pytest.mark.parametrize("gates", [[], ["--gates"]])
def test_the_page_is_written_whole(cli, checkpoint, gates):
    Path("a.html").write_text("earlier")
    done = cli("explain", checkpoint, "--text", TEXT, "--html", "a.html", *gates)
    assert (done.code, done.err) == (0, "")
    html = Path("a.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert html.endswith("</html>\n")
    assert ("<svg" in html) == bool(gates)
    assert not list(Path().glob(".rnncli-*"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--text", "a", "--label", "great"], 2, ["--label", "'great'", "neg, pos"]),
        (["--text", "a", "--word", "1"], 2, ["--word", "for taggers"]),
        (["missing.txt"], 1, ["missing.txt", "no such file"]),
        (["latin.txt"], 1, ["latin.txt:1", "UTF-8"]),
        (["nul.txt"], 1, ["nul.txt:1", "NUL"]),
        (["blank.txt"], 1, ["blank.txt", "has no text"]),
        (["--text", "a", "--html", "runs/c/best.safetensors"], 2, ["is the checkpoint"]),
        (["good.txt", "--html", "good.txt"], 2, ["--html good.txt", "is a data file"]),
        (["--text", "a", "--html", "missing/a.html"], 1, ["missing/a.html", "cannot be written"]),
    ],
)
def test_what_cannot_be_used_is_one_line(cli, checkpoint, arguments, code, words):
    Path("good.txt").write_text("good film\n")
    Path("latin.txt").write_bytes(b"caf\xe9\n")
    Path("nul.txt").write_bytes(b"a\x00b\n")
    Path("blank.txt").write_text("\n \n")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    line = cli.refused("explain", checkpoint, *arguments, code=code)
    for word in words:
        assert word in line
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("arguments", [[], ["--text", "a", "texts.txt"], ["--text", "a", "--steps", "0"]])
def test_misuse(cli, checkpoint, arguments):
    done = cli("explain", checkpoint, *arguments)
    assert (done.code, done.out) == (2, "")


def test_pictures_that_cannot_be_drawn_are_told_before_anything_is_done(cli, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = cli.refused("explain", checkpoint, "--text", TEXT, "--gates", "--html", "a.html")
    assert "pip install 'rnncli[report]'" in line
    assert cli("explain", checkpoint, "--text", TEXT, "--gates").code == 0
    assert cli("explain", checkpoint, "--text", TEXT, "--html", "a.html").code == 0


def test_a_failure_leaves_the_earlier_page(cli, checkpoint, monkeypatch):
    Path("a.html").write_text("earlier")
    monkeypatch.setattr("rnncli.cli.explain.explain_page", lambda *_: os.fspath(None))
    with pytest.raises(TypeError):
        cli("explain", checkpoint, "--text", TEXT, "--html", "a.html")
    assert Path("a.html").read_text() == "earlier"
    assert not list(Path().glob(".rnncli-*"))


def test_a_tagger_and_a_language_model(cli):
    tagger = write_config(Path("t.yaml"), tagging_values(write_conllu(Path("a.conllu")), name="t"))
    language = write_config(Path("l.yaml"), language_values(write_text(Path("a.txt")), name="l"))
    assert cli("train", tagger).code == cli("train", language).code == 0
    done = cli("explain", "runs/t/best.safetensors", "--text", "the dog sees", "--word", "2", "--gates")
    assert done.code == 0
    assert ": the tag of word 2, dog\n" in done.out
    assert "rnn0.bwd |dh|" in done.out
    line = cli.refused("explain", "runs/t/best.safetensors", "--text", "the dog sees", code=2)
    assert "--word: is missing" in line
    done = cli("explain", "runs/l/best.safetensors", "--text", "the do", "--leave-one-out")
    assert done.code == 0
    assert ": what comes next\n" in done.out
    assert "the other" not in done.out  # six characters
    assert re.search(r"^' ' +4 ", done.out, re.MULTILINE)


def test_no_option_is_without_effect():
    """Each is used in a test above."""
    assert {parameter.name for parameter in command.params} == {
        *("checkpoint", "file", "texts", "label", "word", "method", "baseline", "steps", "tolerance"),
        *("leave_one_out", "gates", "top", "html", "as_json"),
    }
