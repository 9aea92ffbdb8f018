"""Fixtures of the tests that train and evaluate."""

from rnncli.blas import default_to_one_thread

# As the command line does, and before anything imports NumPy.
default_to_one_thread()

import shutil  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from finished_runs import train_all  # noqa: E402
from tiny_runs import Cli  # noqa: E402


@pytest.fixture
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a fresh folder, so that ``runs/`` and its cache stay out of the checkout."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(workdir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """The command line, called with arguments, in a fresh folder."""
    return Cli(monkeypatch, capsys)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run of each kind, to be read only; see finished_runs.py."""
    folder = tmp_path_factory.mktemp("finished")
    train_all(folder)
    return folder


@pytest.fixture
def finished(trained_once: Path, workdir: Path) -> Path:
    """Work in a fresh folder that holds a copy of these runs and their data."""
    shutil.copytree(trained_once, workdir, dirs_exist_ok=True)
    return workdir
