"""``rnncli report``."""

import json
import sys
from pathlib import Path

from finished_runs import GRU, LANGUAGE, RNN, TAGGER


def test_the_page_goes_into_the_folder_of_the_run(cli, finished):
    done = cli("report", GRU)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("wrote runs/gru/report.html (")
    html = Path("runs/gru/report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    assert len(html.encode()) < 1_000_000


def test_a_report_goes_with_the_run_it_is_on(cli, finished):
    assert cli("report", LANGUAGE).code == 0
    Path("runs/language/notes.html").write_text("mine")
    assert cli("train", "runs/language/config.yaml", "--overwrite").code == 0
    assert not Path("runs/language/report.html").exists()
    assert Path("runs/language/notes.html").exists()


def test_a_report_is_made_anew(cli, finished):
    Path("page.html").write_text("an older one")
    assert cli("report", LANGUAGE, "-o", "page.html").out.startswith("wrote page.html (")
    assert "<h2>Results</h2>" in Path("page.html").read_text(encoding="utf-8")


def test_the_page_of_several_goes_into_this_folder(cli, finished):
    assert cli("report", GRU, RNN).out.startswith("wrote report.html (")
    assert "gru, rnn</title>" in Path("report.html").read_text(encoding="utf-8")


def test_json_says_what_was_written(cli, finished):
    found = json.loads(cli("report", LANGUAGE, "--json").out)
    assert found["report"] == "runs/language/report.html"
    assert found["bytes"] == Path(found["report"]).stat().st_size
    assert found["sections"][0] == "Results"
    assert found["runs"][0]["figures"]["bits_per_character"] > 0


def test_on_another_file(cli, finished):
    found = json.loads(cli("report", GRU, "--data", "tiny.csv", "--json").out)
    assert found["runs"][0]["units"] == 192
    assert "test data tiny.csv" in Path(found["report"]).read_text()


def test_data_that_is_gone_is_told_on_standard_error(cli, finished):
    Path("tiny.csv").unlink()
    done = cli("report", GRU)
    assert done.code == 0
    assert done.err.startswith("gru: without evaluation, ")
    assert Path("runs/gru/report.html").exists()


def test_nothing_else_is_replaced(cli, finished):
    names = ("best.safetensors", "last.safetensors", "metrics.jsonl", "config.yaml")
    for file in (*(GRU / name for name in names), "tiny.csv"):
        before = Path(file).read_bytes()
        assert "which it would replace" in cli.refused("report", GRU, "-o", file, code=2)
        assert "which it would replace" in cli.refused("report", GRU / "last.safetensors", "-o", file, code=2)
        assert Path(file).read_bytes() == before


def test_misuse_leaves_no_page(cli, finished):
    assert "holds no checkpoint" in cli.refused("report", "runs")
    assert "several tasks" in cli.refused("report", GRU, TAGGER, "-o", "page.html", code=2)
    assert "none.csv" in cli.refused("report", GRU, "--data", "none.csv", "-o", "page.html")
    assert "Missing argument" in cli.refused("report", code=2)
    assert "cannot be written" in cli.refused("report", GRU, "-o", "none/page.html")
    assert "it is a folder" in cli.refused("report", GRU, "-o", "runs")
    assert not Path("page.html").exists()
    assert not list(Path().glob(".rnncli-output*"))


def test_without_matplotlib_it_says_what_to_type(cli, finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = cli.refused("report", GRU)
    assert "matplotlib" in line
    assert "pip install 'rnncli[report]'" in line
    assert not Path("runs/gru/report.html").exists()
