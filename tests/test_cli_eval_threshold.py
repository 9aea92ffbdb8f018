"""``rnncli eval`` with a threshold between two labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import SAMPLE, Cli, jsonl, tiny_values, write_config, write_csv
from tiny_tasks import tagging_values, write_conllu

KEYS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1")


def train(cli: Cli, values: dict) -> str:
    assert cli("train", write_config(Path("c.yaml"), values)).code == 0
    return f"runs/{values['name']}/best.safetensors"


@pytest.fixture(params=["softmax", "binary"])
def checkpoint(cli: Cli, request) -> str:
    model = {"loss": request.param}
    return train(cli, tiny_values(SAMPLE, model=model, train={"epochs": 1, "batch_size": 16}))


def test_a_given_threshold_decides(cli: Cli, checkpoint):
    done = cli("eval", checkpoint, "--threshold", 0.45, "--predictions", "p.jsonl", "--json")
    report, rows = json.loads(done.out), jsonl(Path("p.jsonl"))
    p = np.array([row["probabilities"]["positive"] for row in rows])
    called = np.array([row["predicted"] == "positive" for row in rows])
    assert np.array_equal(called, p >= 0.45)
    assert not np.array_equal(called, p >= 0.5)
    true = np.array([row["label"] == "positive" for row in rows])
    assert report["accuracy"] == np.mean(called == true)
    assert report["confusion"][0][1] == np.sum(called & ~true)
    found = report["threshold"]
    (at,) = found["at"]
    assert (found["positive"], found["value"], at["threshold"]) == ("positive", 0.45, 0.45)
    assert (at["accuracy"], at["precision"]) == (report["accuracy"], pytest.approx(report["classes"][1]["precision"]))
    usual = json.loads(cli("eval", checkpoint, "--json").out)
    assert usual["accuracy"] != report["accuracy"]
    assert (usual["loss"], usual["roc_auc"]) == (report["loss"], report["roc_auc"])


def test_the_other_label_may_be_positive(cli: Cli, checkpoint):
    done = cli("eval", checkpoint, "--threshold", 0.45, "--positive", "negative", "--predictions", "p.jsonl")
    assert all(
        (row["predicted"] == "negative") == (row["probabilities"]["negative"] >= 0.45) for row in jsonl(Path("p.jsonl"))
    )
    lines = done.out.splitlines()
    assert "threshold   negative from probability 0.45 on" in lines
    assert lines[-1] == f"next: rnncli predict {checkpoint} --threshold 0.45 --positive negative"


@pytest.mark.parametrize("goal", ["f1", "accuracy", "balanced_accuracy"])
def test_a_threshold_is_chosen_on_the_validation_part(cli: Cli, checkpoint, goal):
    report = json.loads(cli("eval", checkpoint, "--find-threshold", goal, "--json").out)
    found = report["threshold"]
    assert found["chosen_on"].startswith("validation part (0.3) of ")
    assert found["chosen_on_evaluated_texts"] is True
    assert found["at"][0]["threshold"] == 0.5
    assert found["at"][0]["accuracy"] == report["accuracy"]
    assert found["at"][-1]["threshold"] == found["value"]
    assert found["at"][-1][goal] >= found["at"][0][goal]
    given = json.loads(cli("eval", checkpoint, "--threshold", found["value"], "--json").out)["threshold"]
    assert given["at"] == found["at"][-1:]


def test_what_is_printed(cli: Cli, checkpoint, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    found = json.loads(cli("eval", checkpoint, "--find-threshold", "f1", "--json").out)["threshold"]
    shown = cli("eval", checkpoint, "--find-threshold", "f1").out
    assert shown.startswith(cli("eval", checkpoint).out.rpartition(" in ")[0])
    lines = shown.splitlines()
    said = f"threshold {found['value']} of positive: the best F1 on the {found['chosen_on']}; chosen on the very texts"
    assert said in " ".join(shown.split())
    assert lines[-1] == f"next: rnncli predict {checkpoint} --threshold {found['value']}"
    for one in found["at"]:
        assert [str(one["threshold"]), *(f"{one[key]:.2%}" for key in KEYS)] in [line.split() for line in lines]


def test_data_that_is_reported_has_no_say(cli: Cli, checkpoint):
    """The threshold is the validation part's; the figures are those of the data."""
    write_csv(Path("t.csv"))
    text = Path("t.csv").read_text().replace(",pos", ",positive").replace(",neg", ",negative")
    Path("t.csv").write_text(text)
    own = json.loads(cli("eval", checkpoint, "--find-threshold", "f1", "--json").out)["threshold"]
    report = json.loads(cli("eval", checkpoint, "--data", "t.csv", "--find-threshold", "f1", "--json").out)
    found = report["threshold"]
    assert (found["value"], found["chosen_on"]) == (own["value"], own["chosen_on"])
    assert found["chosen_on_evaluated_texts"] is False
    assert found["at"][0]["accuracy"] == report["accuracy"]
    assert report["rows"] == 24
    assert "very texts" not in cli("eval", checkpoint, "--data", "t.csv", "--find-threshold", "f1").out


def test_test_data_of_the_config_has_no_say_either(cli: Cli, workdir):
    write_csv(workdir / "t.csv", repeats=2)
    checkpoint = train(cli, tiny_values("t.csv", data={"test": {"format": "csv", "path": "t.csv"}}))
    report = json.loads(cli("eval", checkpoint, "--find-threshold", "f1", "--json").out)
    found = report["threshold"]
    assert (report["data"], found["chosen_on_evaluated_texts"]) == ("test data t.csv", False)
    assert found["chosen_on"].startswith("validation part (")
    assert found["at"][0]["accuracy"] == report["accuracy"]


def test_a_validation_part_of_one_label_chooses_nothing(cli: Cli, workdir):
    write_csv(workdir / "t.csv", repeats=2)
    (workdir / "v.csv").write_text("text,label\nfilm good,pos\nplot fine,pos\n")
    values = tiny_values("t.csv", data={"valid": {"format": "csv", "path": "v.csv"}})
    del values["data"]["valid_fraction"]
    checkpoint = train(cli, values)
    done = cli("eval", checkpoint, "--data", "t.csv", "--find-threshold", "f1")
    assert "validation data v.csv: all texts have the label 'pos'" in done.failed()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--threshold", "1.5"], ["--threshold", "0<=x<=1"]),
        (["--threshold", "nan"], ["--threshold", "nan is not in the range"]),
        (["--threshold", "0.5", "--find-threshold", "f1"], ["leave one of them out"]),
        (["--find-threshold", "recall"], ["'f1', 'accuracy', 'balanced_accuracy'"]),
        (["--positive", "positive"], ["--positive", "which are missing"]),
        (["--threshold", "0.5", "--positive", "good"], ["--positive: 'good'", "Give negative or positive"]),
    ],
)
def test_what_cannot_be_used_is_one_line(cli: Cli, checkpoint, options, words):
    line = cli.refused("eval", checkpoint, *options, code=2)
    for word in words:
        assert word in line


def test_other_tasks_and_more_labels_have_no_threshold(cli: Cli, workdir):
    rows = [f"word{i % 3} n{i},{'abc'[i % 3]}" for i in range(30)]
    (workdir / "three.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    three = train(cli, tiny_values("three.csv"))
    assert "this classifier has 3" in cli.refused("eval", three, "--threshold", 0.5, code=2)
    assert "--find-threshold: is for two labels" in cli.refused("eval", three, "--find-threshold", "f1", code=2)
    tagger = train(cli, tagging_values(write_conllu(workdir / "a.conllu")))
    assert "has no effect on task tagging" in cli.refused("eval", tagger, "--threshold", 0.5, code=2)
