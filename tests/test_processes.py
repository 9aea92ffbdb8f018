"""The exchange over shared memory, between real processes."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from exchange_checks import CHECKS
from running import is_running

from rnncli.errors import RnncliError
from rnncli.workers import memory
from rnncli.workers.memory import Outbox, new_memory, place_arrays, placed_arrays
from rnncli.workers.processes import Leader, WorkerError

PATIENCE = 20  # seconds; what ends at all ends within one or two
PREAMBLE = """
import os, signal, sys, time
import numpy as np
from exchange_checks import CHECKS
from rnncli.workers.processes import Worker

worker = Worker(sys.argv[1:])
"""
posix = pytest.mark.skipif(os.name != "posix", reason="memory is shared between processes in the way of POSIX")


@pytest.fixture(autouse=True)
def tests_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)


@pytest.fixture
def leader_of(tmp_path):
    """Return a function that starts workers which run the given lines."""
    started = []

    def start(size, lines):
        script = tmp_path / "worker.py"
        script.write_text(PREAMBLE + lines)
        started.append(Leader(size, [sys.executable, str(script)]))
        return started[-1]

    yield start
    for leader in started:
        leader.close()


@posix
@pytest.mark.parametrize("size", [2, 3])
def test_it_does_what_every_exchange_must(leader_of, size):
    leader = leader_of(size, "for check in CHECKS.values():\n    check(worker)\nworker.broadcast()\n")
    for check in CHECKS.values():
        check(leader)
    workers = list(leader._workers)
    leader.close()
    assert [worker.returncode for worker in workers] == [0] * (size - 1)


@posix
def test_placed_arrays_are_the_same_memory_for_all(leader_of):
    lines = "arrays = worker.place()\narrays['a'][worker.rank] = worker.rank\nworker.all_gather([])\nworker.broadcast()"
    leader = leader_of(3, lines)
    placed = leader.place({"a": np.zeros(3), "none": np.empty((0, 2))})
    leader.all_gather([])
    assert placed["a"].tolist() == [0, 1, 2]
    assert placed["none"].shape == (0, 2)


@posix
def test_a_worker_that_is_killed_is_noticed_and_named(leader_of):
    leader = leader_of(3, "if worker.rank == 2:\n    os.kill(os.getpid(), signal.SIGKILL)\nworker.all_gather([])")
    with pytest.raises(
        WorkerError, match=r"process 3 of 3: was killed by SIGKILL\. If memory ran out: fewer processes"
    ):
        leader.all_gather([])


@posix
def test_a_worker_that_is_killed_while_it_waits_is_noticed_at_the_next_call(leader_of):
    leader = leader_of(2, "worker.all_gather([])\nworker.broadcast()")
    leader.all_gather([])
    leader._workers[0].kill()
    leader._workers[0].wait()
    with pytest.raises(WorkerError, match="process 2 of 2: was killed by SIGKILL"):
        leader.broadcast({})


@posix
def test_a_worker_that_fails_says_why(leader_of):
    leader = leader_of(2, "worker.abort('the disk is full', 3)")
    with pytest.raises(WorkerError, match=r"^process 2 of 2: the disk is full$"):
        leader.all_gather([])


@posix
def test_a_worker_that_says_very_much_is_cut_short(leader_of):
    leader = leader_of(2, "worker.abort('x' * 10**7, 3)")
    with pytest.raises(WorkerError) as caught:
        leader.all_gather([])
    assert 1000 < len(str(caught.value)) < 3000


@posix
def test_a_signal_without_a_name_is_named_by_its_number(leader_of):
    leader = leader_of(2, "os.kill(os.getpid(), 40)")
    with pytest.raises(WorkerError, match="process 2 of 2: was killed by signal 40"):
        leader.all_gather([])


@posix
def test_a_worker_that_lives_but_cannot_be_sent_to_is_ended(leader_of, monkeypatch):
    def fail(*arguments):
        raise OSError

    leader = leader_of(2, "worker.place()")
    monkeypatch.setattr(socket, "send_fds", fail)
    with pytest.raises(WorkerError, match="process 2 of 2: ended with exit code 0"):
        leader.place({"a": np.zeros(3)})


@posix
def test_too_few_open_files_are_said_before_anything_is_started():
    code = (
        "import resource, sys\n"
        "from rnncli.workers.processes import Leader, WorkerError\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (80, int(sys.argv[1])))\n"
        "try:\n"
        "    leader = Leader(8, [sys.executable, '-c', 'pass'])\n"
        "    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
        "    leader.close()\n"
        "except WorkerError as error:\n"
        "    print(error)\n"
    )
    said = {limit: subprocess.check_output([sys.executable, "-c", code, str(limit)], text=True) for limit in (90, 300)}
    assert said[300] == "104\n"
    assert said[90].startswith("8 processes cannot be started: they need 104 open files, of which 90 are allowed")


@posix
def test_memory_that_cannot_be_had_is_one_line(monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(RnncliError, match="bytes of memory for several processes cannot be had: No space left"):
        place_arrays([np.zeros(10)])


@posix
def test_without_fallocate_memory_is_taken_by_writing(monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.setattr(memory, "ZEROS", bytes(1000))
    descriptor = place_arrays([np.arange(1234)])
    assert placed_arrays(descriptor)[0].tolist() == list(range(1234))
    os.close(descriptor)


@posix
def test_a_worker_that_ends_without_a_word_is_noticed(leader_of):
    leader = leader_of(2, "sys.exit(5)")
    with pytest.raises(WorkerError, match="process 2 of 2: ended with exit code 5"):
        leader.all_gather([])


@posix
def test_closing_ends_workers_that_wait_and_workers_that_do_not(leader_of):
    leader = leader_of(3, "worker.all_gather([])\nif worker.rank == 1:\n    time.sleep(600)\nworker.broadcast()")
    leader.all_gather([])
    workers = list(leader._workers)
    started = time.monotonic()
    leader.close()
    assert time.monotonic() - started < PATIENCE
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, 0]


LEADER = """
import sys
from rnncli.workers.processes import Leader
leader = Leader(3, [sys.executable, sys.argv[1]])
leader.all_gather([])
print(*(worker.pid for worker in leader._workers), flush=True)
leader.all_gather([])
leader.all_gather([])
"""


@posix
def test_workers_end_when_their_leader_is_killed(tmp_path):
    """One waits for a message, the other computes for a while before it comes to."""
    script = tmp_path / "worker.py"
    script.write_text(PREAMBLE + "worker.all_gather([])\ntime.sleep(worker.rank)\nworker.all_gather([])\ntime.sleep(9)")
    process = subprocess.Popen([sys.executable, "-c", LEADER, str(script)], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in process.stdout.readline().split()]
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + PATIENCE
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_running, pids))


@posix
def test_ctrl_c_in_a_terminal_is_for_the_leader_alone(leader_of):
    leader = leader_of(2, "worker.all_gather([os.getpgrp()])\nworker.broadcast()")
    assert leader.all_gather([os.getpgrp()])[1] != [os.getpgrp()]


@posix
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no folder to look into")
def test_the_memory_has_no_name(leader_of):
    before = set(Path("/dev/shm").iterdir())
    leader = leader_of(2, "worker.place()\nworker.all_to_all([[np.ones(9)], []])\nworker.broadcast()")
    leader.place({"a": np.ones(10**6)})
    leader.all_to_all([[], [np.ones(10**5)]])
    assert set(Path("/dev/shm").iterdir()) == before


@posix
def test_descriptors_are_closed(leader_of):
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("the system does not list them")
    before = len(list(folder.iterdir()))
    leader = leader_of(3, "worker.place()\nworker.all_to_all([[], [], []])\nworker.broadcast()")
    leader.place({"a": np.ones(10)})
    leader.all_to_all([[], [], []])
    leader.close()
    assert len(list(folder.iterdir())) == before


@posix
def test_where_memory_cannot_be_had_by_itself_a_file_without_a_name_serves(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(memory.tempfile, "tempdir", str(tmp_path))
    descriptor = place_arrays([np.arange(5)])
    assert list(tmp_path.iterdir()) == []
    (placed,) = placed_arrays(descriptor)
    assert placed.tolist() == [0, 1, 2, 3, 4]
    os.close(descriptor)


@posix
def test_an_outbox_grows_and_what_was_read_before_stays():
    descriptor = new_memory()
    writer, reader = Outbox(descriptor), Outbox(descriptor)
    writer.write([[np.arange(3)], []])
    first = reader.read(0)
    writer.write([[], [np.arange(10**6)]])
    assert reader.read(0) == []
    assert reader.read(1)[0].sum() == 10**6 * (10**6 - 1) // 2
    assert first[0].shape == (3,)
    os.close(descriptor)
