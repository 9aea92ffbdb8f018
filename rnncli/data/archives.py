"""Go through the members of a .tar.gz or .zip that may be hostile or damaged, without writing anything."""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import IO, NamedTuple, cast

from rnncli.errors import DataError

_CHUNK = 1 << 20
# What the standard library raises for damaged archives, found by feeding it flipped and missing bytes.
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    BadGzipFile,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
)


class Member(NamedTuple):
    """One entry of an archive; ``kind`` is "file", "folder" or the name of something that is refused."""

    name: str
    kind: str
    chunks: Callable[[], Iterator[bytes]]


def read_members(file: IO[bytes], archive: Path, max_bytes: int) -> Iterator[Member]:
    """Return the members of an archive, told apart by its first bytes."""
    magic = file.read(4)
    file.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return _tar_members(file, archive, max_bytes)
    if magic in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_members(file, archive, max_bytes)
    raise refuse(archive, "neither a .tar.gz nor a .zip")


class _Bounded:
    """A stream that cannot be made to give more than ``max_bytes`` in all, or a large piece at once.

    tarfile reads a long name whole, however long its header says it is; here that is refused before it is read.
    """

    def __init__(self, stream: GzipFile, archive: Path, max_bytes: int) -> None:
        self._stream, self._archive, self._max_bytes = stream, archive, max_bytes
        self.last = b""

    def read(self, size: int) -> bytes:
        """Read up to ``size`` bytes."""
        if not 0 <= size <= _CHUNK:
            raise refuse(self._archive, f"a header of {size:,} bytes")
        self._check(self.tell() + size)
        self.last = self._stream.read(size)
        return self.last

    def seek(self, position: int) -> int:
        """Go to a position, reading what is before it."""
        self._check(position)
        return self._stream.seek(position)

    def tell(self) -> int:
        """Return the position in the unpacked stream."""
        return self._stream.tell()

    def _check(self, position: int) -> None:
        """Refuse a position that would need too many bytes to reach."""
        if position > self._max_bytes + _CHUNK:
            raise _too_large(self._archive, self._max_bytes)


def _tar_members(file: IO[bytes], archive: Path, max_bytes: int) -> Iterator[Member]:
    """Go through a .tar.gz once, from front to back."""
    reader = _Bounded(GzipFile(fileobj=file), archive, max_bytes)
    with tarfile.open(fileobj=cast(IO[bytes], reader), mode="r:") as tar:
        while (info := tar.next()) is not None:
            if info.size < 0:
                raise refuse(archive, f"member {show(info.name)} has a negative size")
            if info.offset_data + info.size > max_bytes:
                raise _too_large(archive, max_bytes)
            yield Member(info.name, _tar_kind(info), partial(_tar_chunks, reader, info.offset_data, info.size))
    # tarfile takes a damaged header for the end of the archive; a true end is a block of zeros, or nothing.
    if reader.last.strip(b"\0"):
        raise refuse(archive, "damaged archive (a header that is none)")
    while reader.read(_CHUNK):
        pass  # to the end, where gzip keeps the checksum


def _tar_kind(info: tarfile.TarInfo) -> str:
    """Name what a member of a tar archive is."""
    if info.issym() or info.islnk():
        return "link"
    if info.isdir():
        return "folder"
    if info.issparse():
        return "sparse file"
    return "file" if info.isreg() else "device or other special file"


def _tar_chunks(reader: _Bounded, start: int, size: int) -> Iterator[bytes]:
    """Read a member's bytes. Not through extractfile, which costs more than the reading when files are small."""
    reader.seek(start)
    while size:
        chunk = reader.read(min(size, _CHUNK))
        if not chunk:
            raise EOFError("it ends inside a file")
        size -= len(chunk)
        yield chunk


def _zip_members(file: IO[bytes], archive: Path, max_bytes: int) -> Iterator[Member]:
    """Go through a .zip in the order of its directory."""
    with zipfile.ZipFile(file) as packed:
        if sum(info.file_size for info in packed.infolist()) > max_bytes:
            raise _too_large(archive, max_bytes)
        for info in packed.infolist():
            # The name as it is stored: zipfile's own is cut at a NUL.
            yield Member(info.orig_filename, _zip_kind(info), partial(_zip_chunks, packed, info))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    """Name what a member of a zip archive is; the upper half of its attributes may hold a Unix mode."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "device or other special file"
    if info.flag_bits & 1:
        return "encrypted file"
    return "folder" if info.orig_filename.endswith("/") else "file"


def _zip_chunks(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Read a member's bytes; zipfile gives no more than its header says, and checks its checksum."""
    with packed.open(info) as member:
        while chunk := member.read(_CHUNK):
            yield chunk


def show(name: str) -> str:
    """Return a member's name so that it can be printed whatever is in it."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")


def refuse(archive: Path, what: str) -> DataError:
    """Say what is wrong with an archive."""
    return DataError(what, where=str(archive), remedy="Nothing was unpacked. Delete the archive and fetch it again")


def _too_large(archive: Path, max_bytes: int) -> DataError:
    """Say that an archive unpacks to too much."""
    return refuse(archive, f"more than {max_bytes:,} bytes when unpacked")
