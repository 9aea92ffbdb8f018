"""The folder of a run: the name of every file in it, and who may write there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rnncli.config import RunConfig, dump_config
from rnncli.errors import RnncliError, elsewhere, unwritable

try:
    import fcntl
except ImportError:  # not on Windows, where two trainers on one folder are not told apart
    fcntl = None  # type: ignore[assignment]

RUNS = Path("runs")
CACHE = RUNS / ".cache"


@dataclass(frozen=True)
class RunDir:
    """The folder of a run."""

    root: Path

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: every validation and every ``log_every``-th step."""
        return self.root / "metrics.jsonl"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.root / "last.safetensors"

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        return self.root / "best.safetensors"

    @property
    def events(self) -> Path:
        """The folder of event files for TensorBoard."""
        return self.root / "tensorboard"

    @property
    def report(self) -> Path:
        """The page that ``rnncli report`` writes of this run alone."""
        return self.root / "report.html"

    @property
    def files(self) -> tuple[Path, ...]:
        """What makes a run of the folder."""
        # In the order in which they are removed: no checkpoint is ever without its metrics.
        return self.last, self.best, self.metrics, self.config

    def refuse_earlier_run(self) -> None:
        """Raise RnncliError if the folder holds a run already."""
        if any(file.exists() for file in self.files):
            go_on = f", --resume to go on with it (rnncli train --resume {self.root})" if self.last.exists() else ""
            raise RnncliError(
                "holds an earlier run",
                where=str(self.root),
                remedy=f"Add --overwrite to replace it{go_on}, or --set name=OTHER to keep both",
            )

    def require_checkpoint(self) -> None:
        """Raise RnncliError if the folder has no checkpoint to go on from."""
        if not (self.last.exists() or self.best.exists()):
            raise RnncliError(
                "holds no checkpoint to go on from",
                where=str(self.root),
                remedy="Train without --resume, with --overwrite if the folder holds a run that saved nothing",
            )

    def create(self, config: RunConfig) -> None:
        """Empty the folder of an earlier run and write the config into it.

        Parameters
        ----------
        config : RunConfig
            The resolved config.

        Raises
        ------
        RnncliError
            If the folder cannot be written.
        """
        try:
            for file in self.files:
                file.unlink(missing_ok=True)
            self.report.unlink(missing_ok=True)  # it is on the run that goes
            for file in self.events.glob("events.out.tfevents.*"):
                file.unlink(missing_ok=True)
            with suppress(OSError):  # something of the user's may be in it
                self.events.rmdir()
            self.write_config(config)
        except OSError as error:
            raise cannot_write(self.root, error) from error

    def write_config(self, config: RunConfig) -> None:
        """Write the resolved config, whole or not at all."""
        beside = self.config.with_name(f".{self.config.name}.tmp")
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(dump_config(config))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, self.config)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            raise cannot_write(self.config, error) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if need be and keep other trainers out of it.

        The lock goes with the process that holds it, however that ends. A folder in which nothing was made is removed.

        Raises
        ------
        RnncliError
            If another trainer is at work there, or the folder cannot be made.
        """
        path = self.root / ".lock"
        with _without_empty_parents(self.root), self._made_and_locked(path):
            try:
                yield
            finally:
                with suppress(OSError):
                    if [entry.name for entry in self.root.iterdir()] == [path.name]:
                        path.unlink()
                        self.root.rmdir()

    @contextmanager
    def _made_and_locked(self, path: Path) -> Iterator[None]:
        """Make the folder and hold a lock on a file in it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            file = path.open("a+", encoding="utf-8")
        except OSError as error:
            raise cannot_write(self.root, error) from error
        with file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    file.seek(0)
                    holder = file.read().strip()
                    raise RnncliError(
                        f"another trainer is at work here (process {holder or 'unknown'})",
                        where=str(self.root),
                        remedy="Wait for it, or choose another place with --run-dir or --set name=OTHER",
                    ) from None
                except OSError:  # a file system that has no locks, where two trainers are not told apart either
                    pass
            with suppress(OSError):
                for file_of_run in self.files:
                    for unfinished in self.root.glob(f".{file_of_run.name}.*tmp"):  # its writer was killed
                        unfinished.unlink()
                file.truncate(0)
                file.write(str(os.getpid()))
                file.flush()
            yield


def find_checkpoint(place: Path) -> Path:
    """Return the checkpoint that a path means.

    Parameters
    ----------
    place : Path
        A run's folder, of which the best checkpoint is meant, or a checkpoint.

    Returns
    -------
    Path
        The file; it may be missing if ``place`` is.

    Raises
    ------
    RnncliError
        If the folder holds no checkpoint.
    """
    if not place.is_dir():
        return place
    run_dir = RunDir(place)
    for path in (run_dir.best, run_dir.last):
        if path.exists():
            return path
    raise RnncliError(
        "holds no checkpoint (best.safetensors or last.safetensors)",
        where=str(place),
        remedy="Name the folder of a run, such as runs/NAME, or a checkpoint in it",
    )


@contextmanager
def _without_empty_parents(folder: Path) -> Iterator[None]:
    """Remove, at the end, the folders above one that were not there before and hold nothing."""
    missing = [parent for parent in folder.parents if not os.path.lexists(parent)]
    try:
        yield
    finally:
        with suppress(OSError):  # the first that holds something ends it
            for parent in missing:
                parent.rmdir()


def cannot_write(path: Path, error: OSError) -> RnncliError:
    """Return the error for a file or folder of a run that cannot be written."""
    return RnncliError(
        unwritable(path, error),
        where=str(path),
        remedy=elsewhere(error, "choose another place with --run-dir"),
    )
