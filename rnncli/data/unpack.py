"""Unpack archives that may be hostile or damaged: all of it, or nothing.

Every member is looked at, also those that are not wanted: names that lead out of the target or collide, links,
devices, more members or more bytes than allowed, and bytes that are no archive all refuse the whole archive. Files
are written below a temporary folder beside the target, which is renamed when everything is there.
"""

import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tqdm import tqdm

from rnncli.data.archives import DAMAGE, Member, read_members, refuse, show
from rnncli.errors import DataError

_MAX_NAME = 1024
# Control characters, what Windows reads as part of a path, and bytes that were not UTF-8.
_BAD_CHARACTERS = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')


def unpack_folder(archive: Path, target: Path, keep: str, *, max_bytes: int, max_members: int) -> None:
    """Make a folder of the wanted files of a .tar.gz or .zip.

    Parameters
    ----------
    archive : Path
        The archive; its kind is told by its first bytes.
    target : Path
        The folder to make; it must not exist.
    keep : str
        Regular expression that matches the whole name of each wanted file, with a group ``path``: the path below
        ``target``.
    max_bytes : int
        The most bytes the archive may have when it is unpacked, unwanted members included.
    max_members : int
        The most members the archive may have.

    Raises
    ------
    DataError
        If anything in the archive is not as it should be, or nothing in it is wanted, or it cannot be written.
    """
    wanted = re.compile(keep)

    def place(name: str) -> str | None:
        match = wanted.fullmatch(name)
        return match["path"] if match else None

    if os.path.lexists(target):
        raise DataError("exists already", where=str(target), remedy="Move it away first")
    _unpack(archive, target, place, max_bytes, max_members)


def unpack_file(archive: Path, member: str, target: Path, *, max_bytes: int, max_members: int) -> None:
    """Take one file out of a .tar.gz or .zip; an earlier target is replaced once the new one is whole.

    Parameters
    ----------
    archive : Path
        The archive; its kind is told by its first bytes.
    member : str
        Name of the file in it.
    target : Path
        What it becomes.
    max_bytes, max_members : int
        As for :func:`unpack_folder`.

    Raises
    ------
    DataError
        As :func:`unpack_folder` does.
    """
    name = target.name
    _unpack(archive, target, {member: name}.get, max_bytes, max_members, only=name)


def unpacking_folder(target: Path) -> Path:
    """Return where the members of an archive are written until all are there.

    Parameters
    ----------
    target : Path
        What it becomes.

    Returns
    -------
    Path
        A folder beside it.
    """
    return target.with_name(f".{target.name}.unpacking")


def _unpack(
    archive: Path,
    target: Path,
    place: Callable[[str], str | None],
    max_bytes: int,
    max_members: int,
    only: str | None = None,
) -> None:
    """Write the members that have a place below a temporary folder, then rename it (or its file ``only``)."""
    temporary = unpacking_folder(target)
    try:
        # What a killed process left. Callers see to it that no other process is at work here.
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        _write_members(archive, temporary, place, max_bytes, max_members)
        os.replace(temporary / only if only else temporary, target)
    except DAMAGE as error:
        raise refuse(archive, f"damaged archive ({' '.join(str(error).split()) or type(error).__name__})") from None
    except OSError as error:
        raise DataError(
            f"cannot be unpacked: {error.strerror or error}",
            where=str(error.filename or target),
            remedy="Free some space, or see that the folder can be written to, and type the command again",
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_members(
    archive: Path, folder: Path, place: Callable[[str], str | None], max_bytes: int, max_members: int
) -> None:
    """Check every member of the archive and write the wanted ones below ``folder``."""
    seen: dict[str, tuple[str, str]] = {}
    made = {""}
    files = members = 0
    with (
        open(archive, "rb") as file,
        tqdm(desc=f"unpacking {archive.name}", unit=" files", disable=None, leave=False) as bar,
    ):
        for member in read_members(file, archive, max_bytes):
            members += 1
            if members > max_members:
                raise refuse(archive, f"more than {max_members:,} members")
            _check_member(member, seen, archive)
            where = place(member.name) if member.kind == "file" else None
            if where is None:
                continue
            parent = os.path.dirname(where)
            if parent not in made:
                os.makedirs(os.path.join(folder, parent), exist_ok=True)
                made.add(parent)
            # "x": two members that become one file are an error too.
            with open(os.path.join(folder, where), "xb", buffering=0) as out:
                for chunk in member.chunks():
                    _write_all(out, chunk)
            files += 1
            bar.update()
    if not files:
        raise refuse(archive, "none of the files that are wanted is in it")


def _write_all(out: IO[bytes], data: bytes) -> None:
    """Write every byte: an unbuffered file may take only some of them when the disk is nearly full."""
    rest = memoryview(data)
    while rest:
        rest = rest[out.write(rest) :]


def _check_member(member: Member, seen: dict[str, tuple[str, str]], archive: Path) -> None:
    """Refuse what is neither file nor folder, and any name that is not plainly below the target and new."""
    name = member.name
    if member.kind not in ("file", "folder"):
        article = "an" if member.kind[0] in "aeiou" else "a"
        raise refuse(archive, f"member {show(name)} is {article} {member.kind}; only files and folders are allowed")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if (
        name.startswith("/")
        or ".." in parts
        or _BAD_CHARACTERS.search(name)
        or len(name) > _MAX_NAME
        or (not parts and member.kind == "file")
    ):
        raise refuse(archive, f"member {show(name)} has a name that is not allowed")
    for depth in range(1, len(parts) + 1):
        path, kind = "/".join(parts[:depth]), member.kind if depth == len(parts) else "folder"
        # Some file systems take names for the same that differ in case or in how accents are composed.
        key = path.lower() if path.isascii() else unicodedata.normalize("NFC", path).casefold()
        earlier = seen.get(key)
        if earlier is None:
            seen[key] = path, kind
        elif kind == "file" or earlier != (path, "folder"):
            raise refuse(archive, f"member {show(name)} collides with {show(earlier[0])}")
