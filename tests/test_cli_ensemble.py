"""``--ensemble`` of eval and predict."""

import json
from pathlib import Path

import pytest
from finished_runs import ENTITIES, GRU, LANGUAGE, RNN, TAGGER, THREE
from tiny_runs import jsonl

PAIR = [GRU / "best.safetensors", RNN / "best.safetensors"]


def test_eval_sets_each_beside_the_average(cli, finished):
    done = cli("eval", *PAIR, "--ensemble")
    assert done.code == 0, done
    lines = done.out.splitlines()
    assert lines[0].startswith("data  validation part (0.3) of tiny.csv")
    assert lines[2].split() == ["loss", "accuracy", "macro", "F1"]
    assert [line.split()[0] for line in lines[3:6]] == ["gru", "rnn", "ensemble"]
    found = json.loads(cli("eval", *PAIR, "--ensemble", "--json").out)
    assert [one["name"] for one in found["members"]] == ["gru", "rnn"]
    for line, report in zip(lines[3:6], [*found["members"], found["ensemble"]], strict=True):
        assert line.split()[-3:] == [f"{report['loss']:.4f}", f"{report['accuracy']:.2%}", f"{report['macro_f1']:.2%}"]
    assert cli("eval", GRU, RNN, "--ensemble").out.splitlines()[:6] == lines[:6]  # the folders of the runs
    single = json.loads(cli("eval", PAIR[0], "--json").out)
    assert found["members"][0]["loss"] == single["loss"]


def test_eval_on_a_file_and_its_predictions(cli, finished):
    done = cli("eval", *PAIR, "--ensemble", "--data", "tiny.csv", "--predictions", "p.jsonl", "--json")
    assert done.code == 0, done
    found, rows = json.loads(done.out), jsonl(Path("p.jsonl"))
    right = [row["label"] == row["predicted"] for row in rows]
    assert sum(right) / len(right) == found["ensemble"]["accuracy"]
    assert "replace" in cli.refused("eval", *PAIR, "--ensemble", "--predictions", PAIR[1], code=2)


def test_eval_of_taggers(cli, finished):
    pair = [TAGGER / "best.safetensors", TAGGER / "last.safetensors"]
    done = cli("eval", *pair, "--ensemble", "--data", "tiny.conllu", "--predictions", "p.conllu")
    assert done.code == 0, done
    assert [line.split()[0] for line in done.out.splitlines()[3:6]] == ["tagger", "tagger/last", "ensemble"]
    assert len(Path("p.conllu").read_text().splitlines()) == len(Path("tiny.conllu").read_text().splitlines())
    pair = [ENTITIES / "best.safetensors", ENTITIES / "last.safetensors"]
    done = cli("eval", *pair, "--ensemble")
    assert "entity F1" in done.out.splitlines()[2]
    assert "no test data" in cli.refused("eval", *pair, "--ensemble", "--predictions", "p", code=2)


def test_predict_answers_with_the_average(cli, finished):
    Path("texts.txt").write_text("film good\nplot bad\n")
    done = cli("predict", *PAIR, "--ensemble", "texts.txt", "--proba", "--json")
    assert done.code == 0, done
    alone = [cli("predict", path, "texts.txt", "--proba", "--json") for path in PAIR]
    mean, first, second = ([json.loads(line) for line in one.out.splitlines()] for one in (done, *alone))
    for row, one, other in zip(mean, first, second, strict=True):
        for label, probability in row["probabilities"].items():
            both = one["probabilities"][label] + other["probabilities"][label]
            assert probability == pytest.approx(both / 2, abs=2e-6)
    assert cli("predict", *PAIR, "--ensemble", "--text", "film good").code == 0
    assert cli("predict", "texts.txt", *PAIR, "--ensemble").code == 1  # the first is the checkpoint


def test_predict_of_taggers(cli, finished):
    pair = [TAGGER / "best.safetensors", TAGGER / "last.safetensors"]
    done = cli("predict", *pair, "--ensemble", "--text", "the dog sees")
    assert done.code == 0
    assert done.out == cli("predict", pair[1], "--text", "the dog sees").out or done.out.split()[0] == "the"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["eval", *PAIR], 2, "Several checkpoints: --ensemble averages them, and rnncli compare"),
        (["eval", PAIR[0], "--ensemble"], 2, "needs two checkpoints at least"),
        (["eval", *PAIR, "--ensemble", "--baseline"], 2, "--baseline: is for one checkpoint"),
        (["eval", *PAIR, "--ensemble", "--threshold", "0"], 2, "--threshold: is for one checkpoint"),
        (["eval", *PAIR, "--ensemble", "--find-threshold", "f1"], 2, "--find-threshold: is for one"),
        (["eval", *PAIR, PAIR[0], "--ensemble"], 2, "is named twice"),
        (["eval", PAIR[0], TAGGER, "--ensemble"], 1, "is of task tagging"),
        (["eval", PAIR[0], THREE, "--ensemble"], 1, "only runs/three/best.safetensors has 'poor'"),
        (["eval", LANGUAGE, LANGUAGE / "last.safetensors", "--ensemble"], 1, "is a language model"),
        (["eval", PAIR[0], "none.safetensors", "--ensemble"], 1, "none.safetensors"),
        (["eval", *PAIR, "--ensemble", "--data", "x.csv", "--format", "conllu"], 2, "is for taggers"),
        (["predict", *PAIR, "--text", "a"], 2, "is a second checkpoint. Add --ensemble"),
        (["predict", PAIR[0], "--ensemble", "--text", "a"], 2, "--ensemble: needs several checkpoints"),
        (["predict", *PAIR, "--ensemble", "a.txt", "b.txt"], 2, "b.txt: is a second file"),
        (["predict", *PAIR, "--ensemble", "tiny.csv", "--output", PAIR[1]], 2, "is the checkpoint"),
    ],
)
def test_what_does_not_go_together_is_refused(cli, finished, arguments, code, said):
    assert said in cli.refused(*arguments, code=code)
