import errno
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from tiny_runs import tiny_values, write_config, write_csv

import rnncli
import rnncli.cli
from rnncli.errors import CheckpointError, ConfigError, DataError, GradientError, RnncliError

COMMANDS = [
    *(
        ["init"],
        ["plan"],
        ["train"],
        ["eval"],
        ["report"],
        ["compare"],
        ["metrics"],
        ["import"],
        ["sweep"],
        ["gradcheck"],
        ["layers"],
        ["verify-resume"],
        ["predict"],
        ["explain"],
        ["sample"],
        ["export"],
        ["config"],
        ["config", "show"],
        ["config", "schema"],
    ),
    *(["data"], ["data", "get"], ["data", "check"]),
]


def in_a_process(*arguments, **options):
    """Run the command line as a user does."""
    code = "from rnncli.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, timeout=60, **options)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command(cli, words):
    done = cli(*words, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: rnncli {' '.join(words)}")
    assert "\n  " in done.out


def test_help_lists_every_command(cli):
    for option in ("--help", "-h"):
        done = cli(option)
        assert done.code == 0
        for name, (_, short_help) in rnncli.cli.COMMANDS.items():
            assert name in done.out
            assert short_help in done.out
    assert {words[0] for words in COMMANDS} == set(rnncli.cli.COMMANDS)


def test_version(cli):
    done = cli("--version")
    assert (done.code, done.out) == (0, f"rnncli, version {rnncli.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "Usage: rnncli"),
        (["trian"], "trian"),
        (["train"], "CONFIG"),
        (["train", "a.yaml", "b.yaml"], "b.yaml"),
        (["train", "a.yaml", "--epochs", "3"], "--epochs"),
        (["train", "a.yaml", "--set"], "--set"),
        (["train", "--resume"], "CONFIG"),
        (["train", "a.yaml", "--resume", "--overwrite"], "--overwrite"),
        (["verify-resume"], "CONFIG"),
        (["verify-resume", "a.yaml", "--kills", "0"], "--kills"),
        (["eval"], "CHECKPOINT"),
        (["eval", "x", "--format", "xml"], "xml"),
        (["--jsno"], "--jsno"),
    ],
)
def test_a_misused_command_is_exit_code_2(cli, arguments, named):
    done = cli(*arguments)
    assert done.code == 2
    assert named in done.err
    assert "Traceback" not in done.err
    assert not done.out


@pytest.fixture
def raising(monkeypatch):
    """Let a command end in an exception."""

    def prepare(error):
        @click.command("train")
        def command():
            raise error

        monkeypatch.setitem(sys.modules, "raising_command", type(sys)("raising_command"))
        sys.modules["raising_command"].command = command
        monkeypatch.setitem(rnncli.cli.COMMANDS, "train", ("raising_command", ""))

    return prepare


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RnncliError("went wrong", where="a.csv:3", remedy="Mend it"), 1, "rnncli: a.csv:3: went wrong. Mend it\n"),
        (ConfigError("is wrong", where="seed"), 2, "rnncli: seed: is wrong\n"),
        (DataError("no"), 1, "rnncli: no\n"),
        (CheckpointError("no"), 1, "rnncli: no\n"),
        (GradientError("no"), 1, "rnncli: no\n"),
        (MemoryError("2 GiB"), 1, "rnncli: out of memory: 2 GiB. Choose a smaller model, batch or vocabulary\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "rnncli: output: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a.csv"), 1, "rnncli: a.csv: Permission denied\n"),
        (KeyboardInterrupt(), 130, "rnncli: interrupted\n"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_one_line_and_its_exit_code(cli, raising, error, code, text, monkeypatch):
    raising(error)
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back, where it is taken away
    done = cli("train")
    assert done.code == code
    assert done.err.lstrip("\n") == text
    assert not done.out


def test_what_is_no_error_of_the_user_is_not_hidden(cli, raising, monkeypatch):
    raising(ZeroDivisionError("a fault of the program"))
    monkeypatch.setattr(sys, "argv", ["rnncli", "train"])
    with pytest.raises(ZeroDivisionError):
        rnncli.cli.main()


def test_help_imports_no_numpy():
    heavy = ["numpy", "pydantic", "yaml", "safetensors", "tqdm", "requests"]
    code = f"""
import atexit, sys
atexit.register(lambda: print([name for name in {heavy} if name in sys.modules], file=sys.stderr))
from rnncli.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout.startswith("Usage: rnncli")


def test_the_console_script_is_main():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"rnncli": "rnncli.cli:main"}


def test_output_to_a_full_disk_is_one_line(workdir):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    config = write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "tiny.csv")))
    with open("/dev/full", "w") as full:
        done = in_a_process("config", "show", config, stdout=full)
    assert (done.returncode, done.stderr) == (1, "rnncli: output: No space left on device\n")


def test_a_reader_that_leaves_early_is_no_traceback(workdir):
    config = write_config(workdir / "c.yaml", tiny_values(write_csv(workdir / "tiny.csv")))
    reading, writing = os.pipe()
    os.close(reading)
    done = in_a_process("config", "show", config, stdout=writing)
    os.close(writing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["eval"], ["train", "a.yaml", "--no-such"], ["gradcheck", "--tolerance", "0"]])
def test_what_click_refuses_is_one_line_too(cli, arguments):
    assert cli.refused(*arguments, code=2).endswith(f"See: rnncli {arguments[0]} --help")
