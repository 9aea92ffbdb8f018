"""The exchange over MPI, by real MPI jobs of two and three processes on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from exchange_checks import CHECKS

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

exchange = mpi.connect()
print(f"pid {os.getpid()}.", flush=True)
"""
ENVIRONMENT = {name: text for name, text in os.environ.items() if name not in SAID_BY_LAUNCHERS}


def find_launcher() -> list[str] | str:
    """Return the command that starts MPI processes, that of the environment before that of the system; or why not."""
    for folder in (str(Path(sys.executable).parent), *os.environ.get("PATH", "").split(os.pathsep)):
        command = Path(folder, "mpiexec")
        if not command.is_file():
            continue
        code = "from mpi4py import MPI; assert MPI.COMM_WORLD.Get_size() == 2"
        tried = subprocess.run(
            [command, "-n", "2", sys.executable, "-c", code],
            env=ENVIRONMENT | LENIENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if tried.returncode == 0:
            return [str(command)]
        return f"{command} does not start two processes that mpi4py sees: {tried.stderr.strip()[-300:]}"
    return "there is no mpiexec"


LAUNCHER = find_launcher()
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
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} was left running")


@pytest.fixture(scope="module")
def checked() -> Callable[[int], str]:
    """What a job of so many ranks that does all the checks prints; each is run once."""
    printed: dict[int, str] = {}

    def outcome(size: int) -> str:
        if size not in printed:
            code = (
                "with mpi.ends_together(exchange):\n"
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
with mpi.ends_together(exchange):
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


# What rank 1 does while the others wait for it, and what is said of it.
FAILURES = {
    "a message": ("raise RnncliError('too much', where='x.csv:3', remedy='Take less')", 1, "x.csv:3: too much. Take"),
    "its exit code": ("raise CONFIG_ERROR", 2, "cannot be used"),
    "a bug": ("[][3]", 1, "IndexError: list index out of range"),
    "out of memory": ("np.empty(2**61, np.int8)", 1, "out of memory"),
    "a full disk": ("raise OSError(28, 'No space left on device', 'm.jsonl')", 1, "m.jsonl: No space left on device"),
    "Ctrl-C": ("raise KeyboardInterrupt", 130, "interrupted"),
    "sys.exit": ("sys.exit(3)", 3, ""),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", None, ""),
}


@with_mpi
@pytest.mark.parametrize("failure", FAILURES)
def test_a_rank_that_fails_ends_all(failure):
    statement, expected, words = FAILURES[failure]
    code = f"""
CONFIG_ERROR = RnncliError("cannot be used")
CONFIG_ERROR.exit_code = 2
with mpi.ends_together(exchange):
    exchange.all_gather([])
    if exchange.rank == 1:
        {statement}
    exchange.all_to_all([[np.ones(3)]] * exchange.size)
    exchange.all_gather([])
print("not reached")
"""
    status, out, err = run(3, code)
    assert "not reached" not in out
    assert status == expected if expected is not None else status not in (0, None)
    assert words in err
    if failure == "a message":
        assert re.search(r"^rnncli: rank 1 of 3 on \S+: x\.csv:3: too much\. Take less$", err, re.MULTILINE)
        assert "Traceback" not in err


@with_mpi
def test_the_leader_fails_by_its_message_alone():
    code = """
with mpi.ends_together(exchange):
    if exchange.rank == 0:
        raise RnncliError("the file is empty", where="a.csv")
    exchange.broadcast()
print("not reached")
"""
    status, out, err = run(2, code)
    assert status == 1
    assert "not reached" not in out
    assert "rnncli: a.csv: the file is empty\n" in err


@with_mpi
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_leaves_the_leader_time_to_finish_its_step(number):
    code = """
came = []
if exchange.rank == 0:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: came.append(number))
exchange.all_gather([])
if exchange.rank == 0:
    print("ready", flush=True)
with mpi.ends_together(exchange):
    while not came:
        if exchange.rank:
            exchange.broadcast()
        else:
            time.sleep(0.01)
            exchange.broadcast({"do": "step"})
        exchange.all_gather([])
    exchange.broadcast({"do": "step"})
    exchange.all_gather([])  # the others are still there
    print("saved", flush=True)
    raise KeyboardInterrupt
"""

    def interrupt(job: subprocess.Popen[str]) -> None:
        read = []
        for line in job.stdout:
            read.append(line)
            if line == "ready\n":
                break
        job.send_signal(number)

    if not re.search(r"HYDRA|mpich", subprocess.run([*LAUNCHER, "--version"], capture_output=True, text=True).stdout):
        pytest.skip("other launchers than MPICH's kill all processes within a second")
    status, out, err = run(2, code, interrupt)
    assert "saved" in out, err
    assert status == 130
    assert "interrupted" in err


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
