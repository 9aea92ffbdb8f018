import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tiny_runs import SAMPLE, jsonl, tiny_values, write_config, write_csv

from rnncli import run
from rnncli.cli.train import command
from rnncli.run_dir import RunDir
from rnncli.trained import load_trained
from rnncli.training import Trainer
from rnncli.verifying import digests_of

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


def test_the_profile_says_where_the_time_went(cli, config):
    out = cli("train", config, "--profile").out
    table = out.splitlines()[: out.splitlines().index("")]
    assert table[0].split() == ["stage", "seconds", "share", "GFLOP/s", "of", "peak"]
    stages = [line.split()[0] for line in table[1:]]
    assert stages[:4] == ["start-up", "data", "embedding", "projection"]
    assert stages[-2:] == ["the", "all"]
    rows = json.loads(cli("train", config, "--profile", "--overwrite", "--json").out)["profile"]
    *parts, whole = rows
    assert sum(row["seconds"] for row in parts) == pytest.approx(whole["seconds"])
    assert sum(row["share"] for row in parts) == pytest.approx(1)
    worked = {row["stage"] for row in rows if row["gflops"]}
    assert worked == {"projection", "forward", "backward", "gradients", "evaluation", "all"}
    assert all(0 < row["of_peak"] < 1.5 for row in rows if row["gflops"])


def test_without_the_profile_nothing_is_counted(cli, config):
    assert "profile" not in json.loads(cli("train", config, "--json").out)


def test_no_option_is_without_effect():
    """Each is used in a test of this file, those of several seeds in test_cli_train_seeds.py."""
    assert {parameter.name for parameter in command.params} == {
        *("seeds", "vary_split"),
        *("config", "overrides", "run_dir", "overwrite", "resume", "profile", "as_json"),
    }


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


class Process:
    """The command line in a process of its own, to be interrupted."""

    def __init__(self, *arguments, prepare=""):
        # A process that is started in the background, or by nohup, would ignore these signals.
        code = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"signal.signal(signal.SIGHUP, signal.SIG_DFL)\n{prepare}\n"
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
    prepare = "import rnncli.tasks.classification as task; "
    prepare += "task.load_dataset = lambda *_: (open('reading', 'w').close(), signal.pause())"
    process = Process("train", write_config(workdir / "c.yaml", values), prepare=prepare)
    process.wait_for(Path("reading").exists)
    code, out, err = process.interrupt()
    assert (code, out, err.strip()) == (130, "", "rnncli: interrupted")
    assert not Path("runs/c").exists()


# ---- going on with a run --------------------------------------------------------------------------------------------


@pytest.fixture
def straight(cli, config):
    """Digests of the run, never interrupted."""
    assert cli("train", config, "--run-dir", "straight").code == 0
    return digests_of(RunDir(Path("straight")))


def at_step(number, code):
    """Return what makes a process do something in a step, before that is recorded.

    The run has ten steps; it validates after the fifth and the last, and with ``SAVING`` saves every third.
    """
    return f"""
import os, pathlib, signal, time, rnncli.recording
step = rnncli.recording.Recorder.step
def at_step(self, event):
    if event.step == {number}:
{textwrap.indent(textwrap.dedent(code), " " * 8)}
    step(self, event)
rnncli.recording.Recorder.step = at_step
"""


SAVING = ("--set", "train.checkpoint_every_steps=3")


def ended(config, *arguments, prepare):
    """Run the command line in a process that ends by itself or by its own hand."""
    process = Process("train", config, *arguments, prepare=prepare).process
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    return process.returncode, out, err


def same_as_straight(straight, folder="runs/c"):
    """Whether the run is the one that was never interrupted, but for the saves in between."""
    found = digests_of(RunDir(Path(folder)))
    assert found == straight


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(cli, config, straight, number):
    code, out, err = ended(config, prepare=at_step(7, f"os.kill(os.getpid(), {int(number)})"))
    assert (code, out) == (128 + number, "")
    line = err.splitlines()[-1]
    assert line == "rnncli: interrupted at step 7 of 10. To go on: rnncli train --resume runs/c"
    assert load_trained(Path("runs/c/last.safetensors")).progress["step"] == 7
    done = cli(*line.partition("rnncli: ")[2].partition("To go on: rnncli ")[2].split())
    assert done.code == 0
    assert done.out.splitlines()[-1] == "next: rnncli eval runs/c/best.safetensors"
    same_as_straight(straight)
    assert [row["step"] for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "resumed"] == [7]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_last_step_lets_the_run_end(config, straight, number):
    code, out, _ = ended(config, prepare=at_step(10, f"os.kill(os.getpid(), {int(number)})"))
    assert code == 0
    assert "next: rnncli eval" in out
    same_as_straight(straight)


# A second signal comes while the checkpoint of step 7 is on its way to the disk.
WHILE_SAVING = """
os.kill(os.getpid(), signal.SIGINT)
sync = os.fsync
def signalled(descriptor):
    sync(descriptor)
    if os.readlink(f"/proc/self/fd/{{descriptor}}").endswith(".tmp"):
        os.kill(os.getpid(), {})
        time.sleep(10)
os.fsync = signalled
"""


@pytest.mark.parametrize(
    ("second", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_second_signal_stops_at_once_and_harms_nothing(cli, config, second, code):
    if not Path("/proc/self/fd").exists():
        pytest.skip("there is no /proc")
    assert cli("train", config, *SAVING, "--run-dir", "straight").code == 0
    prepare = at_step(7, WHILE_SAVING.format(int(second)))
    ended_with, out, err = ended(config, *SAVING, prepare=prepare)
    assert (ended_with, out) == (code, "")
    assert load_trained(Path("runs/c/last.safetensors")).progress["step"] == 6
    if second == signal.SIGINT:
        assert err.splitlines()[-1] == "rnncli: interrupted"
        assert sorted(os.listdir("runs/c")) == RUN
    else:  # it could not tidy up after itself; whoever comes next does
        assert len([name for name in os.listdir("runs/c") if name.endswith(".tmp")]) == 1
    assert cli("train", "--resume", "runs/c").code == 0
    assert sorted(os.listdir("runs/c")) == RUN
    same_as_straight(digests_of(RunDir(Path("straight"))))


# Killed in the middle of a write, and on both sides of the renaming.
KILL = "os.kill(os.getpid(), signal.SIGKILL)"
MOMENTS = {
    "before the step": KILL,
    "in the middle of a write": f"""
whole = pathlib.Path.open
def cut(self, *arguments, **keywords):
    file = whole(self, *arguments, **keywords)
    if self.name.startswith(".last"):
        file.write(b"half of it")
        file.flush()
        {KILL}
    return file
pathlib.Path.open = cut
""",
    "before renaming": f"os.replace = lambda *_: {KILL}",
    "after renaming": f"whole = os.replace; os.replace = lambda *paths: (whole(*paths), {KILL})",
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_is_killed_goes_on_from_a_whole_checkpoint(cli, config, moment):
    assert cli("train", config, *SAVING, "--run-dir", "straight").code == 0
    code, *_ = ended(config, *SAVING, prepare=at_step(7, MOMENTS[moment]))
    assert code == -signal.SIGKILL
    step = load_trained(Path("runs/c/last.safetensors")).progress["step"]
    assert step == (9 if moment == "after renaming" else 6)
    rows = jsonl(Path("runs/c/metrics.jsonl"))
    assert rows[-1]["step"] == (6 if moment == "before the step" else 8)
    assert cli("train", config, *SAVING, "--resume").code == 0
    assert sorted(os.listdir("runs/c")) == RUN
    same_as_straight(digests_of(RunDir(Path("straight"))))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--resume", "runs/c"],
        ["runs/c", "--resume"],
        ["c.yaml", "--resume"],
        ["--resume", "c.yaml"],
        ["runs/c/config.yaml", "--resume"],
        ["c.yaml", "--resume", "--run-dir", "runs/c"],
    ],
)
def test_every_way_to_say_resume(cli, config, straight, arguments):
    assert cli("train", config, "--set", "train.max_steps=7").code == 0
    done = cli("train", *arguments, "--set", "train.max_steps=null", "--json")
    assert done.code == 0, done
    assert json.loads(done.out)["validations"][-1]["step"] == 10
    found = digests_of(RunDir(Path("runs/c")))
    for kind in ("weights", "moments"):  # it was validated once more, at the seventh step
        assert found[f"{kind} of last.safetensors"] == straight[f"{kind} of last.safetensors"]


def test_a_finished_run_is_resumed_without_a_step(cli, config, straight):
    assert cli("train", config).code == 0
    before = {name: Path("runs/c", name).read_bytes() for name in ("last.safetensors", "best.safetensors")}
    one, other = cli("train", "--resume", "runs/c"), cli("train", config, "--resume")
    assert one.code == other.code == 0
    assert one.out.splitlines()[0].split()[:2] == ["epoch", "step"]
    assert "  step " not in one.err
    assert {name: Path("runs/c", name).read_bytes() for name in before} == before
    same_as_straight(straight)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["c.yaml", "--resume"], 1, ["runs/c", "no checkpoint"]),
        (["runs/c", "--resume"], 2, ["runs/c", "no such file"]),
        (["runs", "--resume"], 2, ["runs/config.yaml", "no such file"]),
        (["c.yaml", "--resume", "--run-dir", "tiny.csv"], 1, ["tiny.csv"]),
        (["runs"], 2, ["runs", "folder"]),
    ],
)
def test_nothing_to_resume_is_one_line(cli, config, arguments, code, words):
    Path("runs").mkdir()
    line = cli.refused("train", *arguments, code=code)
    for word in words:
        assert word in line
    assert os.listdir("runs") == []


def test_a_config_that_has_changed_is_refused_a_line_a_key(cli, config):
    assert cli("train", config).code == 0
    before = {path.name: path.read_bytes() for path in Path("runs/c").iterdir()}
    values = tiny_values("tiny.csv", name="c", seed=8, train={"epochs": 3})
    values["data"]["train"]["path"] = str(Path("tiny.csv").absolute())
    write_config(config, values)
    done = cli("train", config, "--resume")
    assert done.code == 2
    assert not done.out
    lines = done.err.splitlines()
    assert lines[0].startswith("rnncli: seed: the run has 1, the config now says 8. ")
    assert lines[1] == (
        "train.epochs: the run has 2, the config now says 3. To change it on the way, say so: --set train.epochs=3"
    )
    assert len(lines) == 2
    assert {path.name: path.read_bytes() for path in Path("runs/c").iterdir()} == before
    done = cli("train", config, "--resume", "--set", "seed=1", "--set", "train.epochs=3")
    assert done.code == 0
    history = [row for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "resumed"]
    assert [row["changed"] for row in history] == [{"train.epochs": [2, 3]}]


def test_a_second_trainer_is_refused_while_the_first_lives(cli, config):
    process = Process("train", config, prepare=at_step(7, "open('there', 'w').close(); time.sleep(60)"))
    process.wait_for(Path("there").exists)
    try:
        before = {path.name: path.read_bytes() for path in Path("runs/c").iterdir()}
        for arguments in ([config], [config, "--overwrite"], [config, "--resume"], ["--resume", "runs/c"]):
            line = cli.refused("train", *arguments)
            assert line.startswith(f"rnncli: runs/c: another trainer is at work here (process {process.process.pid}).")
        assert {path.name: path.read_bytes() for path in Path("runs/c").iterdir()} == before
    finally:
        process.process.kill()
        process.process.communicate()
    assert cli("train", "--resume", "runs/c").code == 0


def test_minutes_between_saves(cli, config, monkeypatch):
    """Each look at the clock finds it half a minute later."""
    now, saved = iter(range(0, 10**6, 30)), []
    monkeypatch.setattr("rnncli.run.time.monotonic", lambda: next(now))
    save = run.save_trained

    def noted(path, trainer, *more):
        saved.append((path.name, trainer.step))
        save(path, trainer, *more)

    monkeypatch.setattr("rnncli.run.save_trained", noted)
    assert cli("train", config, "--set", "train.checkpoint_every_minutes=1.5", "--set", "train.epochs=1").code == 0
    # A look a step, and one more when it was saved: it takes three looks to come to 1.5 minutes.
    assert [step for name, step in saved if name.startswith("last")] == [3, 5]


def test_a_run_from_the_weights_of_another(cli, config):
    assert cli("train", config).code == 0
    first = ("--set", "name=d", "--set", "train.max_steps=1", "--set", "optim.lr=1e-9")
    assert cli("train", config, *first, "--set", "init_from=runs/c/last.safetensors").code == 0
    old, new = (load_trained(Path(f"runs/{name}/last.safetensors")).model.params for name in "cd")
    for name, array in old.items():
        assert array == pytest.approx(new[name], abs=1e-7)
    assert load_trained(Path("runs/d/last.safetensors")).progress["step"] == 1
    line = cli.refused("train", config, *first[:1], "name=e", "--set", "init_from=missing.safetensors")
    assert line.startswith("rnncli: missing.safetensors: there is no such file")
    line = cli.refused(
        *("train", config, "--set", "name=e", "--set", "init_from=runs/c/last.safetensors"),
        *("--set", "model.rnn.hidden=9"),
        code=2,
    )
    assert "rnn0.fwd.Wx" in line
    assert not Path("runs/e").exists()


def test_a_training_loss_of_nothing_but_skipped_batches_is_a_dash(cli, config, monkeypatch):
    update = Trainer._update
    monkeypatch.setattr(Trainer, "_update", lambda *arguments: update(*arguments)._replace(skipped=True))
    done = cli("train", config)
    assert done.code == 0
    assert [line.split()[2] for line in done.out.splitlines()[1:3]] == ["-", "-"]
    assert [row["train_loss"] for row in jsonl(Path("runs/c/metrics.jsonl")) if row["kind"] == "validation"] == [
        None
    ] * 2


def test_a_long_run_closes_with_a_short_table(cli, config):
    done = cli("train", config, "--set", "train.epochs=30", "--set", "optim.lr=0.001")
    lines = done.out.splitlines()
    assert any(line.split()[0] == "..." and "runs/c/metrics.jsonl" in line for line in lines)
    rows = [line for line in lines[1:-2] if not line.lstrip().startswith("...")]
    assert len(rows) in (20, 21)  # the last 20, and the best where it is not among them
    assert sum(line.endswith("best") for line in rows) == 1


def test_resuming_a_finished_run_says_that_nothing_was_left(cli, config):
    assert "nothing was left" not in cli("train", config).out
    assert "nothing was left to train" in cli("train", config, "--resume").out


def test_a_lost_last_checkpoint_says_how_to_go_on_from_the_best(cli, config):
    cli("train", config)
    Path("runs/c/last.safetensors").unlink()
    line = cli.refused("train", config, "--resume")
    assert line.endswith("cp runs/c/best.safetensors runs/c/last.safetensors")
    Path("runs/c/last.safetensors").write_bytes(Path("runs/c/best.safetensors").read_bytes())
    assert cli("train", config, "--resume").code == 0
