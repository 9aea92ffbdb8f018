"""Fixtures of the tests that train and evaluate."""

from rnncli.blas import default_to_one_thread

# As the command line does, and before anything imports NumPy.
default_to_one_thread()

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
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
