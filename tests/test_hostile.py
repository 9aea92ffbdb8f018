"""What nobody should feed to a program, fed to this one as a user would: one line each, and nothing is run."""

import errno
import gzip
import json
import os
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import jsonl, merged, tiny_values, write_config, write_csv

from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.data import cache
from rnncli.errors import CheckpointError
from rnncli.models import Model
from rnncli.trained import load_trained

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "fuzz"))

import fuzz_checkpoint  # noqa: E402
import fuzz_config  # noqa: E402
import fuzz_readers  # noqa: E402


@pytest.fixture
def config(workdir):
    write_csv(workdir / "tiny.csv")
    return write_config(workdir / "c.yaml", tiny_values("tiny.csv", name="c", train={"epochs": 1}))


@pytest.fixture
def run(cli, config):
    """A finished run in runs/c."""
    assert cli("train", config).code == 0
    return Path("runs/c")


# ---- configs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: " + "x" * 900_000, "data: '"),  # one huge scalar
        ("name: |\n" + "  y\n" * 200_000, "name: "),
        ("data: {train: {format: csv, path: a}}\nseed: " + "9" * 4000, ":2: seed: "),
        ("k" * 2000 + ": 1", "not valid YAML: mapping values"),
        ("x: " + "{a: " * 5000, "nested more than 32 levels deep"),
        ("x:\n" + "".join(" " * depth + "- a:\n" for depth in range(0, 200, 2)), "nested more than 32 levels deep"),
        ("x: &a [1]\n" + "y: [" + "*a, " * 19_000 + "1]\n", "more than 20000 values"),
        ("data:\n\ttrain: {}", "a tab"),
        ("data: {}\ndata: {}", "given twice"),
        ("data: {train: {format: csv, path: a}}\nname: ../../escape", "cannot be the name of a folder"),
        ("data: {train: {format: csv, path: a}}\nname: /tmp/escape", "cannot be the name of a folder"),
        ("data: {train: {format: csv, path: a}}\nname: ..", "cannot be the name of a folder"),
        ("data: !!python/object/new:os.system [touch ran]", "is not allowed"),
        ("<<: {data: 1}", "is not a key here"),
    ],
)  # fmt: skip
def test_configs(cli, workdir, text, said):
    Path("c.yaml").write_text(text)
    for command in (("train", "c.yaml"), ("config", "show", "c.yaml"), ("data", "check", "c.yaml")):
        done = cli(*command)
        assert done.code in (1, 2)
        assert "Traceback" not in done.err
        if command[0] == "train":
            assert said in done.err
            assert max(map(len, done.err.splitlines())) < 1000
    assert sorted(os.listdir()) == ["c.yaml"]


# ---- data ---------------------------------------------------------------------------------------------------------

ROWS = "text,label\ngood film,pos\nbad film,neg\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", ROWS.encode("utf-16"), "UTF-16"),
        ("a.csv", ROWS.encode().replace(b"film", b"fi\xfflm", 1), "a.csv:2: byte 0xff"),
        ("a.csv", ROWS.encode().replace(b"film", b"\xed\xa0\x80", 1), "a.csv:2: byte 0xed"),  # a lone surrogate
        ("a.csv", ROWS.encode().replace(b"film", b"\xc0\x80", 1), "a.csv:2: byte 0xc0"),  # an overlong NUL
        ("a.csv", ROWS.encode().replace(b"film", b"\0", 1), "a.csv:2: NUL"),
        ("a.csv", ROWS.encode() + b'"never closed,pos\nbad,neg\n', "a.csv:4: a double quote"),
        ("a.csv", b"text\ngood\n", "no column 'label'"),
        ("a.csv", b"text,label\n" + b"".join(b"good %d,pos\n" % i for i in range(9)), "the only label is 'pos'"),
        ("a.csv", b"text,label\n" + b",pos\n,neg\n  ,pos\n" * 9, "part is empty"),  # equal texts stay together
        ("a.csv", b"text,label\n" + b",".join([b"x"] * 100_000) + b"\n", "a.csv:2: the row has 100000 fields"),
        ("a.csv.gz", gzip.compress(ROWS.encode())[:-9], "ends too early"),
        ("a.csv.gz", gzip.compress(ROWS.encode())[:-8] + bytes(8), "damaged compressed file"),
        ("a.csv.gz", gzip.compress(b"x" * (65 * 2**20), 1), "longer than 64 MiB"),  # a bomb in one line
        ("a.csv.gz", ROWS.encode(), "does not hold gz data"),
        ("a.jsonl", b'{"text": "\\ud800", "label": "pos"}\n', "half of a surrogate pair"),
        ("a.jsonl", b'{"text": "a", "label": "pos"' + b', "x": ' + b"[" * 100_000 + b"\n", "a.jsonl:1"),
        ("a.jsonl", b'{"text": "a", "label": ' + b"9" * 5000 + b"}\n", "a.jsonl:1"),
        ("a.jsonl", b'{"text": "a", "label": 1e999}\n', "is a number, not a string"),
        ("a.txt", b"__label__pos __label__neg a\n", "2 labels"),
        ("a.tsv", ROWS.encode(), "looks comma-separated"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_data(cli, workdir, name, content, said):
    Path(name).write_bytes(content)
    formats = {"a.csv": "csv", "a.csv.gz": "csv", "a.jsonl": "jsonl", "a.txt": "fasttext", "a.tsv": "tsv"}
    values = merged(tiny_values("none"), {"data": {"train": {"format": formats[name], "path": name}}})
    line = cli.refused("train", write_config(workdir / "c.yaml", values))
    assert said in line
    assert len(line) < 500
    assert not Path("runs/tiny").exists()


def test_all_texts_empty_in_a_part_of_their_own(cli, workdir):
    Path("a.csv").write_text("text,label\n,pos\n,neg\n")
    source = {"format": "csv", "path": "a.csv"}
    values = tiny_values("a.csv", data={"train": source, "valid": source})
    del values["data"]["valid_fraction"]
    assert "no text of the training part has a token" in cli.refused("train", write_config(workdir / "c.yaml", values))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text,label\ngood,other\n", "label 'other' is not one the training part has ('neg', 'pos')"),
        ("text,label\n", "there are no rows"),
        ("", "is empty"),
        ("text,label\ngood,\x1b[31mpos\n", "label '\\x1b[31mpos' holds a control character"),
    ],
)
def test_data_to_evaluate(cli, run, content, said):
    Path("new.csv").write_text(content)
    assert said in cli.refused("eval", run / "best.safetensors", "--data", "new.csv")


@pytest.mark.parametrize(
    "content", ["text,label\n,pos\n", "text,label\ngood,pos\nfine,pos\n", 'text,label\n"\n",neg\n']
)
def test_data_that_is_odd_and_can_be_evaluated(cli, run, content):
    """Empty texts, and one class only."""
    Path("new.csv").write_text(content)
    done = cli("eval", run / "best.safetensors", "--data", "new.csv", "--json")
    assert done.code == 0, done
    assert json.loads(done.out)["roc_auc"] is None


@pytest.mark.parametrize("raw", [b"caf\xe9", b"two\nlines", b"\x1b[31mred"], ids=["bytes", "line end", "colour"])
def test_the_name_of_a_file_is_anything(workdir, raw):
    """Bytes that no encoding of a terminal has, or that would steer it; run apart, as pytest's output takes any."""
    name = os.fsdecode(raw)
    try:
        folder = Path(name)
        (folder / "data/pos").mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has no such names")
    (folder / "data/neg").mkdir()
    for number in range(20):
        (folder / f"data/pos/{number}{name}.txt").write_text(f"good w{number}")
        (folder / f"data/neg/{number}{name}.txt").write_text(f"bad w{number}")
    values = tiny_values("none", data={"train": {"format": "aclimdb", "path": "data"}}, train={"epochs": 1})
    write_config(folder / "c.yaml", values)

    def rnncli(*arguments):
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}  # strict, unlike what C.UTF-8 has by default
        done = subprocess.run(
            [sys.executable, "-m", "rnncli", *map(str, arguments)], cwd=folder, env=environment, capture_output=True
        )
        assert b"Traceback" not in done.stderr
        return done

    here = folder.absolute()
    for arguments in (
        ("train", here / "c.yaml", "--run-dir", here / "r"),
        ("eval", here / "r/best.safetensors", "--predictions", here / "p.jsonl"),
    ):
        done = rnncli(*arguments)
        assert done.returncode == 0, done
    assert any(name in row["where"] for row in jsonl(folder / "p.jsonl"))
    (folder / f"data/neg/3{name}.txt").write_bytes(b"\xff")
    for arguments in (("eval", here / "r/best.safetensors"), ("eval", here / "none"), ("train", here / "none")):
        done = rnncli(*arguments)
        assert done.returncode in (1, 2)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert b"\x1b" not in done.stderr + done.stdout


# ---- runs that somebody has changed ---------------------------------------------------------------------------------

DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "line",
    [b"{", b"[]", b"3", b"{}", b'{"kind": "validation"}', b'{"kind": "validation", "step": "x"}', b"\xff\xfe", DEEP],
    ids=lambda line: line[:40],
)
def test_metrics_that_are_damaged(cli, run, line):
    metrics = run / "metrics.jsonl"
    kept = metrics.read_bytes()
    metrics.write_bytes(line.ljust(len(kept.splitlines()[0])) + b"\n" + kept.split(b"\n", 1)[1])
    said = cli.refused("train", "--resume", run)
    assert f"{metrics}:1: is not a row that rnncli wrote" in said
    metrics.rename(f"{metrics}.old")  # as the message says
    assert cli("train", "--resume", run).code == 0


CHANGES = {
    "no sums": lambda progress, _: progress.pop("sums"),
    "sums of another kind": lambda progress, _: progress.update(sums=[1]),
    "a sum too many": lambda progress, _: progress["sums"].update(more=1),
    "a negative step": lambda progress, _: progress.update(step=-1),
    "a step beyond counting": lambda progress, _: progress.update(step=10**40),
    "norms that are text": lambda progress, _: progress.update(norms="abc"),
    "no digest of the data": lambda progress, _: progress.pop("data"),
    "an array of the optimizer less": lambda _, tensors: tensors.pop("m/output.b"),
    "an array of the optimizer more": lambda _, tensors: tensors.update({"n/output.b": np.zeros(2, np.float32)}),
    "one of another shape": lambda _, tensors: tensors.update({"v/output.b": np.zeros(3, np.float32)}),
    "one of another type": lambda _, tensors: tensors.update({"v/output.b": np.zeros(2)}),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_checkpoint_that_lies_under_a_right_digest(cli, run, change):
    last = run / "last.safetensors"
    checkpoint = load_checkpoint(last)
    change(checkpoint.metadata["progress"], checkpoint.tensors)
    save_checkpoint(last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    before = last.read_bytes()
    assert f"{last}: cannot be resumed from: " in cli.refused("train", "--resume", run)
    assert last.read_bytes() == before


@pytest.mark.parametrize("step", ["5", None, True, 2.0, [1]])
def test_a_step_that_is_no_number_is_no_checkpoint(cli, run, step):
    last = run / "last.safetensors"
    checkpoint = load_checkpoint(last)
    checkpoint.metadata["progress"]["step"] = step
    save_checkpoint(last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    assert "step" in cli.refused("eval", last)
    (run / "best.safetensors").write_bytes(b"")
    cli.refused("eval", run / "best.safetensors")  # looks beside it for a good one


@pytest.mark.parametrize(
    "model",
    [
        {"embedding": {"dim": 65536}},
        {"rnn": {"cell": "gru", "hidden": 65536}},
        {"rnn": {"cell": "gru", "hidden": 8, "layers": 64}},
    ],
)
def test_a_size_that_is_a_lie_costs_no_memory(run, model):
    """The config in a small file claims a model of many GB, which must not be made to be compared."""
    last = run / "last.safetensors"
    checkpoint = load_checkpoint(last)
    checkpoint.metadata["config"]["model"] = merged(checkpoint.metadata["config"]["model"], model)
    save_checkpoint(last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    (run / "best.safetensors").unlink()
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"its config says float32|is missing"):
        load_trained(last)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_binary_model_of_three_labels_is_no_checkpoint(cli, workdir):
    write_csv(workdir / "tiny.csv")
    values = tiny_values("tiny.csv", name="c", model={"loss": "binary"}, train={"epochs": 1})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    last = Path("runs/c/last.safetensors")
    checkpoint = load_checkpoint(last)
    checkpoint.metadata["labels"] = ["a", "b", "c"]
    save_checkpoint(last, checkpoint.tensors, checkpoint.metadata, checkpoint.vocabulary)
    assert "labels" in cli.refused("eval", last)


def test_every_batch_skipped_before_a_validation(cli, config, monkeypatch):
    """There is then no training loss to show."""
    loss = Model.loss

    def not_finite_at_first(self, logits, *rest):
        value, dlogits = loss(self, logits, *rest)
        not_finite_at_first.calls += 1
        return (float("nan") if not_finite_at_first.calls < 3 else value), dlogits

    not_finite_at_first.calls = 0
    monkeypatch.setattr(Model, "loss", not_finite_at_first)
    done = cli("train", config, "--set", "train.on_nonfinite=skip", "--set", "train.validate_every=2")
    assert done.code == 0, done
    assert done.out.splitlines()[1].split()[:3] == ["1", "2", "-"]


@pytest.mark.parametrize("number", range(1, 5))
def test_overwriting_that_fails_half_way_leaves_no_checkpoint_without_its_metrics(cli, run, monkeypatch, number):
    """A checkpoint alone would be resumed without the rows before it."""
    removed = []
    unlink = Path.unlink

    def fail_at_one(self, missing_ok=False):
        if self.parent == run and not self.name.startswith("."):
            removed.append(self.name)
            if len(removed) == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        unlink(self, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail_at_one)
        assert "cannot be written: Input/output error" in cli.refused("train", "c.yaml", "--overwrite")
    assert len(removed) == number
    left = {path.name for path in run.iterdir()}
    assert {"metrics.jsonl", "config.yaml"} <= left or not left & {"last.safetensors", "best.safetensors"}


# ---- the cache ------------------------------------------------------------------------------------------------------


def test_what_killed_writers_leave_in_the_cache_is_cleared(cli, config):
    folder = Path("runs/.cache")
    folder.mkdir(parents=True)
    old, young = folder / ".writing-old", folder / ".writing-young"
    for file in (old, young):
        file.write_bytes(b"half")
    long_ago = os.stat(old).st_mtime - cache.UNFINISHED_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    assert cli("train", config).code == 0
    assert not old.exists()
    assert young.exists()  # another process may be writing it


# ---- nothing is run -------------------------------------------------------------------------------------------------

WATCHED = """
import ast, json, os, sys
from pathlib import Path

NEVER = ("pickle.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "socket.", "pty.",
         "urllib.", "webbrowser.", "ctypes.dlopen", "code.__new__", "marshal.load", "shelve", "builtins.input")
found, written, state = [], set(), "warm"

def watch(event, arguments):
    if state == "off":
        return
    if event == "open":
        path, mode, flags = arguments
        if isinstance(path, str | bytes) and (flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)):
            written.add(os.path.abspath(os.fsdecode(path)))
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.symlink", "os.link", "os.chmod"):
        written.update(os.path.abspath(os.fsdecode(a)) for a in arguments if isinstance(a, str | bytes | os.PathLike))
    loading = ("exec", "compile", "import", "marshal.loads", "code.__new__", "ctypes.dlopen")  # modules are loaded
    if event in loading and state == "warm":
        return
    if event == "ctypes.dlopen" and arguments == (None,):
        return  # the process itself: the C library is asked to keep freed memory
    if event == "compile" and sys._getframe(1).f_code is ast.parse.__code__:
        return  # into a tree that is not executed: the header of an .npy file, by NumPy
    if event in ("exec", "compile") or event.startswith(NEVER):
        found.append([event, repr(arguments)[:200]])

def run(*arguments):
    sys.argv = ["rnncli", *arguments]
    try:
        main()
    except SystemExit as left:
        assert not left.code, (arguments, left.code)

def all_commands(place):
    for name in ("csv", "keras"):
        os.chdir(Path(sys.argv0, place))
        run("train", f"{name}.yaml")
        run("train", "--resume", f"runs/{name}", "--set", "train.epochs=2")
        run("eval", f"runs/{name}/best.safetensors")
        run("eval", f"runs/{name}/last.safetensors", "--predictions", f"{name}.jsonl")
    run("data", "check", "csv.yaml")
    run("config", "show", "csv.yaml")

sys.argv0 = sys.argv[1]
sys.dont_write_bytecode = True
sys.addaudithook(watch)
from rnncli.cli import main
all_commands("one")
state = "armed"
all_commands("two")
state = "off"
print(json.dumps({"found": found, "written": sorted(written)}))
"""


def make_sources(folder, seed):
    """Write a csv file and Keras's files with texts of their own, and a config for each."""
    folder.mkdir()
    rng = random.Random(seed)
    words = [f"w{seed}n{number}" for number in range(30)]
    lines = [f"{' '.join(rng.choices(words, k=6))},{label}" for label in ("pos", "neg") for _ in range(20)]
    (folder / "a.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    reviews = np.empty(40, dtype=object)
    reviews[:] = [rng.choices(range(1, 31), k=6) for _ in range(40)]
    np.savez(folder / "imdb.npz", x_train=reviews, y_train=np.arange(40) % 2)
    (folder / "words.json").write_text(json.dumps({word: number for number, word in enumerate(words, start=1)}))
    sources = {
        "csv": {"format": "csv", "path": "a.csv"},
        "keras": {"format": "keras_imdb", "path": "imdb.npz", "word_index": "words.json"},
    }
    for name, source in sources.items():
        values = tiny_values("none", name=name, data={"train": source}, train={"epochs": 1})
        write_config(folder / f"{name}.yaml", values)


def test_nothing_in_a_file_is_run_and_nothing_is_written_elsewhere(tmp_path):
    """All commands are run twice, on other files each time; what the first run imports, the second needs no more.

    In the second run nothing may be compiled or executed at all, from any file, generated or read; in neither may a
    name be looked up for a pickle, a process be started or a socket be opened.
    """
    for seed, place in enumerate(("one", "two")):
        make_sources(tmp_path / place, seed)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["found"] == []
    outside = [path for path in said["written"] if not path.startswith((str(tmp_path), "/dev/"))]
    assert outside == []
    assert any(path.endswith("last.safetensors") for path in said["written"])


@pytest.mark.parametrize(
    "danger",
    ["import pickle, collections; pickle.loads(pickle.dumps(collections.OrderedDict()))", "exec('1')", "eval('1')",
     "import subprocess; subprocess.run(['true'])", "import socket; socket.socket().close()", "os.system('true')"],
)  # fmt: skip
def test_the_watch_would_see(tmp_path, danger):
    code = WATCHED[: WATCHED.index("from rnncli.cli import main")] + f"state = 'armed'\n{danger}\nprint(bool(found))"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"], done


# ---- the fuzz targets, for a moment ---------------------------------------------------------------------------------


def mutated(rng, seed):
    """Return a few careless changes of an input."""
    data = bytearray(seed)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at : at + rng.randint(1, 8)] = b""
        elif kind == 1:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 4)))
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        else:
            data[at:at] = data[rng.randrange(len(data) + 1) :][:20]
    return bytes(data)


@pytest.mark.parametrize("name", ["config", "checkpoint", *fuzz_readers.FORMATS])
def test_the_fuzz_targets_hold(tmp_path, name):
    """The long run is in tests/torture."""
    for folder in ("work", "seeds"):
        (tmp_path / folder).mkdir()
    if name in fuzz_readers.FORMATS:
        check, seeds = fuzz_readers.make_check(name, tmp_path / "work"), fuzz_readers.seeds(name)
    else:
        target = fuzz_config if name == "config" else fuzz_checkpoint
        check, seeds = target.make_check(tmp_path / "work"), target.seeds(tmp_path / "seeds")
    rng = random.Random(name)
    with np.errstate(invalid="ignore"):
        for seed in seeds:
            check(seed)
        for _ in range(100):
            check(mutated(rng, rng.choice(seeds)))


def test_a_quick_turn_of_the_torture():
    """The whole of it, and what it has found, is in docs/reliability.md."""
    done = subprocess.run(
        [sys.executable, str(HERE / "torture"), "--quick", "kill-writes", "corruption"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "2 tests, all good"
