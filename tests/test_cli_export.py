import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest
from tiny_runs import tiny_values, write_config, write_csv

import rnncli.exporting
from rnncli.errors import RnncliError
from rnncli.exporting import FORMATS, Fact
from rnncli.exporting.places import whole_or_nothing


@pytest.fixture
def checkpoint(cli, workdir):
    """Return a trained checkpoint."""
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c")
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    return Path("runs/c/best.safetensors")


class Written:
    """A format that writes what it is told to."""

    def __init__(self, monkeypatch):
        self.fails = None
        self.monkeypatch = monkeypatch
        self.make(folder=False)
        monkeypatch.setattr(rnncli.exporting, "import_module", lambda name: self)

    def make(self, *, folder):
        self.folder = folder
        # Its summary stays: the command's help is made of it once, by whichever test is the first.
        form = FORMATS["onnx"]._replace(module="rnncli.exporting.written", ending="-written.bin", folder=folder)
        self.monkeypatch.setitem(FORMATS, "onnx", form)

    def export(self, trained, path):
        if self.folder:
            path.mkdir()
            (path / "weights").write_text("w" * 1000)
            path = path / "more"
        path.write_text("x" * 500)
        if self.fails:
            raise self.fails
        return [Fact("labels", ["neg", "pos"], "neg, pos"), Fact("two lines", {"a": 1.5}, "one\ntwo")]


@pytest.fixture
def written(monkeypatch):
    return Written(monkeypatch)


def left_behind():
    return [str(file) for file in Path().rglob(".rnncli-export*")]


def export(cli, checkpoint, *more):
    return cli("export", checkpoint, "--to", "onnx", *more)


def test_it_says_what_it_wrote_beside_the_checkpoint(cli, checkpoint, written):
    done = export(cli, checkpoint)
    assert (done.code, done.err) == (0, "")
    assert Path("runs/c/best-written.bin").read_text() == "x" * 500
    step = re.search(r"step (\d+)", done.out)[1]
    assert done.out.splitlines() == [
        f"checkpoint  runs/c/best.safetensors (gru, step {step})",
        "wrote       runs/c/best-written.bin (0.5 kB)",
        "labels      neg, pos",
        "two lines   one",
        "            two",
    ]


def test_programs_get_the_same_as_json(cli, checkpoint, written):
    report = json.loads(export(cli, checkpoint, "--output", "y", "--json").out)
    assert type(report.pop("step")) is int
    expected = {"checkpoint": str(checkpoint), "to": "onnx", "output": "y", "bytes": 500, "labels": ["neg", "pos"]}
    assert report == {**expected, "two_lines": {"a": 1.5}}


def test_a_folder_is_one_too(cli, checkpoint, written):
    written.make(folder=True)
    Path("y").mkdir()
    empty = Path("y").stat().st_ino
    for output in ("y", "new"):
        assert f"wrote       {output} (1.5 kB)" in export(cli, checkpoint, "--output", output).out
        assert sorted(file.name for file in Path(output).iterdir()) == ["more", "weights"]
    assert Path("y").stat().st_ino == empty  # a shell that is in it stays in it
    line = cli.refused("export", checkpoint, "--to", "onnx", "--output", "y", code=2)
    assert line == "rnncli: --output y: is a folder with something in it. Name one that is empty or not there yet"
    assert left_behind() == []


def test_a_file_does_not_replace_a_folder_nor_a_folder_a_file(cli, checkpoint, written):
    Path("y").mkdir()
    line = cli.refused("export", checkpoint, "--to", "onnx", "--output", "y", code=2)
    assert line == "rnncli: --output y: is a folder. Name a file, which may be one in it"
    written.make(folder=True)
    Path("z").write_text("earlier")
    line = cli.refused("export", checkpoint, "--to", "onnx", "--output", "z", code=2)
    assert line == "rnncli: --output z: is a file, and a folder is written. Name one that is not there yet"
    assert Path("z").read_text() == "earlier"


def test_what_cannot_all_be_moved_into_a_folder_is_not(cli, checkpoint, written, monkeypatch):
    written.make(folder=True)
    Path("y").mkdir()
    replace = os.replace

    def interrupted(source, target):
        if Path(target).name == "weights":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    assert export(cli, checkpoint, "--output", "y").code == 130
    assert list(Path("y").iterdir()) == []


def test_an_earlier_file_is_replaced_as_a_whole_and_keeps_its_rights(cli, checkpoint, written):
    Path("y").write_text("earlier")
    Path("y").chmod(0o640)
    os.symlink("y", "link")
    assert export(cli, checkpoint, "--output", "link").code == 0
    assert Path("y").read_text() == "x" * 500
    assert stat.S_IMODE(Path("y").stat().st_mode) == 0o640
    assert Path("link").is_symlink()


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("error", [RnncliError("no"), OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there_and_nothing_else(cli, checkpoint, written, error, folder):
    written.make(folder=folder)
    written.fails = error
    Path("y").mkdir() if folder else Path("y").write_text("earlier")
    done = export(cli, checkpoint, "--output", "y")
    assert done.code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert not done.out
    assert "Traceback" not in done.err
    assert list(Path("y").iterdir()) == [] if folder else Path("y").read_text() == "earlier"
    assert left_behind() == []
    if isinstance(error, OSError):
        assert done.failed() == (
            "rnncli: y: cannot be written: No space left on device. "
            "Free some space or choose another place for --output"
        )


@pytest.mark.parametrize("output", ["runs/c/best.safetensors", "tiny.csv"])
def test_it_does_not_write_over_what_it_reads(cli, checkpoint, written, output):
    before = Path(output).read_bytes()
    assert "which it would replace" in cli.refused("export", checkpoint, "--to", "onnx", "--output", output, code=2)
    assert Path(output).read_bytes() == before


def test_neither_over_a_device(cli, checkpoint, written):
    line = cli.refused("export", checkpoint, "--to", "onnx", "--output", os.devnull, code=2)
    assert "is neither a file nor a folder" in line
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("output", ["nowhere/y", "tiny.csv/y"])
def test_a_place_that_cannot_be_written(cli, checkpoint, written, output):
    line = cli.refused("export", checkpoint, "--to", "onnx", "--output", output)
    assert line.startswith(f"rnncli: {output}: cannot be written: ")
    assert line.endswith("Choose another place for --output")


def test_the_ending_of_the_name_is_kept_while_writing(workdir):
    for name in ("x.npz", "y", ".hidden"):
        with whole_or_nothing(Path(name)) as unfinished:
            assert (unfinished.suffix, unfinished.exists()) == (Path(name).suffix, False)
            unfinished.write_text("")
        assert Path(name).exists()
    assert left_behind() == []


def test_misuse(cli, checkpoint):
    assert "Missing option '--to'" in cli.refused("export", checkpoint, code=2)
    assert "'pickle' is not one of" in cli.refused("export", checkpoint, "--to", "pickle", code=2)
    assert "there is no such file" in cli.refused("export", "gone.safetensors", "--to", "onnx")
    shutil.copy("tiny.csv", "bad.safetensors")
    assert "bad.safetensors" in cli.refused("export", "bad.safetensors", "--to", "onnx")


def test_every_format_is_explained_and_has_its_function(cli, checkpoint):
    text = cli("export", "--help").out
    for name, form in FORMATS.items():
        assert re.search(rf"^  {name} +{re.escape(form.summary)}$", text, re.M)


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_can_be_written(cli, workdir, name):
    rnn = {"cell": "lstm", "hidden": 4}
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", model={"rnn": rnn})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    done = cli("export", "runs/c/best.safetensors", "--to", name)
    assert (done.code, done.err) == (0, "")
    assert re.search(rf"^wrote +runs/c/best{re.escape(FORMATS[name].ending)} \(\d", done.out, re.M)
    assert Path(f"runs/c/best{FORMATS[name].ending}").exists()
    assert left_behind() == []
