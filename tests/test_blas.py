import os
import subprocess
import sys

import pytest

from rnncli.blas import THREAD_VARIABLES, choose_kernels, default_to_one_thread

AVX512 = "avx512f avx512dq avx512cd avx512bw avx512vl"


def processor(vendor, flags):
    return f"processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: Any\nflags\t\t: fpu sse avx2 {flags}\n\n"


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Return what is chosen for the text of a cpuinfo file, or for none."""
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)

    def choose(text):
        path = tmp_path / "cpuinfo"
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        choose_kernels(path)
        return os.environ.pop("OPENBLAS_CORETYPE", None)

    return choose


def test_amd_with_all_of_avx512_gets_its_kernels(chosen):
    assert chosen(processor("AuthenticAMD", AVX512)) == "SkylakeX"
    assert chosen(processor("AuthenticAMD", AVX512) + processor("AuthenticAMD", AVX512)) == "SkylakeX"


@pytest.mark.parametrize(
    "text",
    [
        processor("AuthenticAMD", ""),
        processor("AuthenticAMD", "avx512f"),
        processor("AuthenticAMD", AVX512.replace("avx512vl", "avx512vl_other")),
        processor("GenuineIntel", AVX512),
        processor("GenuineIntel", AVX512) + processor("AuthenticAMD", AVX512),
        "",
        b"\xff\xfe\x00",
        None,
    ],
    ids=["no avx512", "part of it", "another flag", "intel", "the first counts", "empty", "bytes", "missing"],
)
def test_all_else_is_left_to_openblas(chosen, text):
    assert chosen(text) is None


def test_a_folder_in_place_of_the_file(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    choose_kernels(tmp_path)
    assert "OPENBLAS_CORETYPE" not in os.environ


def test_the_users_choice_is_kept(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text(processor("AuthenticAMD", AVX512))
    for mine in ("Haswell", ""):
        monkeypatch.setenv("OPENBLAS_CORETYPE", mine)
        choose_kernels(path)
        assert os.environ["OPENBLAS_CORETYPE"] == mine


def test_one_thread_unless_the_user_says_how_many(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "")
    default_to_one_thread()
    assert [os.environ[name] for name in THREAD_VARIABLES] == ["1"] * len(THREAD_VARIABLES)
    for mine in THREAD_VARIABLES:
        for name in THREAD_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(mine, "2")
        default_to_one_thread()
        assert {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ} == {mine: "2"}


def test_the_choice_is_made_before_numpy_is_there():
    code = (
        "import sys, rnncli.cli\n"
        "rnncli.cli.choose_kernels = lambda: print('numpy' in sys.modules)\n"
        "sys.argv = ['rnncli', '--version']\n"
        "rnncli.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "False"


def test_one_thread_unless_the_user_says_otherwise(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    default_to_one_thread()
    assert {os.environ[name] for name in THREAD_VARIABLES} == {"1"}
    for name in THREAD_VARIABLES:
        for other in THREAD_VARIABLES:
            monkeypatch.delenv(other)
        monkeypatch.setenv(name, "2")
        default_to_one_thread()
        assert {other: os.environ[other] for other in THREAD_VARIABLES if other in os.environ} == {name: "2"}
        for other in THREAD_VARIABLES:
            monkeypatch.setenv(other, "1")
