import gzip
import json
import os
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import SAMPLE, jsonl, merged, tiny_values, write_config, write_csv

from rnncli.cli.eval import command
from rnncli.cli.eval_classification import report_lines
from rnncli.errors import RnncliError
from rnncli.metrics import classification_report

TEXTS = [("a good film", "pos"), ("a bad film, dull", "neg"), ("fine plot", "neg"), ("", "pos"), ("dull end", "neg")]


@pytest.fixture
def checkpoint(cli, workdir):
    """Return a trained checkpoint that is alone in its folder."""
    path = write_csv(workdir / "tiny.csv", columns=("review", "stars"), repeats=2)
    train = {"format": "csv", "path": str(path), "text": "review", "label": "stars"}
    values = tiny_values(path, data={"train": train}, name="c")
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    Path("elsewhere").mkdir()
    moved = shutil.move("runs/c/best.safetensors", "elsewhere/model.safetensors")
    shutil.rmtree("runs")
    (workdir / "c.yaml").unlink()
    return Path(moved)


def write_texts(name, texts=TEXTS, columns=("review", "stars")):
    """Write texts in the format of the file's ending."""
    path = Path(name)
    if ".jsonl" in name:
        data = "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in texts)
    elif ".txt" in name:
        data = "".join(f"__label__{label} {text}\n" for text, label in texts)
    else:
        separator = "\t" if ".tsv" in name else ","
        quote = '"' if separator == "," else ""
        data = separator.join(columns) + "\n"
        data += "".join(f"{quote}{text}{quote}{separator}{label}\n" for text, label in texts)
    path.write_bytes(gzip.compress(data.encode()) if name.endswith(".gz") else data.encode())
    return path


def test_without_data_it_reads_the_validation_part(cli, checkpoint):
    done = cli("eval", checkpoint)
    assert (done.code, done.err) == (0, "")
    assert re.search(r"^data +validation part \(0.3\) of .*tiny.csv; the config has no test data$", done.out, re.M)
    assert re.search(r"^checkpoint +elsewhere/model.safetensors \(gru, step \d+\)$", done.out, re.M)


def test_the_validation_part_has_the_figures_of_the_run(cli, workdir):
    values = tiny_values(write_csv(workdir / "tiny.csv", repeats=3), name="c")
    best = json.loads(cli("train", write_config(workdir / "c.yaml", values), "--json").out)["best"]
    report = json.loads(cli("eval", "runs/c/best.safetensors", "--json").out)
    for key in ("accuracy", "macro_f1", "loss"):
        assert report[key] == best[key]


def test_the_test_data_of_the_config(cli, workdir):
    test = {"format": "csv", "path": str(write_texts("held.csv", columns=("text", "label")))}
    values = merged(tiny_values(write_csv(workdir / "tiny.csv"), name="c"), {"data": {"test": test}})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    report = json.loads(cli("eval", "runs/c/best.safetensors", "--json").out)
    assert (report["rows"], report["data"]) == (len(TEXTS), "test data held.csv")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("new.csv", []),
        ("new.csv.gz", []),
        ("new.tsv", ["--text", "review", "--label", "stars"]),
        ("new.jsonl", ["--text", "review", "--label", "stars"]),
        ("new.jsonl.gz", ["--text", "review", "--label", "stars"]),
        ("new.txt", ["--format", "fasttext"]),
        ("new", ["--format", "csv"]),
    ],
)
def test_the_checkpoint_alone_reads_new_data_of_every_format(cli, checkpoint, name, options):
    Path("tiny.csv").unlink()  # nothing of the run is left
    texts = [row for row in TEXTS if row[0] or "txt" not in name]
    path = write_texts(name, texts)
    done = cli("eval", checkpoint, "--data", path, *options, "--json")
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert report["rows"] == len(texts)
    assert report["data"] == f"test data {name}"


def test_a_folder_of_labels(cli, checkpoint):
    for number, (text, label) in enumerate(TEXTS):
        Path("tree", label).mkdir(parents=True, exist_ok=True)
        Path("tree", label, f"{number}_1.txt").write_text(text)
    assert json.loads(cli("eval", checkpoint, "--data", "tree", "--json").out)["rows"] == len(TEXTS)


def test_json_and_text_agree(cli, checkpoint):
    path = write_texts("new.csv")
    text, report = (
        cli("eval", checkpoint, "--data", path).out,
        json.loads(cli("eval", checkpoint, "--data", path, "--json").out),
    )
    lines = report_lines(report)
    shown = text.splitlines()
    assert shown[2 : 2 + len(lines)] == lines
    assert f"loss        {report['loss']:.4f} nats" in lines
    assert f"accuracy    {report['accuracy']:.2%}" in lines
    assert f"ROC AUC     {report['roc_auc']:.4f}" in lines
    for scores in report["classes"]:
        figures = [f"{scores[key]:.2%}" for key in ("precision", "recall", "f1")]
        assert [scores["label"], *figures, str(scores["support"])] in [line.split() for line in lines]
    macro = [f"{report[f'macro_{key}']:.2%}" for key in ("precision", "recall", "f1")]
    assert ["macro", *macro, str(report["rows"])] in [line.split() for line in lines]
    for scores, counts in zip(report["classes"], report["confusion"], strict=True):
        assert [scores["label"], *map(str, counts)] in [line.split() for line in lines]
    assert f"\n{len(TEXTS)} texts, " in text


def test_the_figures_are_those_of_scikit_learn(cli, workdir):
    metrics = pytest.importorskip("sklearn.metrics")
    values = tiny_values(SAMPLE, name="c", train={"epochs": 3, "batch_size": 16})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    done = cli("eval", "runs/c/best.safetensors", "--data", SAMPLE, "--json", "--predictions", "p.jsonl")
    report, rows = json.loads(done.out), jsonl(Path("p.jsonl"))
    labels = ["negative", "positive"]
    true, predicted = [row["label"] for row in rows], [row["predicted"] for row in rows]
    positive = np.array([row["probabilities"]["positive"] for row in rows])
    assert report["rows"] == len(rows) == 400
    assert 0.5 < report["accuracy"] < 1
    assert report["accuracy"] == pytest.approx(metrics.accuracy_score(true, predicted))
    assert report["confusion"] == metrics.confusion_matrix(true, predicted, labels=labels).tolist()
    assert report["roc_auc"] == pytest.approx(metrics.roc_auc_score(np.array(true) == "positive", positive), abs=1e-4)
    both = np.stack([1 - positive, positive], axis=1)
    assert report["loss"] == pytest.approx(metrics.log_loss(true, both, labels=labels), abs=1e-4)
    by_class = metrics.precision_recall_fscore_support(true, predicted, labels=labels)
    for i, key in enumerate(("precision", "recall", "f1", "support")):
        assert [scores[key] for scores in report["classes"]] == pytest.approx(list(by_class[i]))
    macro = metrics.precision_recall_fscore_support(true, predicted, labels=labels, average="macro")
    assert [report[f"macro_{key}"] for key in ("precision", "recall", "f1")] == pytest.approx(list(macro[:3]))


def test_more_than_two_labels_have_no_roc_auc(cli, workdir):
    texts = [(f"word{i} word{i % 4}", "abc"[i % 3]) for i in range(40)]
    values = tiny_values(write_texts("three.csv", texts, ("text", "label")), name="c")
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    done = cli("eval", "runs/c/best.safetensors", "--data", "three.csv")
    assert done.code == 0
    assert "ROC AUC" not in done.out
    assert json.loads(cli("eval", "runs/c/best.safetensors", "--json").out)["roc_auc"] is None


def test_predictions_are_one_row_a_text(cli, checkpoint):
    texts = [*TEXTS, ("éàü 🎬 “quoted”", "pos")]
    path = write_texts("new.csv", texts)
    assert cli("eval", checkpoint, "--data", path, "--predictions", "p.jsonl").code == 0
    assert "🎬" in Path("p.jsonl").read_text(encoding="utf-8")
    rows = jsonl(Path("p.jsonl"))
    assert [(row["text"], row["label"]) for row in rows] == texts
    assert [row["where"] for row in rows] == [f"new.csv:{line}" for line in range(2, len(texts) + 2)]
    for row in rows:
        assert set(row) == {"where", "text", "label", "predicted", "probabilities"}
        assert set(row["probabilities"]) == {"neg", "pos"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=2e-6)
        assert row["predicted"] == max(row["probabilities"], key=row["probabilities"].get)


def test_evaluating_twice_gives_the_same(cli, checkpoint):
    first, second = (json.loads(cli("eval", checkpoint, "--json").out) for _ in range(2))
    assert first.pop("seconds") > 0
    assert first.pop("tokens") > 0
    assert first.items() < second.items()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "missing.csv"], 1, ["missing.csv"]),
        (["--data", "empty.csv"], 1, ["empty.csv"]),
        (["--data", "header.csv"], 1, ["header.csv", "no rows"]),
        (["--data", "unseen.csv"], 1, ["unseen.csv:3", "'odd'", "'neg', 'pos'"]),
        (["--data", "damaged.csv.gz"], 1, ["damaged.csv.gz"]),
        (["--data", "latin.csv"], 1, ["latin.csv:2"]),
        (["--data", "good.csv", "--text", "txt"], 1, ["good.csv:1", "txt", "review"]),
        (["--data", "good.unknown"], 2, ["--data good.unknown", "--format", "csv"]),
        (["--data", "good.csv", "--format", "fasttext", "--text", "review"], 2, ["--text: belongs to format csv"]),
        (["--data", "good.csv", "--format", "keras_imdb"], 2, ["--word-index"]),
        (["--data", "good.csv", "--predictions", "good.csv"], 2, ["--predictions good.csv", "is a data file"]),
        (["--predictions", "link"], 2, ["--predictions link", "is a data file"]),
        (["--predictions", "elsewhere/model.safetensors"], 2, ["is the checkpoint"]),
        (["--data", "tree", "--predictions", "tree/pos/1.txt"], 2, ["is a data file"]),
        (["--data", "good.csv", "--predictions", "missing/p.jsonl"], 1, ["missing/p.jsonl", "cannot be written"]),
        (["--data", "good.csv", "--predictions", "."], 1, ["cannot be written", "--predictions"]),
    ],
)
def test_what_cannot_be_used_is_one_line(cli, checkpoint, arguments, code, words):
    write_texts("good.csv")
    Path("link").symlink_to("tiny.csv")
    Path("tree/pos").mkdir(parents=True)
    Path("tree/pos/1.txt").write_text("good film")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    write_texts("unseen.csv", [TEXTS[0], ("odd", "odd")])
    write_texts("header.csv", [])
    Path("empty.csv").write_bytes(b"")
    Path("latin.csv").write_bytes(b"review,stars\ncaf\xe9,pos\n")
    Path("damaged.csv.gz").write_bytes(write_texts("whole.csv.gz").read_bytes()[:-12])
    line = cli.refused("eval", checkpoint, *arguments, code=code)
    for word in words:
        assert word in line
    assert {path: path.read_bytes() for path in before} == before
    assert not list(Path().rglob(".rnncli-*"))


def test_where_predictions_go_is_tried_before_scoring_and_an_earlier_file_outlives_a_failure(
    cli, checkpoint, monkeypatch
):
    Path("p.jsonl").write_text("earlier")

    def fail(*_):
        assert list(Path().glob(".rnncli-output.*"))
        raise RnncliError("scoring failed")

    monkeypatch.setattr("rnncli.cli.eval_classification.evaluate_classifier", fail)
    assert "missing/p.jsonl" in cli.refused("eval", checkpoint, "--predictions", "missing/p.jsonl")
    assert "scoring failed" in cli.refused("eval", checkpoint, "--predictions", "p.jsonl")
    assert Path("p.jsonl").read_text() == "earlier"
    assert not list(Path().glob(".rnncli-*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_predictions_on_a_full_disk(cli, checkpoint):
    line = cli.refused("eval", checkpoint, "--predictions", "/dev/full")
    assert "/dev/full: cannot be written: No space left on device. Free some space or choose" in line
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_predictions_replace_an_earlier_file_behind_a_link(cli, checkpoint):
    Path("old.jsonl").write_text("earlier")
    Path("old.jsonl").chmod(0o600)
    Path("p.jsonl").symlink_to("old.jsonl")
    assert cli("eval", checkpoint, "--predictions", "p.jsonl").code == 0
    assert Path("p.jsonl").is_symlink()
    assert len(jsonl(Path("old.jsonl"))) > 1
    assert stat.S_IMODE(os.stat("old.jsonl").st_mode) == 0o600


def test_kerass_file_with_its_words(cli, checkpoint):
    reviews = np.empty(2, dtype=object)
    reviews[:] = [[2, 1], [1, 3]]
    labels = np.array([1, 0])
    np.savez("imdb.npz", x_train=reviews, y_train=labels, x_test=reviews, y_test=labels)
    Path("words.json").write_text(json.dumps({"film": 1, "good": 2, "bad": 3}))
    done = cli("eval", checkpoint, "--data", "imdb.npz", "--word-index", "words.json", "--predictions", "p.jsonl")
    assert (done.code, done.err) == (0, "")
    assert [row["text"] for row in jsonl(Path("p.jsonl"))] == ["good film", "film bad"]
    refusal = cli.refused(
        *("eval", checkpoint, "--data", "imdb.npz", "--word-index", "words.json", "--predictions", "words.json"), code=2
    )
    assert "is a data file" in refusal


def report_of(labels, pairs):
    """The report on true and predicted classes, each as often as the pairs say."""
    true = np.repeat([pair[0] for pair in pairs], list(pairs.values()))
    scores = np.zeros((len(true), len(labels)))
    scores[np.arange(len(true)), np.repeat([pair[1] for pair in pairs], list(pairs.values()))] = 5
    return classification_report(true, scores, labels)


def test_many_labels_are_shown_by_their_most_frequent_confusions():
    labels = tuple(f"l{n:02}" for n in range(30))
    pairs = {(n, n): 50 for n in range(30)} | {(n, (n + 1) % 30): n + 1 for n in range(25)}
    lines = report_lines(report_of(labels, pairs))
    start = lines.index("most frequent confusions: 20 of 25 pairs")
    assert lines[start + 1].split() == ["true", "predicted", "texts"]
    assert [line.split() for line in lines[start + 2 :]] == [
        [f"l{n:02}", f"l{n + 1:02}", str(n + 1)] for n in range(24, 4, -1)
    ]
    none = report_lines(report_of(labels, {(n, n): 2 for n in range(30)}))
    assert none[-1] == "most frequent confusions: 0 of 0 pairs"
    assert any(line.startswith("confusion: ") for line in report_lines(report_of(labels[:20], {(0, 1): 2, (1, 1): 2})))


def test_long_labels_are_shortened():
    lines = report_lines(report_of(("a" * 500, "b\x1b" * 200, "c"), {(0, 0): 3, (1, 2): 2, (2, 1): 1}))
    assert max(map(len, lines)) < 100
    assert all(line.isprintable() for line in lines)


def test_the_data_of_the_config_may_be_gone(cli, checkpoint):
    Path("tiny.csv").unlink()
    assert "tiny.csv" in cli.refused("eval", checkpoint)


@pytest.mark.parametrize("options", [["--format", "csv"], ["--text", "review"], ["--label", "stars"]])
def test_options_about_data_need_data(cli, checkpoint, options):
    done = cli("eval", checkpoint, *options)
    assert (done.code, done.out) == (2, "")
    assert "--data" in done.err


def test_a_checkpoint_that_is_damaged_or_none(cli, checkpoint):
    whole = checkpoint.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    for name, contents in {"cut": whole[:-1], "changed": changed, "empty": b"", "pickle": b"\x80\x04]."}.items():
        Path(name).write_bytes(contents)
        assert cli.refused("eval", name).startswith(f"rnncli: {name}: ")
    assert "no such file" in cli.refused("eval", "missing.safetensors")
    assert "best.safetensors" in cli.refused("eval", "elsewhere")


def test_no_option_is_without_effect():
    """Each is used in a test above, or in test_cli_eval_baseline.py and test_cli_eval_threshold.py."""
    assert {parameter.name for parameter in command.params} == {
        *(
            "checkpoints",
            "ensemble",
            "data",
            "data_format",
            "text_column",
            "label_column",
            "word_index",
            "predictions",
            "as_json",
        ),
        *("baseline", "order", "threshold", "find_threshold", "positive"),
    }
