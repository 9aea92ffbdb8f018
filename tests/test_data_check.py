import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rnncli.cli.data import command
from rnncli.config import DataConfig, load_config
from rnncli.data.check import DataReport, check_data
from rnncli.data.check_text import MAX_LABELS, report_lines
from rnncli.data.dataset import load_dataset
from rnncli.data.vocabulary import UNKNOWN_ID
from rnncli.errors import ConfigError, DataError

SAMPLE = str(Path(__file__).parents[1] / "data" / "sample.csv")
TRAIN = """text,label
good good film,pos
bad film,neg
Good good  film,pos
bad film,pos
,neg
a b c d e,neg
"""


def write(path: Path, text: str) -> dict[str, str]:
    path.write_text(text, encoding="utf-8")
    return {"format": path.suffix[1:], "path": str(path)}


def config(train: dict[str, str], **keys: Any) -> DataConfig:
    return DataConfig.model_validate({"train": train, **keys})


def config_file(folder: Path, data: dict[str, Any]) -> str:
    path = folder / "c.yaml"
    path.write_text(json.dumps({"data": data, "model": {"rnn": {"cell": "rnn"}}}), encoding="utf-8")
    return str(path)


def whats(faults: list[dict[str, str | None]]) -> str:
    return "\n".join(str(fault["what"]) for fault in faults)


@pytest.fixture
def report(tmp_path: Path) -> DataReport:
    keys = {"valid": write(tmp_path / "v.csv", "text,label\nbad film,neg\nnever seen words,pos\n")}
    keys["test"] = write(tmp_path / "t.csv", "text,label\nBad film,pos\nnever  seen words,neg\nbad film,pos\n")
    data = config(write(tmp_path / "r.csv", TRAIN), **keys, max_length=3, truncate="head", tokenizer={"min_count": 1})
    return check_data(data, 1)


def test_each_part_is_measured(report: DataReport):
    train = report.parts["train"]
    assert (train.rows, train.labels, train.groups) == (6, {"neg": 3, "pos": 3}, None)
    assert train.lengths == {"least": 0, "p10": 0, "p50": 2, "p90": 5, "p99": 5, "mean": 2.5, "most": 5}
    assert (train.cut, train.empty, train.repeats, train.contradictions) == (1, 1, 1, 1)
    assert train.examples[0]["first"].endswith("r.csv:3")
    assert train.examples[0]["second"].endswith("r.csv:5")
    assert (train.examples[0]["first_label"], train.examples[0]["second_label"]) == ("neg", "pos")
    assert list(report.parts) == ["train", "valid", "test"]
    assert report.ok


def test_a_text_with_several_labels_counts_once(tmp_path: Path):
    source = write(tmp_path / "s.csv", "text,label\nsame,x\nsame,y\nsame,z\nsame,y\nother,x\n")
    train = check_data(config(source, valid=source), 1).parts["train"]
    assert (train.contradictions, len(train.examples), train.repeats) == (1, 1, 3)


def test_vocabulary_and_coverage_are_those_of_training(report: DataReport):
    assert report.vocabulary == {"size": 7, "different_tokens": 8}  # the cut leaves d and e out
    assert report.parts["train"].known_tokens == 1.0
    assert report.parts["valid"].known_tokens == pytest.approx(2 / 5)
    assert report.parts["test"].known_tokens == pytest.approx(4 / 7)


def test_overlap_counts_the_rows_of_the_later_part(report: DataReport):
    assert report.overlap == {"valid_in_train": 1, "test_in_train": 1, "test_in_valid": 2}


def test_the_figures_are_those_of_the_data_set_that_is_trained_on():
    data = config({"format": "csv", "path": SAMPLE}, max_length=12, group_by="author")
    report, dataset = check_data(data, 3), load_dataset(data, 3, None)
    for name, part in (("train", dataset.train), ("valid", dataset.valid)):
        assert report.parts[name].rows == len(part)
        assert report.parts[name].known_tokens == pytest.approx((part.ids != UNKNOWN_ID).mean())
    assert report.vocabulary is not None
    assert report.vocabulary["size"] == len(dataset.vocabulary)
    groups = [report.parts[name].groups or 0 for name in ("train", "valid")]
    assert min(groups) > 0
    assert sum(groups) == 24
    assert report.overlap == {"valid_in_train": 0}


def test_rows_dropped_for_a_text_shared_by_groups_are_counted(tmp_path: Path):
    lines = [f"shared,{'pos' if n % 2 else 'neg'},group{n}" for n in range(40)]
    lines += [f"text {n},{'pos' if n % 2 else 'neg'},group{n}" for n in range(40)]
    source = write(tmp_path / "g.csv", "\n".join(["text,label,author", *lines]))
    data = config(source, group_by="author", valid_fraction=0.3)
    report = check_data(data, 1)
    assert report.dropped + sum(part.rows for part in report.parts.values()) == 80
    assert report.dropped == report.parts["train"].groups
    assert f"{report.dropped} rows left out of train" in "\n".join(report_lines(report, data))


def test_every_bad_row_is_listed_with_its_line_and_the_good_ones_are_measured(tmp_path: Path):
    source = write(tmp_path / "b.csv", "text,label\na a,x\nb b,\nc c,y,more\nd d,y\n\x00,x\ne e,x\n")
    report = check_data(config(source, valid=source), 1)
    lines = [str(fault["where"]).rpartition(":")[2] for fault in report.bad_rows]
    assert lines == ["3", "4", "6"] * 2
    assert report.parts["train"].rows == 3
    assert not report.ok
    text = report_lines(report, config(source))
    assert [line for line in text if "b.csv:4: " in line]
    assert text[-1] == "bad rows: 6; other problems: 0"


@pytest.mark.parametrize(
    ("train", "keys", "problem"),
    [
        ("text,label\na a,x\nb b,x\nc c,x\n", {"valid_fraction": 0.5}, "only label is 'x'"),
        ("text,label\n,x\n ,y\n", {"valid": {"format": "csv", "path": SAMPLE}}, "no text of the training part"),
        ("text,label\na,x\nb,y\n", {"valid_fraction": 1e-6}, "validation part is empty"),
        ("text,label\n", {}, "no rows"),
        ("words,label\na,x\n", {}, "text"),
        ("", {}, ""),
    ],
)
def test_what_stops_training_is_a_problem(tmp_path: Path, train: str, keys: dict[str, Any], problem: str):
    data = config(write(tmp_path / "p.csv", train), **keys)
    report = check_data(data, 1)
    assert not report.ok
    assert problem in whats(report.problems)
    assert report_lines(report, data)[-1].startswith("bad rows: 0; other problems: ")
    with pytest.raises(DataError):
        load_dataset(data, 1, None)


def test_a_label_without_a_row_in_a_part_is_a_warning(tmp_path: Path):
    train = write(tmp_path / "a.csv", "text,label\na a,x\nb b,y\n" + "".join(f"c c,z{n}\n" for n in range(6)))
    valid = write(tmp_path / "v.csv", "text,label\na a,x\n")
    data = config(train, valid=valid, tokenizer={"min_count": 1})
    report = check_data(data, 1)
    assert report.ok
    (line,) = [line for line in report_lines(report, data) if line.startswith("warning: ")]
    assert line.startswith("warning: valid: no row has the label 'y', 'z0', 'z1', 'z2', 'z3' and 2 more, so ")
    split = config(
        write(tmp_path / "s.csv", "text,label\nb b,y\n" + "".join(f"a {n},x\n" for n in range(9))), valid_fraction=0.5
    )
    assert [fault["where"] for fault in check_data(split, 1).warnings] in (["train"], ["valid"])
    assert check_data(config(train, valid=train), 1).warnings == []


def test_labels_that_training_does_not_have_are_problems(tmp_path: Path):
    train = write(tmp_path / "a.csv", "text,label\na a,x\nb b,y\n")
    other = write(tmp_path / "o.csv", "text,label\na a,x\nb b,z\nc,w\nd,z\n")
    report = check_data(config(train, valid=other, test=other), 1)
    assert [str(fault["where"]).rpartition("o.csv")[2] for fault in report.problems] == [":4", ":3"] * 2
    assert report.parts["test"].labels == {"w": 1, "x": 1, "z": 2}


def test_a_missing_part_does_not_hide_the_others(tmp_path: Path):
    data = config({"format": "csv", "path": SAMPLE}, test={"format": "csv", "path": str(tmp_path / "none.csv")})
    report = check_data(data, 1)
    assert "none.csv" in str(report.problems[0]["where"])
    assert list(report.parts) == ["train", "valid"]
    missing = check_data(config({"format": "csv", "path": str(tmp_path / "none.csv")}, test=data.train), 1)
    assert list(missing.parts) == ["test"]
    assert missing.vocabulary is None
    assert not missing.ok


def test_many_labels_are_shown_by_the_most_frequent(tmp_path: Path):
    rows = "".join(f"text {n} {m},l{n}\n" for n in range(50) for m in range(n + 1))
    data = config(write(tmp_path / "m.csv", f"text,label\n{rows}"))
    lines = report_lines(check_data(data, 1), data)
    assert sum(line.startswith("  l") for line in lines) == MAX_LABELS
    assert any(line.startswith(f"  {50 - MAX_LABELS} other labels") for line in lines)
    assert len({len(line) for line in lines[:20]}) == 1


def test_the_table_is_aligned_and_short(report: DataReport, tmp_path: Path):
    data = config(write(tmp_path / "r.csv", TRAIN), max_length=3)
    lines = report_lines(report, data)
    assert lines[0].split() == ["train", "valid", "test"]
    table = lines[: lines.index(next(line for line in lines if line.startswith("vocabulary")))]
    assert {len(line) for line in table} == {30 + 3 * 16}
    assert len(lines) < 25
    assert "cut to the last 3" in "\n".join(lines)
    assert [line.rpartition(", ")[2].rpartition(":")[2] for line in lines if line.startswith("same text")] == [
        "5 (pos)"
    ]


def test_the_command_prints_the_table_or_json(tmp_path: Path):
    path = config_file(tmp_path, {"train": {"format": "csv", "path": SAMPLE}})
    shown = CliRunner().invoke(command, ["check", path])
    assert shown.exit_code == 0
    assert shown.output.splitlines()[-1] == "no bad rows, nothing in the way of training"
    told = CliRunner().invoke(command, ["check", path, "--json", "--set", "data.valid_fraction=0.5", "--set", "seed=4"])
    assert told.exit_code == 0
    facts = json.loads(told.output)
    assert facts["ok"]
    expected = check_data(load_config(path, ["data.valid_fraction=0.5", "seed=4"]).data, 4)
    assert facts["parts"]["valid"]["rows"] == expected.parts["valid"].rows > 100


def test_bad_rows_make_the_command_fail_in_both_forms(tmp_path: Path):
    source = write(tmp_path / "b.csv", "text,label\n" + "".join(f"a {n},{'xy'[n % 2]}\n" for n in range(50)) + "b,\n")
    path = config_file(tmp_path, {"train": source})
    for extra in ([], ["--json"]):
        result = CliRunner().invoke(command, ["check", path, *extra])
        assert result.exit_code == 1
        assert "b.csv:52" in result.output


def test_a_bad_config_is_a_config_error(tmp_path: Path):
    result = CliRunner().invoke(command, ["check", str(tmp_path / "none.yaml")])
    assert isinstance(result.exception, ConfigError)


def test_check_does_not_import_the_downloader_and_get_is_there(tmp_path: Path):
    path = config_file(tmp_path, {"train": {"format": "csv", "path": SAMPLE}})
    code = (
        "import sys; from rnncli.cli import cli;"
        f"cli.main(['data', 'check', {path!r}], standalone_mode=False);"
        "assert not {'requests', 'pooch', 'rnncli.cli.data_get'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    listed = CliRunner().invoke(command, ["--help"])
    assert "get" in listed.output
    assert "check" in listed.output
    assert CliRunner().invoke(command, ["get", "--help"]).exit_code == 0
    assert CliRunner().invoke(command, ["nothing"]).exit_code == 2
