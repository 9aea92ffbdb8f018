"""What TensorBoard reads of a run, by TensorBoard's own reader, is what metrics.jsonl has."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray
from tiny_runs import Cli, Silent, jsonl, tiny_config, tiny_values, write_config, write_csv
from tiny_tasks import language_config, tagging_config, write_conllu, write_text

from rnncli.errors import RnncliError
from rnncli.event_files import EventFile
from rnncli.run import train_run
from rnncli.run_dir import RunDir

STEP = {
    "loss/train": "loss",
    "accuracy/train": "accuracy",
    "optim/lr": "lr",
    "optim/gradient_norm": "grad_norm",
    "speed/tokens_per_second": "tokens_per_second",
}
CONFIGS = {
    "classification": lambda **train: tiny_config(write_csv(Path("a.csv")), train=train),
    "tagging": lambda **train: tagging_config(write_conllu(Path("a.conllu")), train={"log_every": 1, **train}),
    "language_model": lambda **train: language_config(write_text(Path("a.txt")), train={"samples": 2, **train}),
}


def tensors(folder):
    """Return what a folder's event files come to: for each tag its steps and values."""
    reader = EventAccumulator(str(folder), size_guidance={"tensors": 0})
    reader.Reload()
    return {
        tag: [(event.step, make_ndarray(event.tensor_proto).item()) for event in reader.Tensors(tag)]
        for tag in reader.Tags()["tensors"]
    }


def expected(rows):
    """Return the same of the rows of metrics.jsonl."""
    found = {}
    for row in rows:
        if row["kind"] == "step":
            values = {tag: row[key] for tag, key in STEP.items()}
        elif row["kind"] == "validation":
            others = ("kind", "step", "epoch", "improved", "train_loss", "seconds", "peak_memory_mb")
            values = {f"{key}/valid": value for key, value in row.items() if key not in others}
        elif row["kind"] == "sample":
            number = 1 + sum(step == row["step"] for step, _ in found.get("samples/1", []))
            values = {f"samples/{number}": "\n".join("    " + line for line in row["text"].splitlines()).encode()}
        else:
            continue
        for tag, value in values.items():
            if value is not None:
                found.setdefault(tag, []).append((row["step"], value))
    return found


def same(run_dir):
    """Compare them, numbers as float32 has them."""
    read, wanted = tensors(run_dir.events), expected(jsonl(run_dir.metrics))
    assert read.keys() == wanted.keys()
    for tag, values in wanted.items():
        as_read = [(step, value if isinstance(value, bytes) else float(np.float32(value))) for step, value in values]
        assert read[tag] == as_read, tag
    return read


@pytest.mark.parametrize("task", CONFIGS)
def test_it_has_what_metrics_has(task, workdir):
    run_dir = RunDir(Path("run"))
    train_run(CONFIGS[task](tensorboard=True), run_dir, Silent())
    read = same(run_dir)
    assert {*STEP, "loss/valid", "accuracy/valid"} <= read.keys()
    assert ("samples/2" in read) == (task == "language_model")
    assert len(read["loss/valid"]) == 2
    (path,) = run_dir.events.iterdir()
    start, *_, last = [event.wall_time for event in EventFileLoader(str(path)).Load()]
    assert abs(path.stat().st_mtime - last) < 60
    seconds = jsonl(run_dir.metrics)[-1]["seconds"]
    assert last - start == pytest.approx(seconds, abs=1e-5)
    assert seconds > 0


class Killed(Exception):
    pass


class Kill(Silent):
    def __init__(self, at):
        self.at = at

    def step(self, event, speed):
        if event.step == self.at:
            raise Killed


def test_a_resumed_run_shows_each_step_once(workdir):
    config = tiny_config(
        write_csv(Path("a.csv")), train={"tensorboard": True, "log_every": 1, "checkpoint_every_steps": 3}
    )
    run_dir = RunDir(Path("run"))
    for at, resume in ((5, False), (8, True)):
        with pytest.raises(Killed):
            train_run(config, run_dir, Kill(at), resume=resume)
        looked_on = EventAccumulator(str(run_dir.events), size_guidance={"tensors": 0})
        looked_on.Reload()
        assert looked_on.Tensors("loss/train")[-1].step == at
    train_run(config, run_dir, Silent(), resume=True)
    read = same(run_dir)
    steps = [step for step, _ in read["loss/train"]]
    assert steps == list(range(1, 11))
    assert len(list(run_dir.events.iterdir())) == 2
    looked_on.Reload()  # one that was open all the time sees the same
    assert [event.step for event in looked_on.Tensors("loss/train")] == steps
    assert [event.step for event in looked_on.Tensors("loss/valid")] == [5, 10]


def test_it_can_be_asked_for_on_the_way_and_has_the_steps_before(workdir):
    plain = tiny_config(write_csv(Path("a.csv")), train={"log_every": 1})
    run_dir = RunDir(Path("run"))
    train_run(plain, run_dir, Silent())
    assert not run_dir.events.exists()
    config = tiny_config(Path("a.csv"), train={"log_every": 1, "tensorboard": True, "epochs": 3})
    train_run(config, run_dir, Silent(), resume=True, given=("train.tensorboard=true", "train.epochs=3"))
    assert [step for step, _ in same(run_dir)["loss/train"]] == list(range(1, 16))


def test_a_figure_that_is_not_finite_is_left_out(workdir):
    rows = [
        {"kind": "step", "step": 1, "loss": None, "accuracy": 0.5, "lr": 1e300, "seconds": 0.1},
        {"kind": "validation", "step": 1, "loss": 2, "perplexity": None, "improved": True, "seconds": 0.2},
        {"kind": "resumed", "step": 1, "seconds": 0.3},
    ]
    events = EventFile(Path("events"), rows, 1000.0)
    events.close()
    read = tensors("events")
    assert read.pop("optim/lr")[0][1] == float("inf")
    assert read == {"accuracy/train": [(1, 0.5)], "loss/valid": [(1, 2.0)]}


def test_samples_are_shown_as_they_are_and_may_hold_anything(workdir):
    events = EventFile(Path("events"), [], 0.0)
    for step, text in ((3, "# no heading\n* no list"), (3, "\ud800"), (6, "")):
        events.write({"kind": "sample", "step": step, "text": text, "seconds": 1.0})
    events.close()
    assert tensors("events") == {
        "samples/1": [(3, b"    # no heading\n    * no list"), (6, b"")],
        "samples/2": [(3, b"    ?")],
    }


def test_overwriting_a_run_takes_its_event_files_away_and_nothing_else(workdir):
    config, run_dir = CONFIGS["classification"](tensorboard=True), RunDir(Path("run"))
    train_run(config, run_dir, Silent())
    (run_dir.events / "notes.txt").write_text("mine")
    train_run(CONFIGS["classification"](), run_dir, Silent(), overwrite=True)
    assert [path.name for path in run_dir.events.iterdir()] == ["notes.txt"]
    (run_dir.events / "notes.txt").unlink()
    train_run(config, run_dir, Silent(), overwrite=True)
    assert len(list(run_dir.events.iterdir())) == 1
    train_run(CONFIGS["classification"](), run_dir, Silent(), overwrite=True)
    assert not run_dir.events.exists()


def test_without_the_package_nothing_begins(workdir, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    values = tiny_values("missing.csv", train={"tensorboard": True})
    line = Cli(monkeypatch, capsys).refused("train", write_config(Path("c.yaml"), values))
    assert "tensorboard: is needed for train.tensorboard" in line
    assert line.endswith("Type: pip install 'rnncli[tensorboard]'")
    assert not Path("runs").exists()


def test_a_run_that_does_not_ask_for_it_imports_nothing_of_it(workdir):
    config = write_config(Path("c.yaml"), tiny_values(write_csv(Path("a.csv"))))
    code = (
        "import sys\nfrom rnncli.cli import cli\n"
        f"cli.main(['train', {str(config)!r}], standalone_mode=False)\n"
        "assert not [name for name in sys.modules if name.startswith('tensorboard')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_folder_that_cannot_be_written_is_told(workdir):
    Path("events").write_text("a file")
    with pytest.raises(RnncliError, match="cannot be written: it is a file, not a folder"):
        EventFile(Path("events"), [], 0.0)


def test_a_full_disk_is_told_in_a_line(workdir, monkeypatch):
    events = EventFile(Path("events"), [], 0.0)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events._writer, "write", full)
    with pytest.raises(RnncliError, match=r"No space left on device\. Free some space"):
        events.write({"kind": "step", "step": 1, "loss": 1.0, "seconds": 1.0})
    monkeypatch.undo()
    events.close()


def test_what_stops_it_while_it_is_written_anew_leaves_what_there_was(workdir):
    config, run_dir = CONFIGS["classification"](tensorboard=True), RunDir(Path("run"))
    train_run(config, run_dir, Silent())
    before = list(run_dir.events.iterdir())

    def rows():
        yield {"kind": "step", "step": 1, "loss": 1.0}  # somebody has taken its seconds away
        raise RnncliError("stops here")

    with pytest.raises(RnncliError, match="stops here"):
        EventFile(run_dir.events, rows(), 0.0)
    assert list(run_dir.events.iterdir()) == before
