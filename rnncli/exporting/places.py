"""Where an export goes: a file or folder that takes its place as a whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnncli.errors import ConfigError, told

OPTION = "--output"


def usable_place(path: Path, *, folder: bool = False) -> Path:
    """Return where a file or folder can be put.

    Parameters
    ----------
    path : Path
        As it was given.
    folder : bool
        Whether a folder is to be put there.

    Returns
    -------
    Path
        Without links: nothing, a file that is to be replaced, or where a folder goes an empty one.

    Raises
    ------
    RnncliError
        If something else is there: nothing else is replaced, a device least of all.
    """
    place = Path(os.path.realpath(path))
    where = f"{OPTION} {path}"
    with told(OPTION, path):
        if place.is_dir():
            if not folder:
                raise ConfigError("is a folder", where=where, remedy="Name a file, which may be one in it")
            if any(place.iterdir()):
                remedy = "Name one that is empty or not there yet"
                raise ConfigError("is a folder with something in it", where=where, remedy=remedy)
        elif place.exists() and not place.is_file():
            raise ConfigError("is neither a file nor a folder", where=where, remedy="Name a file or folder")
        elif place.exists() and folder:
            remedy = "Name one that is not there yet"
            raise ConfigError("is a file, and a folder is written", where=where, remedy=remedy)
    return place


@contextmanager
def whole_or_nothing(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Give a name for what takes its place at the end of the ``with``, without an error in it.

    Parameters
    ----------
    path : Path
        Of the file or folder.
    folder : bool
        Which of the two.

    Yields
    ------
    Path
        Does not exist; has the same ending.

    Raises
    ------
    RnncliError
        If it cannot be written, or something else is there.
    """
    place = usable_place(path, folder=folder)
    # An empty folder stays the one it is: it may be a mount point, or where somebody's shell is.
    within = place.is_dir()
    name = f".rnncli-export-{os.getpid()}{place.suffix}"
    unfinished = place / name if within else place.with_name(name)
    try:
        with told(OPTION, path):
            yield unfinished
            if within:
                _move_up(unfinished)
            else:
                if place.exists():
                    shutil.copymode(place, unfinished)
                os.replace(unfinished, place)
    finally:
        with suppress(OSError):
            shutil.rmtree(unfinished) if unfinished.is_dir() else unfinished.unlink(missing_ok=True)


def _move_up(folder: Path) -> None:
    """Move all that a folder has into the one it is in, or nothing of it."""
    moved = []
    try:
        for file in sorted(folder.iterdir()):
            moved.append(folder.parent / file.name)
            os.replace(file, moved[-1])
    except BaseException:
        for file in moved:
            file.unlink(missing_ok=True)
        raise
