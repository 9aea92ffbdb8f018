import os
import subprocess
import sys

from rnncli.blas import THREAD_VARIABLES, default_to_one_thread


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
        "rnncli.cli.default_to_one_thread = lambda: print('numpy' in sys.modules)\n"
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
