"""rnncli predict: what it prints for people, pipes and programs, and what it refuses."""

import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
from running import INTERRUPTIBLE
from tiny_runs import Cli, tiny_values, write_config, write_csv
from tiny_tasks import language_values, tagging_values, write_conllu, write_text

from rnncli.cli import predict_rows
from rnncli.cli.answers import Wanted, renderer
from rnncli.cli.tables import columns
from rnncli.data.unlabelled import Unlabelled
from rnncli.predicting import Cost, Tags, probabilities
from rnncli.trained import load_trained

TEXTS = ["film good", "", "the plot dull and and and", "end bad"]


@pytest.fixture
def model(cli: Cli, workdir) -> str:
    write_csv(workdir / "a.csv", ("body", "label"))
    source = {"format": "csv", "path": "a.csv", "text": "body"}
    values = tiny_values("a.csv", data={"train": source}, train={"epochs": 12})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    (workdir / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    return "runs/tiny/best.safetensors"


@pytest.fixture
def tagger(cli: Cli, workdir) -> str:
    write_conllu(workdir / "a.conllu", 60)
    write_config(workdir / "t.yaml", tagging_values("a.conllu", train={"epochs": 10}))
    assert cli("train", "t.yaml").code == 0
    return "runs/tiny-tagger/best.safetensors"


@pytest.fixture
def language_model(cli: Cli, workdir) -> str:
    write_text(workdir / "a.txt", 60)
    write_config(workdir / "m.yaml", language_values("a.txt"))
    assert cli("train", "m.yaml").code == 0
    return "runs/tiny-lm/best.safetensors"


def expected(model: str) -> np.ndarray:
    return probabilities(load_trained(Path(model)).use_average(), TEXTS)


def test_a_line_in_a_line_out(cli: Cli, model):
    done = cli("predict", model, "texts.txt")
    assert (done.code, done.err) == (0, "")
    rows = [line.split("\t") for line in done.out.splitlines()]
    found = expected(model)
    assert [label for label, _ in rows] == [["neg", "pos"][best] for best in found.argmax(axis=1)]
    assert [float(p) for _, p in rows] == pytest.approx(found.max(axis=1), abs=1e-6)
    assert rows[0][0] == "pos"
    assert rows[3][0] == "neg"


def test_every_probability_and_the_likeliest(cli: Cli, model):
    found = expected(model)
    head, *rows = [line.split("\t") for line in cli("predict", model, "texts.txt", "--proba").out.splitlines()]
    assert head == ["predicted", "neg", "pos"]
    np.testing.assert_allclose([[float(p) for p in row[1:]] for row in rows], found, atol=1e-6)
    first, *_ = cli("predict", model, "texts.txt", "--top", 5).out.splitlines()
    assert first == f"pos\t{found[0, 1]:.6f}\tneg\t{found[0, 0]:.6f}"
    assert cli("predict", model, "texts.txt", "--top", 1).out == cli("predict", model, "texts.txt").out


def test_json_has_every_figure_unrounded(cli: Cli, model):
    found = expected(model)
    rows = [json.loads(line) for line in cli("predict", model, "texts.txt", "--json", "--proba").out.splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    for row, p in zip(rows, found, strict=True):
        assert list(row["probabilities"].values()) == p.tolist()
        assert row["probability"] == max(p.tolist())
        assert row["predicted"] == ["neg", "pos"][p.argmax()]
    rows = [json.loads(line) for line in cli("predict", model, "texts.txt", "--json", "--top", 2).out.splitlines()]
    assert list(rows[0]["top"]) == ["pos", "neg"]


def test_a_threshold_decides_between_two_labels(cli: Cli, model):
    p = expected(model)[:, 1]
    limit = float((p[0] + p[[1, 2, 3]].max()) / 2)
    for arguments in ((), ("--positive", "pos")):
        out = cli("predict", model, "texts.txt", "--threshold", limit, *arguments).out
        assert [line.split("\t")[0] for line in out.splitlines()] == ["pos", "neg", "neg", "neg"]
    out = cli("predict", model, "texts.txt", "--threshold", 0, "--positive", "neg").out
    assert [line.split("\t") for line in out.splitlines()] == [["neg", f"{1 - one:.6f}"] for one in p]
    assert {line[:3] for line in cli("predict", model, "texts.txt", "--threshold", 1).out.splitlines()} == {"neg"}


def test_texts_of_the_command_line(cli: Cli, model):
    done = cli("predict", model, "--text", TEXTS[0], "--text", TEXTS[1])
    assert done.out == "".join(cli("predict", model, "texts.txt").out.splitlines(keepends=True)[:2])


def test_rows_keep_their_fields(cli: Cli, model, workdir):
    (workdir / "b.csv").write_text('id,body,predicted\n7,"film good, good",x\n8,"end\nbad",y\n')
    rows = [json.loads(line) for line in cli("predict", model, "b.csv", "--json").out.splitlines()]
    assert [list(row) for row in rows] == [["id", "body", "predicted", "probability"]] * 2
    assert [(row["id"], row["predicted"]) for row in rows] == [("7", "pos"), ("8", "neg")]
    done = cli("predict", model, "b.csv", "--output", "out.csv")
    assert (done.code, done.out) == (0, "")
    written = list(csv.DictReader(io.StringIO((workdir / "out.csv").read_text())))
    assert [(row["id"], row["body"], row["predicted"]) for row in written] == [
        ("7", "film good, good", "pos"),
        ("8", "end\nbad", "neg"),
    ]
    assert [float(row["probability"]) for row in written] == [row["probability"] for row in rows]
    assert cli("predict", model, "b.csv", "--output", "out.csv", "--proba").code == 0
    assert (workdir / "out.csv").read_text().splitlines()[0].endswith(",probabilities neg,probabilities pos")


def test_columns_of_the_likeliest_are_those_of_their_place(cli: Cli, model, workdir):
    assert cli("predict", model, "texts.txt", "--top", 2, "--output", "out.csv").code == 0
    rows = list(csv.DictReader(io.StringIO((workdir / "out.csv").read_text())))
    assert list(rows[0]) == [
        "text",
        "predicted",
        "probability",
        "top 1",
        "top 1 probability",
        "top 2",
        "top 2 probability",
    ]
    assert {row["top 1"] for row in rows} == {"pos", "neg"}
    for row, p in zip(rows, expected(model).astype(float), strict=True):
        assert [float(row["top 1 probability"]), float(row["top 2 probability"])] == sorted(p, reverse=True)
        assert row["predicted"] == row["top 1"] != row["top 2"]


def test_files_of_every_format_give_the_same(cli: Cli, model, workdir):
    out = cli("predict", model, "texts.txt").out
    (workdir / "b.jsonl").write_text("".join(json.dumps({"t": text}) + "\n" for text in TEXTS))
    assert cli("predict", model, "b.jsonl", "--column", "t").out == out
    (workdir / "b.tsv").write_text("text\tn\n" + "".join(f"{text}\t1\n" for text in TEXTS))
    assert cli("predict", model, "b.tsv").out == out
    (workdir / "x").write_text("body,n\n" + "".join(f"{text},1\n" for text in TEXTS))
    assert cli("predict", model, "x", "--format", "csv").out == out
    assert cli("predict", model, "texts.txt", "--output", "y.jsonl").out == ""
    assert (workdir / "y.jsonl").read_text() == cli("predict", model, "texts.txt", "--json").out
    assert cli("predict", model, "texts.txt", "--output", "y.txt").out == ""
    assert (workdir / "y.txt").read_text() == out
    (workdir / "none.csv").write_text("")
    done = cli("predict", model, "none.csv")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_what_was_read_before_a_bad_row_is_answered(cli: Cli, model, workdir):
    (workdir / "b.jsonl").write_text('{"text": "film good"}\n{"text": "end bad"}\n{"text": 3}\n{"text": "x"}\n')
    done = cli("predict", model, "b.jsonl")
    assert "b.jsonl:3: 'text' is a number" in done.failed()
    assert [line[:3] for line in done.out.splitlines()] == ["pos", "neg"]
    assert cli("predict", model, "b.jsonl", "--output", "out.txt").failed()
    assert not (workdir / "out.txt").exists()


def test_a_block_at_a_time_is_answered_in_order(cli: Cli, model, monkeypatch):
    whole = cli("predict", model, "texts.txt").out
    monkeypatch.setattr(predict_rows, "BLOCK", 3)
    assert cli("predict", model, "texts.txt").out == whole


def test_what_stands_beside_long_texts_counts_for_a_block(cli: Cli, model, workdir, monkeypatch):
    blocks = []
    monkeypatch.setattr(predict_rows, "BLOCK_CHARACTERS", 100)
    monkeypatch.setattr(
        predict_rows, "predict", lambda trained, texts: blocks.append(texts) or probabilities(trained, texts)
    )
    rows = [{"text": "good"}, {"text": "a", "page": "x" * 99}, {"text": "b"}, {"text": "y" * 100}, {"text": "c"}]
    (workdir / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli("predict", model, "b.jsonl").code == 0
    assert blocks == [["good", "a"], ["b", "y" * 100], ["c"]]


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["none.txt"], 1, "no such file"),
        (["."], 1, "is a folder"),
        (["texts.txt", "--text", "x"], 2, "exclude each other"),
        (["--text", "x", "--format", "csv"], 2, "describe FILE"),
        (["texts.txt", "--column", "x"], 2, "--column: has no effect on format text"),
        (["texts.txt", "--format", "conllu"], 2, "is for taggers"),
        (["texts.txt", "--pretokenized"], 2, "--pretokenized: has no effect on task classification"),
        (["texts.txt", "--positive", "pos"], 2, "Add --threshold"),
        (["texts.txt", "--threshold", "0.5", "--positive", "Pos"], 2, "Did you mean 'pos'?"),
        (["texts.txt", "--threshold", "1.5"], 2, "--threshold"),
        (["texts.txt", "--top", "0"], 2, "--top"),
        (["texts.txt", "--top", "1", "--proba"], 2, "Leave one of them out"),
        (["texts.txt", "--top", "1", "--threshold", "0.5"], 2, "Leave one of them out"),
        (["texts.txt", "--output", "texts.txt"], 2, "which it would replace"),
        (["texts.txt", "--output", "a.csv"], 2, "is a data file, which it would replace"),
        (["texts.txt", "--output", "runs/tiny/best.safetensors"], 2, "is the checkpoint"),
        (["texts.txt", "--output", "none/x"], 1, "cannot be written"),
        (["texts.txt", "--output", "x.csv", "--json"], 2, "is not for csv"),
        (["texts.txt", "--output", "x.csv.gz"], 2, "Leave .gz out"),
        (["x.jsonl", "--output", "x.csv"], 2, "Name a .jsonl file"),
        (["a.csv", "--column", "bdy"], 1, "Did you mean 'body'? Name one of them with --column"),
    ],
)
def test_what_cannot_be_is_refused(cli: Cli, model, arguments, code, what):
    assert what in cli.refused("predict", model, *arguments, code=code)


def test_a_threshold_is_for_two_labels(cli: Cli, workdir):
    lines = [f"{word} {n},{label}" for n in range(8) for word, label in (("a", "x"), ("b", "y"), ("c", "z"))]
    (workdir / "three.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    assert cli("train", write_config(workdir / "c.yaml", tiny_values("three.csv"))).code == 0
    model = "runs/tiny/best.safetensors"
    line = cli.refused("predict", model, "--text", "a", "--threshold", "0.5", code=2)
    assert "the model has 3" in line
    first, second, *_ = cli("predict", model, "--text", "a", "--top", "2").out.split()
    assert first in "xyz"
    assert 0 < float(second) < 1


def test_a_tagger_gives_a_tag_to_each_word(cli: Cli, tagger, workdir):
    done = cli("predict", tagger, "--text", "the dog's liked", "--text", "", "--text", "no Bird is.")
    assert done.code == 0, done
    sentences = [[line.split("\t") for line in part.splitlines()] for part in done.out.split("\n\n")]
    assert [[word for word, _ in words] for words in sentences[:1]] == [["the", "dog", "'s", "liked"]]
    assert done.out.count("\n\n") == 2  # after the first; and after the third, with the empty one's between
    assert done.out.endswith("\n\n")
    assert dict(sentences[0])["the"] == "DET"
    (workdir / "s.txt").write_text("the dog's liked\n")
    out = cli("predict", tagger, "s.txt", "--pretokenized", "--proba").out
    rows = [line.split("\t") for line in out.splitlines()[:-1]]
    assert [row[0] for row in rows] == ["the", "dog's", "liked"]
    assert all(0 < float(row[2]) <= 1 for row in rows)
    (row,) = [json.loads(line) for line in cli("predict", tagger, "s.txt", "--json", "--proba").out.splitlines()]
    assert row["words"] == ["the", "dog", "'s", "liked"]
    assert len(row["tags"]) == len(row["probabilities"]) == 4


def test_words_of_a_file_get_tags_whatever_tags_it_has(cli: Cli, tagger, workdir):
    tagged = write_conllu(workdir / "b.conllu", 5, seed=4).read_text()
    blank = "\n".join("\t".join([*line.split("\t")[:3], "_", *line.split("\t")[4:]]) for line in tagged.splitlines())
    blank = "\n".join(line if line.count("\t") == 9 else "" for line in blank.splitlines())
    (workdir / "c.conllu").write_text(blank + "\n")
    out = cli("predict", tagger, "b.conllu").out
    assert cli("predict", tagger, "c.conllu").out == out
    words = [line.split("\t")[1] for line in tagged.splitlines() if line]
    assert [line.split("\t")[0] for line in out.splitlines() if line] == words
    (workdir / "d.txt").write_text("the\ndog\n\nno\n")
    out = cli("predict", tagger, "d.txt", "--format", "columns").out
    assert [line.split("\t")[0] for line in out.splitlines()] == ["the", "dog", "", "no", ""]
    done = cli("predict", tagger, "d.txt", "--format", "columns", "--output", "o.csv")
    assert done.code == 0, done
    assert (workdir / "o.csv").read_text().splitlines()[0] == "text,words,tags"
    assert "has no effect" in cli.refused("predict", tagger, "c.conllu", "--pretokenized", code=2)
    assert "--threshold" in cli.refused("predict", tagger, "c.conllu", "--threshold", "0.5", code=2)


def test_a_conllu_file_is_written_with_the_tags(cli: Cli, tagger, workdir):
    tagged = write_conllu(workdir / "b.conllu", 5, seed=4).read_text()
    out = [line.split("\t") for line in cli("predict", tagger, "b.conllu").out.splitlines()]
    done = cli("predict", tagger, "b.conllu", "--output", "o.conllu")
    assert (done.code, done.out) == (0, "")
    before, after = tagged.splitlines(), (workdir / "o.conllu").read_text().splitlines()
    assert len(after) >= len(before)
    for old, new, (word, *tag) in zip(before, after, out, strict=False):
        if old:
            cells = new.split("\t")
            assert cells[1:2] + cells[3:4] == [word, *tag]
            assert cells[:3] + cells[4:] == old.split("\t")[:3] + old.split("\t")[4:]
    (workdir / "c.conllu").write_text("# text = x\n1-2\tax" + "\t_" * 8 + "\n1\tthe" + "\t_" * 8 + "\n\n")
    assert cli("predict", tagger, "c.conllu", "--output", "o.conllu").code == 0
    assert (workdir / "o.conllu").read_text().splitlines()[:2] == ["# text = x", "1-2\tax" + "\t_" * 8]
    assert cli("predict", tagger, "--text", "the dog", "--output", "o.conllu").code == 0
    first, second, blank = (workdir / "o.conllu").read_text().splitlines()
    assert first == "1\tthe\t_\tDET" + "\t_" * 6
    assert (second.split("\t")[1], blank) == ("dog", "")
    for more in ("--json", "--proba"):
        assert "Name a .jsonl file" in cli.refused(
            "predict", tagger, "--text", "x", "--output", "o.conllu", more, code=2
        )


def test_a_language_model_says_what_lines_cost(cli: Cli, language_model):
    lines = ["the dog sees a plan.", "zzq", ""]
    texts = [part for line in lines for part in ("--text", line)]
    done = cli("predict", language_model, *texts)
    likely, strange, none = [line.split("\t") for line in done.out.splitlines()]
    assert float(likely[0]) < float(strange[0])
    assert [int(likely[2]), int(strange[2])] == [20, 3]
    assert none == ["nan", "0.000000", "0"]
    rows = [json.loads(line) for line in cli("predict", language_model, *texts, "--json").out.splitlines()]
    assert [row["text"] for row in rows] == lines
    assert rows[0]["perplexity"] == pytest.approx(np.exp(rows[0]["nats"] / 20))
    assert rows[0]["perplexity"] == pytest.approx(float(likely[0]), rel=1e-5)
    assert (rows[1]["unknown"], rows[2]["perplexity"]) == (3, None)
    assert "--proba" in cli.refused("predict", language_model, "--text", "x", "--proba", code=2)


def test_a_terminal_gets_columns_and_as_much_text_as_fits():
    rows = [Unlabelled("a  long\ttext " * 20, {}), Unlabelled("\x1b[31m\N{CJK UNIFIED IDEOGRAPH-6620}" * 40, {})]
    found = [np.array([0.25, 0.75], np.float32), np.array([0.999, 0.001], np.float32)]
    for width in (60, 200):
        text = renderer("classification", ("no", "maybe"), Wanted("screen", width=width))(rows, found)
        lines = plain(text).splitlines()
        assert lines[0].startswith("maybe  75.00%  a long text a long")
        assert lines[1].startswith("no     99.90%  \\x1b[31m")
        assert width - 2 <= wide(lines[0]) <= width
        assert width - 2 <= wide(lines[1]) <= width
    far = renderer("classification", ("no", "maybe"), Wanted("screen", width=60))
    assert plain(far([Unlabelled("a" + " " * 300 + "b", {})], found[:1])) == "maybe  75.00%  a\N{HORIZONTAL ELLIPSIS}\n"
    every = renderer("classification", ("no", "maybe"), Wanted("screen", every=True, width=60))
    head, first, _ = plain(every(rows, found)).splitlines()
    assert head == "predicted       no    maybe"
    assert first.startswith("maybe       25.00%   75.00%  a long")
    assert plain(every(rows[:1], found[:1])).count("\n") == 1  # heads once
    narrow = renderer("classification", ("no", "maybe"), Wanted("screen", top=2, width=30))
    assert plain(narrow(rows, found)).splitlines()[0] == "maybe  75.00%  no     25.00%"


def test_a_label_breaks_no_line_of_a_pipe():
    row, found = Unlabelled("", {}), np.array([0.25, 0.75], np.float32)
    for wanted, tabs in ((Wanted("tabs"), 1), (Wanted("tabs", every=True), 2), (Wanted("tabs", top=2), 3)):
        lines = renderer("classification", ("no", "a\tb\nc"), wanted)([row], [found]).splitlines()
        assert lines[-1].startswith("a\\tb\\nc\t0.")
        assert {line.count("\t") for line in lines} == {tabs}


def test_a_terminal_gets_words_and_costs_in_columns():
    rows = [Unlabelled("A dog", {}, ("A", "dog"))]
    text = renderer("tagging", (), Wanted("screen", every=True))(rows, [Tags(["DET", "NOUN"], np.array([1, 0.5]))])
    assert plain(text) == "A    DET   100.00%\ndog  NOUN   50.00%\n\n"
    words = ("x" * 50, "a\x1b[0m")
    text = renderer("tagging", (), Wanted("screen", width=60))(
        [Unlabelled("", {}, words)], [Tags(["X", "Y"], np.ones(2))]
    )
    assert plain(text).splitlines() == ["x" * 50 + "  X", f"{'a' + chr(92) + 'x1b[0m':30}  Y", ""]
    costs = [Cost(3, 3.0, 0), Cost(0, 0.0, 0)]
    text = renderer("language_model", (), Wanted("screen"))([Unlabelled("abc", {}), Unlabelled("", {})], costs)
    assert plain(text).splitlines() == [
        "  perplexity         nats  tokens  text",
        "       2.718        3.000       3  abc",
        "           -        0.000       0",
    ]


def plain(text: str) -> str:
    return click.unstyle(text)


def wide(text: str) -> int:
    return columns(text)


def start(*arguments: str, **more) -> subprocess.Popen:
    command = [sys.executable, "-c", INTERRUPTIBLE, "predict", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, **more)


def test_a_line_is_answered_before_the_next_is_written(model):
    with start(model) as process:
        for text in ("film good", "end bad"):
            process.stdin.write(text.encode() + b"\n")
            process.stdin.flush()
            assert process.stdout.readline().split(b"\t")[0] == (b"pos" if "good" in text else b"neg")
        process.stdin.write(b"no line end")
        out, err = process.communicate(timeout=60)
    assert (len(out.splitlines()), err, process.returncode) == (1, b"", 0)


def test_an_interrupt_and_a_closed_pipe_end_it_quietly(model, workdir):
    with start(model) as process:
        process.stdin.write(b"film good\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.strip()) == (130, b"rnncli: interrupted")
    (workdir / "many.txt").write_text("film good\n" * 50_000)
    with start(model, "many.txt") as process:
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


def test_a_closed_end_is_no_terminal(model):
    for arguments, closed in ((("texts.txt",), ">&-"), ((), "<&-")):
        shell = f'exec "$0" -m rnncli predict {model} {" ".join(arguments)} {closed}'
        done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
