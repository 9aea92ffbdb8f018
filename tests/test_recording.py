import errno
import json
import math
import os
from dataclasses import asdict

import pytest
from tiny_runs import jsonl

from rnncli import recording
from rnncli.errors import RnncliError
from rnncli.recording import Recorder, Sums
from rnncli.training import StepDone, Validated


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = [100.0]
    monkeypatch.setattr(recording.time, "perf_counter", lambda: now[0])
    return now


def step(number, loss=0.5, skipped=False):
    return StepDone(number, 1, loss, 0.75, 0.01, 2.0, 4, 30, skipped, 4)


def validated(number, accuracy=0.5, improved=True):
    return Validated(number, 1, {"loss": 0.6, "accuracy": accuracy, "macro_f1": 0.4}, improved)


def test_every_so_many_steps_and_every_validation_is_a_row(path):
    recorder = Recorder(path, Sums(), log_every=3)
    for number in range(1, 8):
        recorder.step(step(number))
        recorder.resume_clock()
    row = recorder.validation(validated(7))
    recorder.resumed(7, {"train.epochs": [2, 3]})
    recorder.close()
    rows = jsonl(path)
    assert [(row["kind"], row["step"]) for row in rows] == [("step", 3), ("step", 6), ("validation", 7), ("resumed", 7)]
    assert row == rows[2]
    assert rows[3]["changed"] == {"train.epochs": [2, 3]}
    assert recorder.validations == [rows[2]]


def test_the_training_loss_is_the_mean_since_the_last_validation_without_what_was_skipped(path):
    recorder = Recorder(path, Sums(), log_every=1)
    for number, (loss, skipped) in enumerate([(1, False), (math.nan, True), (2, False)], start=1):
        recorder.step(step(number, loss, skipped))
    assert recorder.validation(validated(3))["train_loss"] == 1.5
    recorder.step(step(4, math.inf, True))
    assert recorder.validation(validated(4))["train_loss"] is None
    recorder.step(step(5, 4.0))
    assert recorder.validation(validated(5))["train_loss"] == 4
    recorder.close()
    rows = jsonl(path)  # which has no NaN: not every reader of JSON knows it
    assert [row["loss"] for row in rows if row["kind"] == "step"] == [1, None, 2, None, 4]
    assert "NaN" not in path.read_text()
    assert "Infinity" not in path.read_text()


def test_times_and_speed(path, clock):
    sums = Sums()
    recorder = Recorder(path, sums, log_every=2)
    clock[0] += 50  # before the first step: the clock is told to begin
    recorder.resume_clock()
    for number, seconds in ((1, 2), (2, 4), (3, 1)):
        clock[0] += seconds
        recorder.step(step(number))
        assert recorder.speed == {1: 15, 2: 10, 3: 10}[number]  # tokens a second over the last full interval
        clock[0] += 10  # saving and showing
        recorder.resume_clock()
    clock[0] += 5
    recorder.validation(validated(3))
    recorder.close()
    assert (sums.train_seconds, sums.seconds, sums.tokens) == (7, 92, 90)
    (logged, validation) = jsonl(path)
    assert logged["tokens_per_second"] == 10
    assert logged["seconds"] == 66
    assert validation["seconds"] == 92


def test_a_recorder_goes_on_where_another_stopped(path, clock):
    one = Recorder(path, Sums(), log_every=2)
    for number in range(1, 4):
        clock[0] += 1
        one.step(step(number))
    one.validation(validated(3, 0.5))
    one.validation(validated(4, 0.4, improved=False))
    one.step(step(5, loss=8.0))
    saved = json.loads(json.dumps(one.state()))
    before = path.read_bytes()
    assert saved["metrics_bytes"] == len(before)
    one.step(step(6))
    one.validation(validated(6, 0.9))
    one.close()
    assert path.read_bytes() != before

    clock[0] += 1000  # nobody trained meanwhile
    other = Recorder(path, Sums(**saved), log_every=2)
    assert path.read_bytes() == before
    assert other.validations == [row for row in jsonl(path) if row["kind"] == "validation"]
    assert other.best["accuracy"] == 0.5
    clock[0] += 2
    other.step(step(6, loss=6.0))
    row = other.validation(validated(6))
    assert row["train_loss"] == 7
    assert row["seconds"] == saved["seconds"] + 2
    assert other.sums.train_seconds == saved["train_seconds"] + 2
    assert other.sums.tokens == 5 * 30
    other.close()
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("beyond", [b"", b"{", b'{"kind": "step"}\n', b"\x00" * 5000, b"\xff\n\n"])
def test_what_is_beyond_the_checkpoint_is_cut_off(path, beyond):
    one = Recorder(path, Sums(), log_every=1)
    one.step(step(1))
    sums = Sums(**one.state())
    one.close()
    before = path.read_bytes()
    path.write_bytes(before + beyond)
    other = Recorder(path, sums, log_every=1)
    other.step(step(2))
    other.close()
    assert path.read_bytes().startswith(before)
    assert [row["step"] for row in jsonl(path)] == [1, 2]


def test_a_new_run_cuts_off_everything(path):
    path.write_bytes(b"\xff" * 100)
    Recorder(path, Sums(), log_every=1).close()
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "line",
    [
        *(b"{", b"[]", b"7", b"null", b"{}", b'"kind"', b"\xff\xfe", b'{"kind": "validation"}', b"[" * 100_000),
        b'{"kind": "validation", "step": "x", "epoch": 1, "improved": true}',
    ],
    ids=lambda line: ascii(line[:30]),
)
def test_a_damaged_row_is_one_line(path, line):
    one = Recorder(path, Sums(), log_every=1)
    one.step(step(1))
    one.close()
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(RnncliError) as caught:
        Recorder(path, Sums(metrics_bytes=path.stat().st_size), log_every=1)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert "\n" not in str(caught.value)


def test_the_best_is_the_newest_improvement(path):
    recorder = Recorder(path, Sums(), log_every=1)
    assert recorder.best == {}
    for number, improved in ((1, True), (2, True), (3, False)):
        recorder.validation(validated(number, improved=improved))
    assert recorder.best["step"] == 2
    recorder.close()


def test_the_state_is_on_the_disk_before_a_checkpoint_says_so(path, monkeypatch):
    recorder = Recorder(path, Sums(), log_every=1)
    recorder.step(step(1))
    synced = []
    monkeypatch.setattr(recording.os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    state = recorder.state()
    assert synced == [state["metrics_bytes"]] == [path.stat().st_size]
    assert state == asdict(recorder.sums)
    recorder.close()


@pytest.mark.parametrize("call", ["step", "validation", "state"])
def test_a_disk_that_fails_is_one_line(path, monkeypatch, call):
    recorder = Recorder(path, Sums(), log_every=1)

    class Full:
        def fails(self, *_):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        write = flush = fails

    recorder._file.close()
    recorder._file = Full()
    with pytest.raises(RnncliError, match=rf"^{path}: cannot be written: Input/output error"):
        {
            "step": lambda: recorder.step(step(1)),
            "validation": lambda: recorder.validation(validated(1)),
            "state": recorder.state,
        }[call]()


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(RnncliError, match="cannot be written: No such file"):
        Recorder(tmp_path / "none" / "metrics.jsonl", Sums(), log_every=1)
