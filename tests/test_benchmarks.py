"""The pure helpers of the benchmark; nothing is timed here."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks/ is not installed

from benchmarks.__main__ import write
from benchmarks.common import NotMeasuredError, Plan, Table, Turns, most, ratio, run, short, spread, take_turns
from benchmarks.goals import GOALS, goals_table
from benchmarks.layers import layers_table
from benchmarks.training import DDP, RNNCLI, TITLE, TUNED, WORKERS, table

LSTM = TITLE.format(cell="LSTM", size=64)


def trained(*speeds: float, peak: float = 100.0) -> Turns:
    return Turns([{"tokens_per_second": speed, "peak_mb": peak} for speed in speeds])


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.01234, "0.0123"), (2.5, "2.5"), (99.94, "99.9"), (204_811.4, "204,811")]
)
def test_figures_have_three_digits_or_more(value: float, text: str):
    assert short(value) == text


def test_a_spread_is_the_median_with_both_ends():
    assert spread([300.0, 100.0, 200.0]) == "200 (100 to 300)"
    assert spread([100.0]) == "100"
    assert spread([]) == ""


def test_a_ratio_is_taken_within_each_round():
    # The machine was twice as slow in the second round and ten times in the third: the ratio of medians would be 4.
    assert ratio([400.0, 200.0, 40.0], [200.0, 100.0, 50.0]) == "2.00"
    assert ratio([], [1.0]) == ""


def test_memory_that_is_not_known_is_not_zero():
    assert most([120.0, 300.0]) == "300"
    assert most([0.0, 0.0]) == ""


def test_every_round_begins_with_another_contestant():
    order: list[str] = []
    turns = take_turns({name: lambda name=name: order.append(name) or {"speed": 1.0} for name in "abc"}, 3)
    assert "".join(order) == "abcbcacab"
    assert {name: turn["speed"] for name, turn in turns.items()} == {name: [1.0] * 3 for name in "abc"}


def test_a_contestant_that_cannot_be_measured_is_named_and_asked_no_more(capsys: pytest.CaptureFixture[str]):
    asked: list[int] = []

    def fails() -> dict[str, float]:
        asked.append(1)
        raise NotMeasuredError("no bf16 units")

    turns = take_turns({"good": lambda: {"tokens_per_second": 2.0, "peak_mb": 1.0}, "bad": fails}, 3)
    assert asked == [1]
    assert "bad: not measured: no bf16 units" in capsys.readouterr().err
    shown = Table("t", "n", ["who", "speed", "peak MB"])
    for name, turn in turns.items():
        shown.add(name, turn, spread(turn["tokens_per_second"]), "1")
    assert shown.rows == [["good", "2 (2 to 2)", "1"], ["bad", "not measured: no bf16 units", ""]]


def test_trainers_are_compared_with_both_kinds_of_rnncli():
    shown = table(LSTM, {RNNCLI: trained(200, 220), WORKERS: trained(400, 400), TUNED: trained(100, 100, peak=250)})
    assert shown.rows[2] == [TUNED, "100 (100 to 100)", "250", "2.10", "4.00"]


def test_goals_say_what_was_reached_and_leave_out_what_was_not_measured():
    turns = {RNNCLI: trained(150), WORKERS: trained(300, peak=200), TUNED: trained(100, peak=400), DDP: trained(200)}
    shown = goals_table([table(LSTM, turns)])
    reached = {row[0]: row[1:] for row in shown.rows}
    assert reached == {
        GOALS[0].what: ["1.50", "1.4", "1.8", "bar"],
        GOALS[3].what: ["1.50", "1.7", "2.2", "missed"],
        f"{GOALS[4].what}: {DDP}": ["1.50", "0.9", "1.2", "aim"],
        GOALS[6].what: ["0.25", "0.5", "0.35", "aim"],
    }


def test_layers_are_compared_size_by_size():
    sizes = [{"cell": "lstm", "H": 32, "N": 1}, {"cell": "rnn", "H": 128, "N": 64, "deep": True}]
    shown = layers_table("t", sizes, {"rnncli": [[1.0, 20.0], [2.0, 20.0]], "torch": [[2.0, 10.0], [4.0, 10.0]]})
    assert shown.rows == [
        ["LSTM", "32", "1", "1.5 (1 to 2)", "3 (2 to 4)", "2.00"],
        ["RNN, 2 layers, both directions", "128", "64", "20 (20 to 20)", "10 (10 to 10)", "0.50"],
    ]
    assert shown.records[0]["results"] == [{"rnncli_ms": 1.0, "torch_ms": 2.0}, {"rnncli_ms": 2.0, "torch_ms": 4.0}]
    assert goals_table([shown]).rows == []


def test_what_was_measured_is_written_for_people_and_for_programs(tmp_path: Path):
    measured = {"training": [table(LSTM, {RNNCLI: trained(150.5, 160.0), WORKERS: Turns(skipped="no such key")})]}
    write(tmp_path / "out", {"date": "today", "machine": {"processor": "some"}}, measured)
    text = (tmp_path / "out.md").read_text()
    assert "- processor: some" in text
    assert "Goals" not in text  # none of them was measured
    assert "| rnncli, 2 workers | not measured: no such key |  |  |  |" in text
    records = json.loads((tmp_path / "out.json").read_text())["parts"]["training"][0]["records"]
    assert [result["tokens_per_second"] for result in records[0]["results"]] == [150.5, 160.0]
    assert records[1] == {"what": WORKERS, "results": [], "skipped": "no such key"}


def test_a_command_is_run_in_the_plans_folder_and_its_file_is_waited_for(tmp_path: Path):
    code = "import time; open('there', 'w').write('x'); time.sleep(0.2); print('done')"
    ran = run(["-c", code], Plan(True, tmp_path), file=tmp_path / "there")
    assert ran.output == "done\n"
    assert 0 < ran.file_seconds <= ran.seconds


def test_a_command_that_fails_is_not_measured(tmp_path: Path):
    with pytest.raises(NotMeasuredError, match=r"^ValueError: too many$"):
        run(["-c", "raise ValueError('too many')"], Plan(True, tmp_path))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_is_that_of_all_processes(tmp_path: Path):
    holds = "import time; held = bytearray(100_000_000); held[::1000] = held[::1000]; time.sleep(0.3)"
    starts_another = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {holds!r}]).wait()"
    one, two = (run(["-c", code], Plan(True, tmp_path)).peak_mb for code in (holds, f"{holds}; {starts_another}"))
    assert 100 <= one < 200 <= two < 300
