"""``rnncli metrics``."""

import csv
import io
import json
import os
import re
import threading
from pathlib import Path

import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, TAGGER
from tiny_runs import jsonl

from rnncli.cli.metrics import read_again


@pytest.mark.parametrize("place", [GRU, GRU / "last.safetensors", GRU / "metrics.jsonl"])
def test_validations_are_a_table(cli, finished, place):
    done = cli("metrics", place)
    assert (done.code, done.err) == (0, "")
    head, *lines = done.out.splitlines()
    assert re.split(r"  +", head.strip()) == [
        "epoch",
        "step",
        "train loss",
        "valid loss",
        "accuracy",
        "macro F1",
        "seconds",
    ]
    rows = [row for row in jsonl(GRU / "metrics.jsonl") if row["kind"] == "validation"]
    assert len(lines) == len(rows) == 2
    for line, row in zip(lines, rows, strict=True):
        assert line.split()[:5] == [
            "1" if row is rows[0] else "2",
            str(row["step"]),
            f"{row['train_loss']:.4f}",
            f"{row['loss']:.4f}",
            f"{row['accuracy']:.2%}",
        ]
    assert [line.endswith("best") for line in lines].count(True) == 1


def test_steps_are_a_table(cli, finished):
    head, *lines = cli("metrics", GRU, "--steps").out.splitlines()
    assert re.split(r"  +", head.strip()) == [
        "epoch",
        "step",
        "loss",
        "accuracy",
        "lr",
        "grad norm",
        "tokens",
        "tokens/s",
        "seconds",
    ]
    rows = [row for row in jsonl(GRU / "metrics.jsonl") if row["kind"] == "step"]
    assert [line.split()[1] for line in lines] == [str(row["step"]) for row in rows]
    assert lines[0].split()[4] == "0.0100"


@pytest.mark.parametrize("options", [["--steps"], ["--steps", "--json"], ["--json"], []])
def test_many_rows_are_printed_in_portions(cli, finished, monkeypatch, options):
    whole = cli("metrics", GRU, *options).out
    monkeypatch.setattr("rnncli.cli.metrics._AT_ONCE", 2)
    assert cli("metrics", GRU, *options).out == whole


def test_rows_are_not_held_in_memory(finished):
    rows = read_again(GRU / "metrics.jsonl", ("step",))
    before = list(rows())
    (GRU / "metrics.jsonl").write_text(json.dumps(before[0]) + "\n")
    assert list(rows()) == before[:1]


@pytest.mark.parametrize("options", [["--steps"], ["--csv"], []])
def test_a_pipe_can_be_read_once_only(cli, finished, options):
    text = (GRU / "metrics.jsonl").read_text()
    os.mkfifo("pipe")
    writer = threading.Thread(target=Path("pipe").write_text, args=[text])
    writer.start()
    assert cli("metrics", "pipe", *options).out == cli("metrics", GRU, *options).out
    writer.join()


def test_every_task_has_its_figures(cli, finished):
    assert "unseen" in cli("metrics", TAGGER).out
    assert "entities" in cli("metrics", ENTITIES).out
    assert "entities" not in cli("metrics", TAGGER).out
    assert re.search("perplexity +bits/char +accuracy", cli("metrics", LANGUAGE).out)


def test_csv_has_a_row_for_each_record(cli, finished):
    done = cli("metrics", GRU, "--csv")
    assert (done.code, done.err) == (0, "")
    found = list(csv.DictReader(io.StringIO(done.out)))
    rows = jsonl(GRU / "metrics.jsonl")
    assert len(found) == len(rows)
    assert set(found[0]) == {key for row in rows for key in row}
    for line, row in zip(found, rows, strict=True):
        for key, text in line.items():
            value = row.get(key)
            assert text == ("" if value is None else value if isinstance(value, str) else json.dumps(value)), key
    assert cli("metrics", GRU, "--csv", "out.csv").out == ""
    assert Path("out.csv").read_text() == done.out


def test_json_has_the_rows_that_are_shown(cli, finished):
    rows = jsonl(GRU / "metrics.jsonl")
    assert json.loads(cli("metrics", GRU, "--json").out) == {
        "metrics": "runs/gru/metrics.jsonl",
        "rows": [row for row in rows if row["kind"] == "validation"],
    }
    assert json.loads(cli("metrics", GRU, "--steps", "--json").out)["rows"] == [
        row for row in rows if row["kind"] == "step"
    ]


def test_a_resumption_and_what_is_missing_are_shown(cli, finished):
    with (GRU / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "resumed", "step": 66, "changed": {"train.epochs": [2, 3]}, "seconds": 1.5}\n')
        file.write(
            '{"kind": "validation", "step": 99, "epoch": 3, "loss": 0.1, "train_loss": null, "improved": false}\n'
        )
        file.write(
            '{"kind": "step", "step": 100, "epoch": 3, "loss": null, "skipped": true, "grad_norm": null, "lr": 0.01}\n'
        )
        file.write('{"kind": "sample", "step": 100, "text": "one, \\"two\\"\\nthree"}\n')
    lines = cli("metrics", GRU).out.splitlines()
    assert re.fullmatch(r" +66 +resumed", lines[-2])
    assert lines[-1].split() == ["3", "99", "-", "0.1000", "-", "-", "-"]
    last = cli("metrics", GRU, "--steps").out.splitlines()[-1]
    assert last.split() == ["3", "100", "-", "-", "0.0100", "-", "-", "-", "-", "skipped"]
    rows = list(csv.DictReader(io.StringIO(cli("metrics", GRU, "--csv").out)))
    assert rows[-1]["text"] == 'one, "two"\nthree'
    assert rows[-4]["changed"] == '{"train.epochs": [2, 3]}'


def test_a_run_that_has_only_begun(cli, finished):
    step = next(row for row in jsonl(GRU / "metrics.jsonl") if row["kind"] == "step")
    (GRU / "metrics.jsonl").write_text(json.dumps(step) + "\n")
    assert "no validation yet; --steps shows the steps" in cli.refused("metrics", GRU)
    assert cli("metrics", GRU, "--steps").code == 0
    (GRU / "metrics.jsonl").write_text("")
    assert "no step yet" in cli.refused("metrics", GRU, "--steps")


def test_misuse(cli, finished):
    assert "cannot be read" in cli.refused("metrics", "nowhere")
    assert "runs/metrics.jsonl: cannot be read" in cli.refused("metrics", "runs")
    assert "is not a row" in cli.refused("metrics", GRU / "config.yaml")
    assert "give it without" in cli.refused("metrics", GRU, "--csv", "--json", code=2)
    before = (GRU / "best.safetensors").read_bytes()
    for file in ("metrics.jsonl", "best.safetensors", "last.safetensors", "config.yaml"):
        assert "which it would replace" in cli.refused("metrics", GRU, "--csv", GRU / file, code=2)
    assert (GRU / "best.safetensors").read_bytes() == before
    assert "cannot be written" in cli.refused("metrics", GRU, "--csv", "none/out.csv")
    assert "it is a folder" in cli.refused("metrics", GRU, "--csv", "runs")
