import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import tiny_config

from rnncli import run_dir as module
from rnncli.config import load_config
from rnncli.errors import RnncliError
from rnncli.run_dir import RunDir, find_checkpoint

HOLD = """
import sys
from pathlib import Path
from rnncli.run_dir import RunDir
with RunDir(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(workdir):
    return RunDir(Path("runs/x"))


@pytest.fixture
def holder(folder):
    """Another process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def entries(folder):
    return sorted(os.listdir(folder.root))


def refused(folder):
    with pytest.raises(RnncliError) as caught, folder.locked():
        pytest.fail("it was let in")
    return str(caught.value)


def test_the_second_is_refused_while_the_first_lives(folder, holder):
    (folder.root / "mine").write_text("mine")
    unfinished = folder.root / ".last.safetensors.1.tmp"
    unfinished.write_text("being written")
    text = refused(folder)
    assert text.startswith(f"runs/x: another trainer is at work here (process {holder.pid}). ")
    assert "--run-dir" in text
    assert "\n" not in text
    assert unfinished.read_text() == "being written"
    assert refused(folder) == text  # being refused changes nothing
    holder.communicate("")
    assert holder.returncode == 0
    with folder.locked():
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_left_by_a_dead_one_is_not_in_the_way(folder, holder, number):
    holder.send_signal(number)
    holder.wait()
    assert entries(folder) == [".lock"]
    with folder.locked():
        assert (folder.root / ".lock").read_text() == str(os.getpid())
        assert refused(folder).count(f"process {os.getpid()}") == 1


def test_a_lock_of_a_number_in_use_is_not_in_the_way(folder):
    folder.root.mkdir(parents=True)
    (folder.root / ".lock").write_text("1")
    with folder.locked():
        pass


def test_what_a_killed_writer_left_is_removed_and_nothing_else(folder):
    folder.root.mkdir(parents=True)
    left = [".last.safetensors.123.tmp", ".best.safetensors.4.tmp", ".config.yaml.tmp"]
    kept = ["notes.txt", ".mine.tmp", "last.safetensors", "best.safetensors.tmp", ".last.safetensors.bak"]
    for name in left + kept:
        (folder.root / name).write_text(name)
    with folder.locked():
        assert entries(folder) == sorted([".lock", *kept])
    assert entries(folder) == sorted([".lock", *kept])


def test_a_folder_in_which_nothing_was_made_is_removed(folder):
    with contextlib.suppress(ZeroDivisionError), folder.locked():
        assert folder.root.is_dir()
        raise ZeroDivisionError
    assert not folder.root.exists()
    with folder.locked():
        (folder.root / "mine").write_text("mine")
    assert entries(folder) == [".lock", "mine"]


def test_a_folder_that_vanishes_is_no_traceback(folder):
    with folder.locked():
        (folder.root / ".lock").unlink()
        folder.root.rmdir()
    assert not folder.root.exists()


def test_a_file_where_the_folder_should_be(folder):
    Path("runs").mkdir()
    folder.root.write_text("mine")
    assert refused(folder).startswith("runs/x: cannot be written: ")
    assert folder.root.read_text() == "mine"


def test_a_folder_where_the_lock_should_be(folder):
    (folder.root / ".lock").mkdir(parents=True)
    assert refused(folder).startswith("runs/x: cannot be written: ")


def test_a_file_system_without_locks_can_be_trained_on(folder, monkeypatch):
    def none(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", none)
    with folder.locked():
        (folder.root / "mine").write_text("mine")


def test_a_system_without_locks_can_be_trained_on(folder, monkeypatch):
    monkeypatch.setattr(module, "fcntl", None)
    with folder.locked(), folder.locked():
        (folder.root / "mine").write_text("mine")


# ---- the files ------------------------------------------------------------------------------------------------------


def test_creating_empties_the_folder_of_a_run_and_of_nothing_else(folder):
    folder.root.mkdir(parents=True)
    for name in ("config.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors", "notes.txt"):
        (folder.root / name).write_text("old")
    config = tiny_config("tiny.csv")
    folder.create(config)
    assert entries(folder) == ["config.yaml", "notes.txt"]
    assert load_config(folder.config) == config


def test_a_config_is_replaced_whole_or_not_at_all(folder, monkeypatch):
    folder.root.mkdir(parents=True)
    folder.write_config(tiny_config("tiny.csv"))
    before = folder.config.read_bytes()
    with monkeypatch.context() as patch:

        def full(*_):
            raise OSError(28, "No space left on device")

        patch.setattr(module.os, "replace", full)
        with pytest.raises(RnncliError, match=r"^runs/x/config\.yaml: cannot be written: No space left on device"):
            folder.write_config(tiny_config("other.csv"))
    assert folder.config.read_bytes() == before
    assert entries(folder) == ["config.yaml"]
    folder.write_config(tiny_config("other.csv"))
    assert b"other.csv" in folder.config.read_bytes()


def test_a_vanished_folder_is_one_line(folder):
    with pytest.raises(RnncliError, match=r"^runs/x/config\.yaml: cannot be written: No such file or directory"):
        folder.write_config(tiny_config("tiny.csv"))


@pytest.mark.parametrize("name", ["config.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors"])
def test_an_earlier_run_is_refused_and_told_how_to_go_on(folder, name):
    folder.root.mkdir(parents=True)
    folder.refuse_earlier_run()
    (folder.root / name).write_text("mine")
    with pytest.raises(RnncliError, match=r"^runs/x: holds an earlier run\. Add --overwrite") as caught:
        folder.refuse_earlier_run()
    assert ("rnncli train --resume runs/x" in str(caught.value)) is (name == "last.safetensors")


@pytest.mark.parametrize("name", [None, "config.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors"])
def test_a_folder_without_a_checkpoint_cannot_be_resumed(folder, name):
    folder.root.mkdir(parents=True)
    if name:
        (folder.root / name).write_text("mine")
    if name and name.endswith("safetensors"):
        folder.require_checkpoint()
    else:
        with pytest.raises(RnncliError, match=r"^runs/x: holds no checkpoint to go on from"):
            folder.require_checkpoint()


@pytest.mark.parametrize("path", ["runs", "runs/x", "runs/x/y/z"])
def test_a_file_in_the_place_of_a_folder_is_called_that(workdir, path):
    Path("runs").mkdir()
    Path("runs/x").touch()
    if path == "runs":
        Path("runs/x").unlink()
        Path("runs").rmdir()
        Path("runs").touch()
    text = refused(RunDir(Path(path)))
    name = f"{workdir}/runs/x" if path.endswith("z") else "it"
    assert text == f"{path}: cannot be written: {name} is a file, not a folder. Choose another place with --run-dir"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_more_space_is_advised_where_it_helps(number):
    text = str(module.cannot_write(Path("x"), OSError(number, os.strerror(number))))
    assert ("space or choose" in text) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert "hoose another place with --run-dir" in text


def test_folders_made_on_the_way_go_too_unless_they_are_used(workdir):
    Path("here").mkdir()
    deep = RunDir(Path("here/a/b/x"))
    with contextlib.suppress(ZeroDivisionError), deep.locked():
        raise ZeroDivisionError
    assert os.listdir("here") == []
    with contextlib.suppress(ZeroDivisionError), deep.locked():
        Path("here/a/cache").mkdir()
        raise ZeroDivisionError
    assert os.listdir("here/a") == ["cache"]
    assert "name too long" in refused(RunDir(Path("here/c/" + "x" * 300)))
    assert os.listdir("here") == ["a"]


def test_a_folder_means_its_best_checkpoint_or_else_the_last(workdir):
    run_dir = RunDir(Path("x"))
    run_dir.root.mkdir()
    assert find_checkpoint(run_dir.last) == run_dir.last  # whether it is there or not
    with pytest.raises(RnncliError, match=r"^x: holds no checkpoint .* Name the folder of a run"):
        find_checkpoint(run_dir.root)
    run_dir.last.touch()
    assert find_checkpoint(run_dir.root) == run_dir.last
    run_dir.best.touch()
    assert find_checkpoint(run_dir.root) == run_dir.best
