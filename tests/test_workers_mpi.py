"""The exchange over MPI, by real MPI jobs of two and three processes on this machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from exchange_checks import CHECKS
from running import is_running
from safetensors.numpy import load_file

from rnncli.errors import RnncliError
from rnncli.workers import mpi
from rnncli.workers.mpi import MpiExchange, connect, launched_by_mpi

PATIENCE = 60  # seconds; what ends at all ends within one or two
SAID_BY_LAUNCHERS = (*mpi.SIZES, "PMIX_RANK", "SLURM_STEP_NUM_TASKS")
# Open MPI refuses to be run by root, as in a container, or to start more processes than there are cores.
LENIENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
}
PREAMBLE = """
import os, signal, sys, time
import numpy as np
from exchange_checks import CHECKS
from rnncli.errors import RnncliError
from rnncli.workers import mpi

class Together:
    def __enter__(self): ...

    def __exit__(self, kind, error, trace):
        if error is not None and kind is not SystemExit:
            exchange.abort(f"{kind.__name__}: {error}", 1)


together, exchange = Together(), mpi.connect()
print(f"pid {os.getpid()}.", flush=True)
"""
ENVIRONMENT = {name: text for name, text in os.environ.items() if name not in (*SAID_BY_LAUNCHERS, "PYTHONUNBUFFERED")}


def find_launcher() -> list[str] | str:
    """Return the command that starts MPI processes, that of the environment before that of the system; or why not."""
    reason = "there is no mpiexec"
    code = "from mpi4py import MPI; assert MPI.COMM_WORLD.Get_size() == 2"
    for folder in (str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)):
        command = Path(folder, "mpiexec")
        if command.is_file():
            tried = said_by(str(command), "-n", "2", sys.executable, "-c", code)
            if isinstance(tried, str):
                return [str(command)]
            reason = f"{command} does not start two processes that mpi4py sees: {tried}"
    return reason


def said_by(*command: str) -> str | Exception:
    """Return what a command prints, or why it does not."""
    try:
        done = subprocess.run(
            command,
            env=ENVIRONMENT | LENIENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return error
    return done.stdout


LAUNCHER = find_launcher()
VERSION = "" if isinstance(LAUNCHER, str) else str(said_by(*LAUNCHER, "--version"))
with_mpi = pytest.mark.skipif(isinstance(LAUNCHER, str), reason=f"no MPI: {LAUNCHER}")


def start(size: int, code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*LAUNCHER, "-n", str(size), sys.executable, "-c", PREAMBLE + code],
        env=ENVIRONMENT | LENIENT | {"PYTHONPATH": str(Path(__file__).parent), "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(size: int, code: str, while_running: Callable[[subprocess.Popen[str]], None] | None = None):
    """Run code on so many ranks; return exit code, standard output, standard error; none may be left running."""
    job = start(size, code)
    try:
        if while_running:
            while_running(job)
        out, err = job.communicate(timeout=PATIENCE)
    finally:
        job.kill()
    for pid in re.findall(r"pid (\d+)\.", out):
        wait_until_gone(int(pid))
    return job.returncode, out, err


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"process {pid} was left running"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def checked() -> Callable[[int], str]:
    """What a job of so many ranks that does all the checks prints; each is run once."""
    printed: dict[int, str] = {}

    def outcome(size: int) -> str:
        if size not in printed:
            code = (
                "with together:\n"
                "    for name, check in CHECKS.items():\n"
                "        check(exchange)\n"
                "        print(f'done: {name}.', flush=True)\n"
                "if exchange.rank == 0:\n"
                "    exchange.close()\n"
                "else:\n"
                "    exchange.broadcast()\n"
                "    print('not reached')\n"
            )
            status, out, err = run(size, code)
            printed[size] = f"{out}{err}exit code {status}"
        return printed[size]

    return outcome


@with_mpi
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_rank_passes_the_check(checked, size, check):
    printed = checked(size)
    assert printed.count(f"done: {check}.") == size, printed


@with_mpi
@pytest.mark.parametrize("size", [1, 2, 3])
def test_closing_ends_the_ranks_that_wait(checked, size):
    assert "not reached" not in checked(size)
    assert checked(size).endswith("exit code 0")


@with_mpi
def test_large_arrays_are_placed_in_chunks():
    code = """
mpi.CHUNK = 1000
with together:
    CHECKS["placed_arrays_may_be_changed"](exchange)
    for size in (249, 250, 251, 1000, 12345):
        array = np.arange(size, dtype=np.float32)
        placed = exchange.place({"a": array} if exchange.rank == 0 else None)
        assert (placed["a"] == array).all(), size
    print("done")
"""
    status, out, err = run(3, code)
    assert status == 0, err
    assert out.count("done") == 3


# What rank 1 does while the others wait for it, and the launcher's exit code.
FAILURES = {
    "aborts": ("exchange.abort('x.csv:3: too much', 7)", 7),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", None),
    "breaks down": ("os.kill(os.getpid(), signal.SIGSEGV)", None),
}


@with_mpi
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("waiting", ["all_to_all([[np.ones(3)]] * exchange.size)", "all_gather([])"])
def test_a_rank_that_fails_ends_all(failure, waiting):
    statement, expected = FAILURES[failure]
    code = f"""
exchange.all_gather([])
if exchange.rank == 1:
    print("under way")  # not flushed: abort does that
    {statement}
exchange.{waiting}
exchange.{waiting}
print("not reached", flush=True)
"""
    status, out, err = run(3, code)
    assert "not reached" not in out
    assert status == expected if expected is not None else status not in (0, None)
    if failure == "aborts":
        assert re.search(r"^rnncli: rank 1 of 3 on \S+: x\.csv:3: too much$", err, re.MULTILINE)
        assert "under way" in out


CONFIG = """
name: tiny
data:
  train: {format: csv, path: reviews.csv}
  valid_fraction: 0.3
  tokenizer: {min_count: 1}
model:
  embedding: {dim: 6, dropout: 0.2}
  rnn: {cell: gru, hidden: 5, layers: 2, dropout: 0.2}
train: {epochs: 2, batch_size: 7}
"""


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = [f"{'dull' if i % 2 else 'fine'} film {'very ' * (i % 5)}{i},{'neg' if i % 2 else 'pos'}" for i in range(60)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    return tmp_path


def train(folder: Path, launcher: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launcher, sys.executable, "-m", "rnncli", "train", "tiny.yaml", *arguments],
        cwd=folder,
        env=ENVIRONMENT | LENIENT | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@with_mpi
@pytest.mark.parametrize("size", [2, 3])
def test_training_gives_the_same_weights_and_moments_as_with_so_many_workers(reviews, size):
    over_mpi = train(reviews, [*LAUNCHER, "-n", str(size)], "--run-dir", "mpi")
    assert over_mpi.returncode == 0, over_mpi.stderr
    assert over_mpi.stdout.count("next: rnncli eval") == 1
    workers = train(reviews, [], "--run-dir", "workers", "--set", f"train.workers={size}")
    assert workers.returncode == 0, workers.stderr
    ours, theirs = (load_file(reviews / run / "last.safetensors") for run in ("mpi", "workers"))
    assert list(ours) == list(theirs)
    numbers = [name for name, array in ours.items() if array.dtype == np.float32]
    assert any("m/embedding.W" in name for name in numbers)
    assert any("rnn1.fwd.Wh" in name for name in numbers)
    for name in numbers:
        assert ours[name].tobytes() == theirs[name].tobytes(), name


@with_mpi
@pytest.mark.skipif("HYDRA" not in VERSION, reason="other launchers than MPICH's kill all within a second")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_leaves_rank_0_time_to_finish_its_step_and_save(reviews, number):
    settings = ["train.epochs=100000", "train.log_every=1"]
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    job = subprocess.Popen(
        [*LAUNCHER, "-n", "3", sys.executable, "-m", "rnncli", "train", "tiny.yaml", *arguments],
        cwd=reviews,
        env=ENVIRONMENT | LENIENT | {"OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        metrics = reviews / "runs" / "tiny" / "metrics.jsonl"
        deadline = time.monotonic() + PATIENCE
        while not (metrics.exists() and metrics.read_text().count("\n") > 3):
            assert time.monotonic() < deadline
            assert job.poll() is None, job.stderr.read()
            time.sleep(0.02)
        job.send_signal(number)
        _, err = job.communicate(timeout=PATIENCE)
    finally:
        job.kill()
    assert job.returncode == 128 + number, err
    assert "To go on: rnncli train --resume" in err
    done = int(re.search(r"interrupted at step (\d+) of", err)[1])
    arguments += ["--set", f"train.max_steps={done + 2}", "--json"]
    resumed = train(reviews, [*LAUNCHER, "-n", "2"], "--resume", *arguments)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["steps"] == 2


@with_mpi
@pytest.mark.parametrize(
    ("argument", "status", "words"),
    [
        ("model.rnn.cell=lsmt", 2, "lsmt"),
        ("data.train.path=none.csv", 1, "none.csv"),
    ],
)
def test_what_rank_0_refuses_is_said_once_and_ends_all(reviews, argument, status, words):
    done = train(reviews, [*LAUNCHER, "-n", "2"], "--set", argument)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert done.stderr.count("rnncli:") == 1
    assert "Traceback" not in done.stderr


@with_mpi
def test_what_could_run_on_arrival_is_not_sent():
    code = """
for array in (np.array([{}], object), np.zeros(2, [("a", "f4"), ("b", "O")])):
    for send in (lambda: exchange.all_to_all([[array]]), lambda: exchange.place({"a": array})):
        try:
            send()
        except TypeError as error:
            print("refused:", error)
"""
    status, out, err = run(1, code)
    assert status == 0, err
    assert out.count("refused: an array of") == 4


@with_mpi
def test_another_mpi_than_the_launchers_is_found_out():
    # As when one MPI's launcher starts programs that use another's library: each believes to be alone.
    done = subprocess.run(
        [sys.executable, "-c", "from rnncli.workers.mpi import connect; connect()"],
        env=ENVIRONMENT | LENIENT | {"OMPI_COMM_WORLD_SIZE": "4"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "RnncliError: the launcher started 4 processes and mpi4py sees 1" in done.stderr


def test_mpi4py_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(RnncliError, match=r"pip install 'rnncli\[mpi\]'"):
        connect()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, True),
        ({"PMI_SIZE": "2", "PMI_RANK": "0"}, True),
        ({"MV2_COMM_WORLD_SIZE": "2"}, True),
        ({"PMI_SIZE": "1"}, False),
        ({"OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0"}, False),
        ({"PMI_SIZE": ""}, False),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "8"}, True),  # srun --mpi=pmix
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "1"}, False),
        ({"PMIX_RANK": "0"}, True),  # started by something that does not say how many: MPI itself will
        ({"SLURM_STEP_NUM_TASKS": "8"}, False),  # srun --mpi=none: programs of their own
        ({"SLURM_NTASKS": "8"}, False),  # inside a batch script, before srun
    ],
)
def test_the_environment_tells_whether_mpi_started_this(monkeypatch, environment, expected):
    for name in SAID_BY_LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert launched_by_mpi() is expected


def test_telling_imports_nothing_of_mpi():
    code = (
        "import sys; from rnncli.workers.mpi import launched_by_mpi; launched_by_mpi(); print('mpi4py' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert done.stdout == "False\n"


def test_it_has_what_an_exchange_has():
    from rnncli.workers.exchange import Exchange

    methods = {name for name, value in vars(Exchange).items() if callable(value) and not name.startswith("_")}
    assert methods <= {name for name, value in vars(MpiExchange).items() if callable(value)}
