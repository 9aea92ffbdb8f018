"""Reading metrics.jsonl."""

from pathlib import Path

import pytest

from rnncli.errors import RnncliError
from rnncli.metrics_file import numbers, read_metrics

STEP = '{"kind": "step", "step": 2, "loss": 0.5, "skipped": false}\n'
SKIPPED = '{"kind": "step", "step": 4, "loss": null}\n'
VALIDATION = '{"kind": "validation", "step": 4, "loss": 0.25}\n'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def test_rows_come_as_they_are(path):
    path.write_text(STEP + VALIDATION)
    assert [row["kind"] for row in read_metrics(path)] == ["step", "validation"]


def test_a_line_that_is_being_written_is_left_out(path):
    path.write_text(STEP + VALIDATION[:20])
    assert len(list(read_metrics(path))) == 1
    path.write_text("")
    assert list(read_metrics(path)) == []


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[1]",
        "{}",
        '{"kind": 1, "step": 2}',
        '{"kind": "step"}',
        '{"kind": "step", "step": "2"}',
        '{"kind": "step", "step": 1, "loss": NaN}',
        f'{{"kind": "step", "step": {10**400}}}',
        "\0" * 9,
    ],
)
def test_a_line_that_is_no_row_is_named(path, line):
    path.write_text(f"{STEP}{line}\n{STEP}")
    with pytest.raises(RnncliError, match=r"metrics\.jsonl:2: is not a row that rnncli wrote"):
        list(read_metrics(path))


def test_a_line_without_an_end_is_not_read_into_memory(path, monkeypatch):
    monkeypatch.setattr("rnncli.metrics_file._LONGEST", 50)
    path.write_text("x" * 200)
    with pytest.raises(RnncliError, match="is not a row"):
        list(read_metrics(path))


@pytest.mark.parametrize("place", ["missing.jsonl", "."])
def test_what_cannot_be_read_is_said(tmp_path, place):
    with pytest.raises(RnncliError, match="cannot be read"):
        list(read_metrics(tmp_path / Path(place)))


def test_figures_leave_out_what_is_not_there(path):
    path.write_text(STEP + SKIPPED + VALIDATION + '{"kind": "step", "step": 6, "loss": 1e999}\n')
    rows = list(read_metrics(path))
    assert numbers(rows, "step", "loss") == [(2, 0.5)]
    assert numbers(rows, "validation", "loss") == [(4, 0.25)]
    assert numbers(rows, "step", "nothing") == []
