import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnncli import __version__, machine
from rnncli.machine import environment, peak_memory_mb, physical_cores


def test_peak_memory_is_in_megabytes():
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("there is no /proc")
    kibibytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory_mb() == pytest.approx(kibibytes / 1e3, rel=0.1)


@pytest.fixture
def described(tmp_path, monkeypatch):
    """Return a function that describes a machine: which CPUs this process may use, their siblings, the quota."""

    def describe(siblings, allowed=None, quota=None):
        for cpu, text in enumerate(siblings):
            folder = tmp_path / f"cpu{cpu}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(text + "\n")
        monkeypatch.setattr(machine, "CPUS", tmp_path)
        monkeypatch.setattr(machine, "QUOTA", tmp_path / "cpu.max")
        if quota is not None:
            (tmp_path / "cpu.max").write_text(quota + "\n")
        monkeypatch.setattr(
            machine.os, "sched_getaffinity", lambda _: set(allowed or range(len(siblings))), raising=False
        )

    return describe


@pytest.mark.parametrize(
    ("siblings", "allowed", "quota", "cores"),
    [
        (["0", "1", "2", "3"], None, None, 4),
        (["0,2", "1,3", "0,2", "1,3"], None, None, 2),
        (["0-1", "0-1", "2-3", "2-3"], [1, 2, 3], None, 2),
        (["0-1", "0-1"], None, None, 1),
        (["0", "1", "2", "3"], None, "max 100000", 4),
        (["0", "1", "2", "3"], None, "250000 100000", 2),
        (["0", "1"], None, "50000 100000", 1),
        (["0", "1"], None, "nonsense", 2),
    ],
)
def test_cores_that_can_be_used(described, siblings, allowed, quota, cores):
    described(siblings, allowed, quota)
    assert physical_cores() == cores


def test_cores_that_are_not_described_count_each(described, tmp_path):
    described([], allowed=[0, 5, 6])
    assert physical_cores() == 3


def test_a_system_that_does_not_say_what_may_be_used(monkeypatch):
    monkeypatch.delattr(machine.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 6)
    assert physical_cores() == 6


FAULTS = """
import resource, sys
import numpy as np
from rnncli.machine import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
np.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(10_000_000)  # 80 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_used_again():
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how], env=environment))
        for how in ("kept", "given back")
    }
    assert faults["kept"] < 100 < faults["given back"]  # pages that the system filled with zeros anew


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())
    machine.keep_freed_memory()


def test_the_environment_is_what_to_compare_when_repeating_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU 3000\n\nmodel name\t: Some CPU 3000\n")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    found = environment()
    assert json.loads(json.dumps(found)) == found
    assert (found["cpu"], found["blas_threads"], found["cores"]) == ("Some CPU 3000", 3, physical_cores())
    versions = (__version__, np.__version__, platform.python_version())
    assert (found["rnncli"], found["numpy"], found["python"]) == versions
    assert found["system"].startswith(platform.system())


def test_an_environment_that_cannot_be_read_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    for name in machine.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(np, "show_config", lambda mode: {})
    found = environment()
    assert (found["cpu"], found["blas_threads"], found["blas"]) == ("unknown", None, None)
