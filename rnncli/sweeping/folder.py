"""The folder of a sweep: its files, and the locks by which several processes share it.

Locks are those of the system (flock): they go with the process that holds them, however that ends.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rnncli.errors import RnncliError
from rnncli.run_dir import RunDir, cannot_write

try:
    import fcntl
except ImportError:  # not on Windows, where a sweep is for one process
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class SweepDir:
    """The folder of a sweep."""

    root: Path

    @property
    def storage(self) -> Path:
        """All trials: an SQLite file that Optuna reads."""
        return self.root / "sweep.db"

    @property
    def best_config(self) -> Path:
        """The best config, whole."""
        return self.root / "best.yaml"

    @property
    def best_run(self) -> RunDir:
        """The run of the best trial."""
        return RunDir(self.root / "best")

    def trial(self, number: int) -> RunDir:
        """Return the run of a trial, which is there until the trial has come to its end."""
        return RunDir(self.root / f"trial-{number}")

    def trials(self) -> dict[int, Path]:
        """Return the folders of trials that are there."""
        found = {path.name.removeprefix("trial-"): path for path in self.root.glob("trial-*")}
        return {int(number): path for number, path in found.items() if number.isdigit()}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if need be, and wait until no other process is between two trials."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = (self.root / ".lock").open("a")
        except OSError as error:
            raise cannot_write(self.root, error) from error
        with file:
            _lock(file, wait=True)
            yield

    def claim(self, number: int) -> IO[str]:
        """Return an open file that says, for as long as it is open, that this process is at work on a trial."""
        file = self._claim_file(number).open("a")
        _lock(file, wait=False)
        return file

    def release(self, number: int, claim: IO[str]) -> None:
        """Give a trial up that :meth:`claim` has claimed."""
        self._claim_file(number).unlink(missing_ok=True)
        claim.close()

    def is_claimed(self, number: int) -> bool:
        """Return whether a process is at work on a trial."""
        path = self._claim_file(number)
        if not path.exists():
            return False
        with path.open("a") as file:
            if _lock(file, wait=False):
                path.unlink(missing_ok=True)
                return False
        return True

    def keep_best(self, number: int) -> None:
        """Let the run of a trial, if it is there, take the place of the best one."""
        found, best, old = self.trial(number).root, self.best_run.root, self.root / ".best-before"
        if found.is_dir():
            shutil.rmtree(old, ignore_errors=True)
            with suppress(FileNotFoundError):
                os.replace(best, old)
            os.replace(found, best)
        shutil.rmtree(old, ignore_errors=True)

    def write_best_config(self, text: str) -> None:
        """Write the best config, whole or not at all."""
        beside = self.root / ".best.yaml.tmp"
        try:
            beside.write_text(text, encoding="utf-8")
            os.replace(beside, self.best_config)
        finally:
            beside.unlink(missing_ok=True)

    def remove_trials(self, keep: Collection[int]) -> None:
        """Remove the runs of trials, but for some: a disk would fill with them."""
        for number, path in self.trials().items():
            if number not in keep:
                shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Remove what a sweep has left.

        Raises
        ------
        RnncliError
            If a process is at work on it.
        """
        claims = [int(path.name.rpartition("-")[2]) for path in self.root.glob(".claim-*")]
        at_work = [number for number in claims if self.is_claimed(number)]
        if at_work:
            raise RnncliError(
                f"another process is at work here (trial {at_work[0]})",
                where=str(self.root),
                remedy="Wait for it, or choose another place with --run-dir",
            )
        try:
            for path in (self.storage, self.storage.with_name(f"{self.storage.name}-journal"), self.best_config):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.root, error) from error
        self.remove_trials(keep=())
        shutil.rmtree(self.best_run.root, ignore_errors=True)

    def _claim_file(self, number: int) -> Path:
        return self.root / f".claim-{number}"


def _lock(file: IO[str], *, wait: bool) -> bool:
    """Lock an open file and return whether that was possible; a file system without locks lets everybody."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
