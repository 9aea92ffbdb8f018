import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_runs import SAMPLE, jsonl, tiny_values, write_config, write_csv

from rnncli.cli.train import command
from rnncli.trained import load_trained

RUN = [".lock", "best.safetensors", "config.yaml", "last.safetensors", "metrics.jsonl"]


@pytest.fixture
def config(workdir):
    return write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "tiny.csv"), name="c"))


def test_a_run_from_config_to_the_next_command(cli, config):
    done = cli("train", config)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["epoch", "step", "train", "loss", "valid", "loss", "accuracy", "macro", "F1", "seconds"]
    rows = [row for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "validation"]
    assert [line.split()[:2] for line in lines[1:-2]] == [[str(row["epoch"]), str(row["step"])] for row in rows]
    assert [line.endswith("best") for line in lines[1:-2]].count(True) == 1
    assert "tokens/s" in lines[-2]
    assert "MB" in lines[-2]
    assert lines[-1] == "next: rnncli eval runs/c/best.safetensors"
    assert cli(*lines[-1].split()[2:]).code == 0
    assert "texts to train on" in done.err
    assert "\r" not in done.err
    assert "Warning" not in done.err


def test_json_is_for_programs(cli, config):
    done = cli("train", config, "--json")
    assert done.code == 0
    summary = json.loads(done.out)
    assert summary["run_dir"] == "runs/c"
    assert summary["best"] in summary["validations"]
    assert [row["step"] for row in summary["validations"]] == [
        row["step"] for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "validation"
    ]
    assert {"seconds", "train_seconds", "tokens_per_second", "peak_memory_mb", "parameters"} <= set(summary)


def test_early_stopping_is_said(cli, config):
    done = cli("train", config, "--set", "train.patience=1", "--set", "optim.lr=1e-9", "--set", "train.epochs=9")
    assert done.out.splitlines()[-2].startswith("stopped early after ")


def test_settings_and_folder_are_taken(cli, config):
    done = cli("train", config, "--set", "optim.lr=5e-3", "--set", "train.epochs=1", "--run-dir", "elsewhere/x")
    assert done.code == 0
    assert sorted(os.listdir("elsewhere/x")) == RUN
    assert load_trained(Path("elsewhere/x/last.safetensors")).config.optim.lr == 5e-3
    assert not Path("runs/c").exists()


def test_the_name_is_that_of_the_file_where_none_is_given(cli, workdir):
    values = tiny_values(write_csv(workdir / "tiny.csv"))
    del values["name"]
    assert cli("train", write_config(workdir / "my-first.yaml", values)).code == 0
    assert Path("runs/my-first/best.safetensors").exists()


def test_an_earlier_run_needs_overwrite(cli, config):
    assert cli("train", config).code == 0
    before = {path.name: path.read_bytes() for path in Path("runs/c").iterdir()}
    line = cli.refused("train", config)
    assert line.startswith("rnncli: runs/c: holds an earlier run. Add --overwrite")
    assert {path.name: path.read_bytes() for path in Path("runs/c").iterdir()} == before
    assert cli("train", config, "--overwrite", "--set", "train.epochs=1").code == 0
    assert len([row for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "validation"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.yaml"], 2, ["missing.yaml", "no such file"]),
        (["c.yaml", "--set", "optim.lr=fast"], 2, ["optim.lr", "fast"]),
        (["c.yaml", "--set", "model.rnn.cell=lsmt"], 2, ["lsmt", "lstm"]),
        (["c.yaml", "--set", "model.rnn.hiden=3"], 2, ["hiden", "hidden"]),
        (["c.yaml", "--set", "optim.lr"], 2, ["key.sub_key=value"]),
        (["c.yaml", "--set", "data.train.path=missing.csv"], 1, ["missing.csv"]),
        (["c.yaml", "--set", "data.train.text=txt"], 1, ["tiny.csv:1", "txt", "text"]),
        (["c.yaml", "--set", "data.train.skip_labels=[neg]"], 1, ["only label"]),
        (["c.yaml", "--set", "train.class_weights={neg: 1}"], 2, ["train.class_weights", "pos"]),
        (["c.yaml", "--run-dir", "tiny.csv"], 1, ["tiny.csv", "cannot be written"]),
        (["c.yaml", "--run-dir", "tiny.csv/x"], 1, ["tiny.csv/x", "cannot be written"]),
    ],
)
def test_what_cannot_be_used_is_one_line(cli, config, arguments, code, words):
    line = cli.refused("train", *arguments, code=code)
    for word in words:
        assert word in line
    assert not Path("runs/c").exists()


@pytest.mark.parametrize(
    "contents", [b"", b"text,label\n", b"text,label\na\x00b,c\n", b"\xff\xfe\x00", b"text,label\nx\n"]
)
def test_data_that_is_damaged_is_one_line(cli, config, contents):
    Path("tiny.csv").write_bytes(contents)
    assert "tiny.csv" in cli.refused("train", config)
    assert not Path("runs/c").exists()


def test_divergence_is_one_line_without_warnings(cli, config):
    done = cli(
        *("train", config, "--set", "optim={name: adamw, lr: 100, weight_decay: 1}"),
        *("--set", "model.rnn={cell: rnn, hidden: 8}", "--set", "train={epochs: 200, log_every: 1000}"),
    )
    line = done.failed(1)
    assert "not finite" in line
    assert "Warning" not in done.err
    assert not done.out


def test_a_model_too_large_for_memory_is_one_line(cli, config):
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("there is no /proc")
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(statm.read_text().split()[0]) * resource.getpagesize()
    try:
        resource.setrlimit(resource.RLIMIT_AS, (used + 500_000_000, before[1]))
        line = cli.refused("train", config, "--set", "model.rnn.hidden=65536")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert line.startswith("rnncli: out of memory")


def test_no_option_is_without_effect():
    """Each is used in a test above, --resume in test_resuming.py."""
    assert {parameter.name for parameter in command.params} == {
        *("config", "overrides", "run_dir", "overwrite", "resume", "as_json")
    }


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


class Process:
    """The command line in a process of its own, to be interrupted."""

    def __init__(self, *arguments, prepare=""):
        # The handler of a process that is started in the background would ignore the signal.
        code = (
            f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{prepare}\n"
            "from rnncli.cli import main; main()"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition():
            if time.monotonic() > end or self.process.poll() is not None:
                self.process.kill()
                pytest.fail(f"it never came: {self.process.communicate()}")
            time.sleep(0.01)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        try:
            out, err = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, out, err


def test_ctrl_c_in_training_saves_the_model(workdir):
    values = tiny_values(SAMPLE, name="c", train={"epochs": 100_000, "log_every": 100, "validate_every": 10**9})
    process = Process("train", write_config(workdir / "c.yaml", values))
    metrics = Path("runs/c/metrics.jsonl")
    process.wait_for(lambda: metrics.exists() and metrics.stat().st_size > 0)
    code, out, err = process.interrupt()
    assert (code, out) == (130, "")
    assert "Traceback" not in err
    *_, line = err.splitlines()
    assert line.startswith("rnncli: interrupted at step ")
    assert line.endswith("To go on: rnncli train --resume runs/c")
    step = int(line.split()[4])
    assert load_trained(Path("runs/c/last.safetensors")).progress["step"] == step >= 100
    assert not Path("runs/c/best.safetensors").exists()


def test_ctrl_c_while_the_data_is_read(workdir):
    values = tiny_values("never-read.csv", name="c")
    prepare = "import rnncli.run; rnncli.run.load_dataset = lambda *_: (open('reading', 'w').close(), signal.pause())"
    process = Process("train", write_config(workdir / "c.yaml", values), prepare=prepare)
    process.wait_for(Path("reading").exists)
    code, out, err = process.interrupt()
    assert (code, out, err.strip()) == (130, "", "rnncli: interrupted")
    assert not Path("runs/c").exists()
