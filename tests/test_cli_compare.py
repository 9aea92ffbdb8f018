"""``rnncli compare``."""

import json
import re
import shutil
from pathlib import Path

import pytest
from finished_runs import GRU, LANGUAGE, RNN, TAGGER, THREE

from rnncli.cli.compare import turned_to_fit
from rnncli.cli.tables import columns


@pytest.fixture(autouse=True)
def _width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_runs_are_set_beside_each_other(cli, finished):
    done = cli("compare", GRU, RNN)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert re.fullmatch(r"validation part \(0\.3\) of tiny\.csv; the config has no test data: \d+ texts", lines[0])
    assert lines[2].split("  ")[0] == ""
    assert re.search(
        r"accuracy +95% interval +macro F1 +loss, nats +parameters +tokens/s +whole run +peak memory +epoch$", lines[2]
    )
    assert re.match(r"gru +\d+\.\d\d% +\d+\.\d\d to \d+\.\d\d% ", lines[3])
    assert lines[4].startswith("rnn ")
    assert "accuracy points against gru, by McNemar's exact test" in lines
    assert re.search(r"difference +95% interval +only it right +only gru +p +verdict$", done.out, re.M)
    assert "p, Holm" not in done.out
    (pair,) = json.loads(cli("compare", GRU, RNN, "--json").out)["differences"]
    only = pair["mcnemar"]
    assert pair["difference"] != 0
    assert only["first_only"] != only["second_only"]
    points = f"{100 * pair['difference']:+.2f}"
    shown = rf"^rnn +{re.escape(points)} .* {only['second_only']} +{only['first_only']} "
    assert re.search(shown, done.out, re.M)
    assert re.search(r"^model\.rnn\.cell +gru +rnn$", done.out, re.M)
    assert not any(line != line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(cli, finished, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    done = cli("compare", GRU, RNN)
    longest = max(done.out.splitlines()[1:], key=columns)
    assert columns(longest) <= width, longest
    assert "macro F1" in done.out


def test_of_several_each_is_tested_against_the_first(cli, finished):
    shutil.copytree(GRU, "runs/again")
    done = cli("compare", RNN, GRU, "runs/again")
    assert "p, Holm" in done.out
    assert done.out.count("difference") >= 1
    pairs = json.loads(cli("compare", RNN, GRU, "runs/again", "--json").out)["differences"]
    assert [(pair["run"], pair["with"]) for pair in pairs] == [("gru", "rnn"), ("again", "rnn")]
    assert pairs[0]["p"] == pairs[1]["p"]


def test_json_has_every_figure(cli, finished):
    found = json.loads(cli("compare", GRU, RNN, "--json").out)
    assert set(found) == {"runs", "differences", "config"}
    report = json.loads(cli("eval", GRU / "best.safetensors", "--json").out)
    run = found["runs"][0]
    for key in ("accuracy", "macro_f1", "loss", "roc_auc"):
        assert run["figures"][key] == report[key]
    assert run["interval"][0] <= report["accuracy"] <= run["interval"][1]
    assert run["checkpoint"] == "runs/gru/best.safetensors"
    assert run["parameters"] > 0
    assert found["config"]["model.rnn.cell"] == ["gru", "rnn"]
    again = json.loads(cli("compare", GRU, RNN, "--json").out)
    assert again == found


def test_language_models_and_taggers(cli, finished):
    done = cli("compare", LANGUAGE, LANGUAGE / "last.safetensors")
    assert "bits/char against language, by the paired bootstrap" in done.out
    assert "the configs are the same but for the name" in done.out
    done = cli("compare", TAGGER, TAGGER / "last.safetensors")
    assert "accuracy points against tagger, by the paired bootstrap" in done.out
    assert re.search(
        r"^sentences right as a whole: \d+ only by tagger/last, \d+ only by tagger, McNemar p ", done.out, re.M
    )


def test_other_data_is_said_to_be_so(cli, finished):
    done = cli("compare", GRU, THREE)
    assert done.code == 0
    assert "gru: validation part (0.3) of tiny.csv" in done.out
    assert "three: validation part (0.3) of three.csv" in done.out
    assert "three is not compared with gru: they were evaluated on different data" in done.out
    assert "McNemar" not in done.out


def test_all_on_another_file(cli, finished):
    done = cli("compare", GRU, RNN, "--data", "tiny.csv")
    assert done.out.startswith("test data tiny.csv: 192 texts\n")
    Path("renamed.csv").write_text(Path("tiny.csv").read_text().replace("text,label", "body,stars"))
    renamed = ["--data", "renamed.csv", "--text", "body", "--label", "stars"]
    assert cli("compare", GRU, RNN, *renamed).out.splitlines()[2:5] == done.out.splitlines()[2:5]
    assert "none.csv" in cli.refused("compare", GRU, RNN, "--data", "none.csv")
    both = LANGUAGE, LANGUAGE / "last.safetensors"
    assert "has no effect" in cli.refused("compare", *both, "--data", "tiny.txt", "--text", "body", code=2)


def test_data_that_is_gone_leaves_what_training_recorded(cli, finished):
    Path("tiny.csv").unlink()
    done = cli("compare", GRU, RNN)
    assert done.code == 0
    assert done.out.startswith("not evaluated, these are the figures of its training: tiny.csv: ")
    assert done.out.count("not evaluated") == 1
    assert re.search(r"^gru +\d+\.\d\d% ", done.out, re.M)
    assert "rnn is not compared with gru: gru could not be evaluated" in done.out


def test_misuse(cli, finished):
    assert "two runs at least" in cli.refused("compare", GRU, code=2)
    assert "several tasks" in cli.refused("compare", GRU, TAGGER, code=2)
    assert "describe --data" in cli.refused("compare", GRU, RNN, "--label", "x", code=2)
    assert "holds no checkpoint" in cli.refused("compare", "runs", GRU)
    assert "there is no such file" in cli.refused("compare", "nowhere", GRU)
    (GRU / "metrics.jsonl").write_text("nonsense\n")
    assert "metrics.jsonl:1: is not a row" in cli.refused("compare", GRU, RNN)


@pytest.mark.parametrize(("width", "lines"), [(30, 2), (21, 2), (20, 3), (13, 3)])
def test_a_table_is_turned_where_it_fits_better(width, lines):
    assert len(turned_to_fit(["", "h", "i"], [["a", "12345678", "12345678"]], width)) == lines


def test_a_table_that_fits_neither_way_is_the_narrower_one():
    rows = [[f"run{number}", "1", "2"] for number in range(20)]
    assert len(turned_to_fit(["", "h", "i"], rows, 5)) == 21
    assert len(turned_to_fit(["", *(f"head{number}" for number in range(20))], [["run", *["1"] * 20]], 5)) == 21
