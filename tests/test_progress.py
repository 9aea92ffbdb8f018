import io
import math

import pytest
from tiny_runs import prepared, tiny_config, write_csv

from rnncli.progress import ConsoleProgress
from rnncli.training import StepDone


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def config(tmp_path):
    return tiny_config(write_csv(tmp_path / "tiny.csv", repeats=2), train={"epochs": 2, "log_every": 3})


def watched(config, stream):
    trainer, _ = prepared(config)
    progress = ConsoleProgress(config.train.log_every, stream)
    progress.started(trainer)
    events = []
    for event in trainer.run():
        events.append(event)
        if isinstance(event, StepDone):
            progress.step(event, 12345.6)
        else:
            progress.validated(event, 65.0)
    progress.finished()
    return trainer, events


def test_a_line_an_interval_and_nothing_else_where_there_is_no_terminal(config):
    stream = io.StringIO()
    trainer, events = watched(config, stream)
    text = stream.getvalue()
    assert "\r" not in text
    assert "\x1b" not in text
    first, *lines = text.splitlines()
    assert first.startswith(f"{len(trainer.work.train)} texts to train on ({len(trainer.work.train.ids):,} tokens)")
    assert "labels neg, pos" in first
    expected = []
    for event in events:
        if not isinstance(event, StepDone):
            expected.append((event.step, "validation"))
        elif event.step % 3 == 0:
            expected.append((event.step, "loss"))
    assert len(lines) == len(expected) > 4
    for line, (step, kind) in zip(lines, expected, strict=True):
        assert f"step {step}/{trainer.total_steps}  {kind}" in line
        assert (" left" in line) is (kind == "loss")
        assert ("12,346 tokens/s" in line) is (kind == "loss")
    assert "after 1:05" in lines[-1] or "after 1:05  best yet" in lines[-1]


def test_the_figures_of_a_line_are_means_over_the_texts_of_its_interval(config):
    stream = io.StringIO()
    _, events = watched(config, stream)
    done = [event for event in events if isinstance(event, StepDone)]
    for step in (3, 6):  # both in the first epoch, so that no validation lies between
        interval = done[step - 3 : step]
        texts = sum(event.texts for event in interval)
        loss = sum(event.loss * event.texts for event in interval) / texts
        accuracy = sum(event.accuracy * event.texts for event in interval) / texts
        line = next(line for line in stream.getvalue().splitlines() if line.startswith(f"epoch 1/2  step {step}/"))
        assert f"loss {loss:.4f}  accuracy {accuracy:.1%}" in line


def test_one_bar_an_epoch_on_a_terminal(config):
    stream = Terminal()
    trainer, _ = watched(config, stream)
    text = stream.getvalue()
    assert "epoch 1/2 |" in text
    assert "epoch 2/2 |" in text
    assert f"/{trainer.steps_per_epoch} " in text
    # What is left when the bars are gone: the first line and the validations.
    shown = [line.split("\r")[-1].strip() for line in text.split("\n")]
    assert [line for line in shown if line and "validation:" not in line] == [shown[0]]
    assert sum("validation:" in line for line in shown) == 2
    assert shown[0].startswith(f"{len(trainer.work.train)} texts to train on")


def test_a_validation_within_an_epoch_interrupts_the_bar_and_it_goes_on_where_it_was(config):
    config = config.model_copy(update={"train": config.train.model_copy(update={"validate_every": 5})})
    stream = Terminal()
    trainer, _ = watched(config, stream)
    after = stream.getvalue().split("validation:")[1]
    bar = next(part for part in after.split("\r") if "|" in part)
    assert f" {5}/{trainer.steps_per_epoch} " in bar or f" {6}/{trainer.steps_per_epoch} " in bar


def test_a_bar_is_taken_away_when_the_run_breaks_off(config):
    trainer, _ = prepared(config)
    stream = Terminal()
    progress = ConsoleProgress(1, stream)
    progress.started(trainer)
    progress.step(next(trainer.run()), 1.0)
    assert progress.bar is not None
    progress.finished()
    assert progress.bar is None
    progress.finished()


def line_of(config, events, first_step=0):
    """Return the lines that steps give, from a trainer that began at a step."""
    stream = io.StringIO()
    trainer, _ = prepared(config)
    trainer.step = first_step
    progress = ConsoleProgress(config.train.log_every, stream)
    progress.started(trainer)
    progress.start -= 10  # ten seconds ago
    for event in events:
        progress.step(event, 100.0)
    return stream.getvalue().splitlines()[1:]


def step(number, loss=0.5, skipped=False):
    return StepDone(number, 1, loss, 0.5, 0.01, 1.0, 4, 30, skipped, 4)


def test_a_skipped_batch_spoils_no_figure(config):
    (line,) = line_of(config, [step(1, 0.25), step(2, math.nan, skipped=True), step(3, 0.75)])
    assert "  loss 0.5000  accuracy 50.0%  " in line
    (line,) = line_of(config, [step(number, math.inf, skipped=True) for number in (1, 2, 3)])
    assert "  loss -  accuracy -  100 tokens/s" in line


def test_the_time_left_of_a_resumed_run_counts_the_steps_made_since(config):
    total = prepared(config)[0].total_steps
    assert total == 18
    (line,) = line_of(config, [step(number) for number in (1, 2, 3)])
    assert line.endswith("0:50 left")  # 15 steps, three in ten seconds
    *_, line = line_of(config, [step(number) for number in (14, 15)], first_step=13)
    assert line.endswith("0:15 left")  # three steps, two in ten seconds


class Failing(io.StringIO):
    """A stream whose reader goes away after some writes."""

    def __init__(self, writes):
        super().__init__()
        self.left = writes

    def write(self, text):
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError(32, "Broken pipe")
        return super().write(text)


class FailingTerminal(Failing):
    def isatty(self):
        return True


@pytest.mark.parametrize("kind", [Failing, FailingTerminal])
def test_a_run_outlives_what_it_prints_to(config, kind):
    stream = kind(3)
    trainer, _ = watched(config, stream)
    assert trainer.step == trainer.total_steps
    assert stream.getvalue()


def test_a_run_without_standard_error(config, monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    trainer, _ = watched(config, None)
    assert trainer.step == trainer.total_steps


def test_what_is_read_is_said_on_a_terminal_alone():
    for stream, expected in ((Terminal(), "reading a.csv\n"), (io.StringIO(), "")):
        ConsoleProgress(1, stream).reading("a.csv")
        assert stream.getvalue() == expected


def test_many_labels_are_counted_and_not_listed(config, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text(
        "text,label\n" + "".join(f"film {i} n{i % 40},label{i % 40}\n" for i in range(400)), encoding="utf-8"
    )
    stream = io.StringIO()
    trainer, _ = prepared(tiny_config(path))
    ConsoleProgress(1, stream).started(trainer)
    assert "labels 40;" in stream.getvalue()
