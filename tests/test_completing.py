import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

import rnncli.cli
from rnncli.cli import completing
from rnncli.cli.completing import complete_checkpoint, complete_run, complete_setting, settings
from rnncli.config import TASKS
from rnncli.config.keys import keys_below

RUN = "from rnncli.cli import main; main()"
HEAVY = ("numpy", "pydantic", "yaml", "safetensors", "tqdm", "requests")


def completed(words, shell="bash", code=RUN, err=False):
    """Return the lines that a shell's script gets for some words, of which the last one is to be completed."""
    place = str(len(words.split(" ")) - 1)
    environment = {**os.environ, "_RNNCLI_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": place}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return (done.stderr if err else done.stdout).splitlines()


def values(items):
    return [item.value for item in items]


@pytest.fixture
def context():
    return click.Context(click.Command("x"))


def test_every_command_is_completed():
    assert completed("rnncli ") == [f"plain,{name}" for name in rnncli.cli.COMMANDS]
    assert completed("rnncli ver") == ["plain,verify-resume"]


def test_what_a_command_is_for_is_said_where_the_shell_shows_it():
    assert "plan\nSay what training will take: time, memory, disk." in "\n".join(completed("rnncli pl", shell="zsh"))


@pytest.mark.parametrize("words", ["rnncli t", "rnncli train --set optim.", "rnncli train c.yaml --set optim.name = a"])
def test_names_and_keys_come_without_the_rest_of_the_program(words):
    loaded = f"*[name for name in {HEAVY} if name in sys.modules]"
    code = f"import atexit, sys\natexit.register(lambda: print({loaded}, file=sys.stderr))\n{RUN}"
    assert completed(words, code=code, err=True) == [""]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("rnncli train --set optim.sch", "optim.schedule.name="),
        ("rnncli plan --set model.poo", "model.pooling="),
        ("rnncli gradcheck --set see", "seed="),
        ("rnncli config show --set see", "seed="),
        ("rnncli data check --set see", "seed="),
        ("rnncli train --set optim.name = ad", "adamw"),
        ("rnncli train --set model.rnn.bidirectional =", "true"),
        ("rnncli train --set seed=2 --set model.poo", "model.pooling="),
        ("rnncli train --res", "--resume"),
        ("rnncli train --set seed=2 --res", "--resume"),
        ("rnncli layers gr", "gru"),
        ("rnncli config sch", "schema"),
    ],
)
def test_words_are_completed(words, found):
    assert f"plain,{found}" in completed(words)


def test_files_are_left_to_the_shell():
    assert completed("rnncli train conf") == ["file,conf"]


@pytest.mark.parametrize("task", TASKS)
def test_the_keys_are_those_of_the_schema(task):
    assert {setting.path for setting in settings(task)} == {key.path for key in keys_below(TASKS[task])}
    assert all(setting.meaning for setting in settings(task))
    of = {setting.path: setting.values for setting in settings(task)}
    assert of["optim.name"] == ("adam", "adamw", "sgd")
    assert set(of["model.rnn.cell"]) == {"rnn", "lstm", "gru"}
    assert of["seed"] == ()


def test_keys_are_those_of_the_task_of_the_config(context, workdir):
    assert values(complete_setting(context, None, "model.ti")) == []
    Path("c.yaml").write_text("# comment\ntask: language_model\ndata: {}\n")
    context.args = ["c.yaml"]
    assert values(complete_setting(context, None, "model.ti")) == ["model.tied="]
    assert values(complete_setting(context, None, "model.tied=")) == ["model.tied=true", "model.tied=false"]
    Path("c.yaml").write_text("task: nonsense\n")
    assert values(complete_setting(context, None, "model.pool")) == ["model.pooling="]


def test_zsh_gets_no_equals_sign_before_its_blank(context, monkeypatch):
    monkeypatch.setenv("_RNNCLI_COMPLETE", "zsh_complete")
    assert values(complete_setting(context, None, "model.poo")) == ["model.pooling"]


def test_without_the_schema_nothing_is_completed(context, monkeypatch, tmp_path):
    monkeypatch.setattr(completing, "SCHEMA", tmp_path / "none.json")
    assert complete_setting(context, None, "optim.") == []


def test_checkpoints_and_runs_are_found(context, workdir):
    for name in ("one", "two"):
        folder = Path("runs") / name
        folder.mkdir(parents=True)
        for file in ("config.yaml", "best.safetensors", "last.safetensors"):
            (folder / file).touch()
    assert values(complete_checkpoint(context, None, "runs/t")) == [
        "runs/two/best.safetensors",
        "runs/two/last.safetensors",
    ]
    assert values(complete_run(context, None, "")) == ["runs/one", "runs/two"]
    (item,) = complete_checkpoint(context, None, "elsewhere/x")
    assert (item.type, item.value) == ("file", "elsewhere/x")


@pytest.mark.parametrize("command", ["eval", "explain", "export", "predict", "sample", "compare", "report", "metrics"])
def test_commands_that_take_one_complete_it(workdir, command):
    found = rnncli.cli.cli.get_command(click.Context(rnncli.cli.cli), command)
    functions = {parameter._custom_shell_complete for parameter in found.params} - {None}
    assert functions & {complete_checkpoint, complete_run}


def test_every_set_option_is_completed():
    context = click.Context(rnncli.cli.cli)

    def commands(group):
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield command
            if isinstance(command, click.Group):
                yield from commands(command)

    options = [option for command in commands(rnncli.cli.cli) for option in command.params if "--set" in option.opts]
    assert len(options) >= 7
    assert [option for option in options if option._custom_shell_complete is not complete_setting] == []
    with_set = {c.name for c in commands(rnncli.cli.cli) if any("--set" in option.opts for option in c.params)}
    assert set(completing.WITH_SET) <= with_set


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "replies"),
    [
        (["rnncli", "verif"], ["verify-resume"]),
        (["rnncli", "train", "--set", "model.poo"], ["model.pooling="]),
        (["rnncli", "train", "--set", "optim.name", "="], ["adam", "adamw", "sgd"]),
        (["rnncli", "train", "--set", "optim.name", "=", "ad"], ["adam", "adamw"]),
        (["rnncli", "export", "--to", "o"], ["onnx"]),
        (["rnncli", "export", "--to", "=", "o"], ["onnx"]),
    ],
)
def test_it_works_in_bash(tmp_path, words, replies):
    program = tmp_path / "rnncli"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{RUN}' \"$@\"\n")
    program.chmod(0o755)
    environment = {**os.environ, "_RNNCLI_COMPLETE": "bash_source"}
    script = subprocess.run([program], env=environment, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "compopt -o nospace" in script
    lines = [
        "compopt() { :; }",  # it works only while bash itself is completing
        script,
        f"COMP_WORDS=({' '.join(map(json.dumps, words))})",
        f"COMP_CWORD={len(words) - 1}",
        f"_rnncli_completion {program}",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == replies, done.stderr
