import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.config import DataConfig
from rnncli.data import cache, dataset
from rnncli.data.cache import Entry, entry_path, load_entry, save_entry
from rnncli.data.dataset import Dataset, load_dataset

SAMPLE = Path(__file__).parents[1] / "data" / "sample.csv"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLE, tmp_path / "sample.csv"))


def config(path: Path, **keys: Any) -> DataConfig:
    return DataConfig.model_validate({"train": {"format": "csv", "path": str(path)}, **keys})


def key(data: DataConfig, seed: int = 1) -> str | None:
    path = entry_path(data, seed, Path("c"))
    return None if path is None else path.name


def same(one: Dataset, other: Dataset) -> bool:
    parts = [(getattr(one, name), getattr(other, name)) for name in ("train", "valid")]
    arrays = [(getattr(a, field), getattr(b, field)) for a, b in parts for field in ("ids", "offsets", "labels")]
    return (
        all(a.dtype == b.dtype and np.array_equal(a, b) and not b.flags.writeable for a, b in arrays)
        and one.vocabulary.tokens == other.vocabulary.tokens
        and one.labels == other.labels
    )


def never(*_: Any) -> None:
    raise AssertionError("the texts were read although the cache has them")


def test_a_second_start_reads_no_text_and_gives_the_same(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cache_dir = tmp_path / "made" / "on the way"
    first = load_dataset(config(sample), 1, cache_dir)
    assert same(first, load_dataset(config(sample), 1, None))
    monkeypatch.setattr(dataset, "read_rows", never)
    assert same(first, load_dataset(config(sample), 1, cache_dir))
    assert [path.suffix for path in cache_dir.iterdir()] == [".safetensors"]


@pytest.mark.parametrize(
    "keys",
    [
        {"tokenizer": {"kind": "whitespace"}},
        {"tokenizer": {"lowercase": False}},
        {"tokenizer": {"max_vocab": 99}},
        {"tokenizer": {"min_count": 3}},
        {"max_length": 7},
        {"max_length": None},
        {"truncate": "head"},
        {"valid_fraction": 0.2},
        {"group_by": "author"},
        {"valid": {"format": "csv", "path": str(SAMPLE)}},
        {"train": {"format": "csv", "path": str(SAMPLE), "text": "author"}},
        {"train": {"format": "csv", "path": str(SAMPLE), "label": "author"}},
        {"train": {"format": "csv", "path": str(SAMPLE), "skip_labels": ["other"]}},
        {"train": {"format": "tsv", "path": str(SAMPLE)}},
    ],
    ids=str,
)
def test_every_setting_that_shapes_the_arrays_changes_the_key(keys: dict[str, Any]):
    assert key(config(SAMPLE)) != key(config(SAMPLE, **keys))


def test_the_key_minds_the_seed_only_where_it_decides_the_split():
    assert key(config(SAMPLE), 1) != key(config(SAMPLE), 2)
    with_valid = config(SAMPLE, valid={"format": "csv", "path": str(SAMPLE)})
    assert key(with_valid, 1) == key(with_valid, 2)


def test_the_key_minds_neither_the_place_of_the_files_nor_the_test_data(sample: Path):
    assert key(config(SAMPLE)) == key(config(sample))
    assert key(config(SAMPLE)) == key(config(SAMPLE, test={"format": "csv", "path": str(sample)}))


@pytest.mark.parametrize("version", ["CACHE_VERSION", "TOKENIZERS_VERSION"])
def test_the_key_minds_the_version_of_the_code(version: str, monkeypatch: pytest.MonkeyPatch):
    before = key(config(SAMPLE))
    monkeypatch.setattr(cache, version, 99)
    assert key(config(SAMPLE)) != before


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_the_key_minds_every_byte_of_the_training_file(sample: Path, place: int):
    raw = bytearray(sample.read_bytes())
    raw[place] ^= 1
    sample.write_bytes(raw)
    assert key(config(SAMPLE)) != key(config(sample))


def test_the_key_minds_the_validation_file(sample: Path):
    data = config(SAMPLE, valid={"format": "csv", "path": str(sample)})
    before = key(data)
    with sample.open("ab") as file:
        file.write(b"one more,positive,Ada Quill\n")
    assert key(data) != before


def test_the_key_minds_both_files_of_keras(tmp_path: Path):
    files = {name: tmp_path / name for name in ("imdb.npz", "index.json")}
    for file in files.values():
        file.write_bytes(b"first")
    source = {"format": "keras_imdb", "path": str(files["imdb.npz"]), "word_index": str(files["index.json"])}
    keys = [key(DataConfig.model_validate({"train": source}))]
    keys.append(key(DataConfig.model_validate({"train": {**source, "part": "test"}})))
    for file in files.values():
        file.write_bytes(b"other")
        keys.append(key(DataConfig.model_validate({"train": source})))
    assert len(set(keys)) == 4
    assert None not in keys


def make_tree(folder: Path, **texts: str) -> DataConfig:
    for name, text in {"pos/0_9.txt": "fine", "neg/0_1.txt": "poor", **texts}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return DataConfig.model_validate({"train": {"format": "aclimdb", "path": str(folder)}})


def test_the_key_minds_each_text_of_a_tree_and_nothing_else_in_it(tmp_path: Path):
    trees = {
        "plain": {},
        "text changed": {"pos/0_9.txt": "Fine"},
        "text added": {"pos/1_9.txt": ""},
        "text of another label": {"neg/0_9.txt": ""},
        "text added under another name": {"pos/2_9.txt": ""},
        "label without texts": {"mid/README": ""},
        "bytes moved from one text to the next": {"neg/0_1.txt": "poorf", "pos/0_9.txt": "ine"},
    }
    keys = {name: key(make_tree(tmp_path / name, **texts)) for name, texts in trees.items()}
    assert None not in keys.values()
    assert len(set(keys.values())) == len(trees)
    more = make_tree(tmp_path / "more", **{"unsup/0_0.txt": "x", "urls.txt": "x", "pos/notes": "x"})
    assert key(more) == keys["plain"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_not_a_file_has_no_key_and_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe", tmp_path / "nul\0"):
        assert key(config(path)) is None
    assert key(DataConfig.model_validate({"train": {"format": "aclimdb", "path": str(tmp_path / "none")}})) is None


def test_damage_anywhere_in_an_entry_is_seen(tmp_path: Path):
    path = tmp_path / "entry"
    entry = Entry({"a": np.arange(5, dtype=np.int32), "b": np.zeros((2, 3))}, {"words": ["x\n", "\ud800", "é"]})
    save_entry(path, entry)
    good = load_entry(path)
    assert good is not None
    assert {name: array.tolist() for name, array in good.arrays.items()} == {"a": [0, 1, 2, 3, 4], "b": [[0] * 3] * 2}
    assert good.strings == entry.strings
    raw = path.read_bytes()
    for place in range(len(raw)):
        path.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert load_entry(path) is None or is_padding(raw, place)
        path.write_bytes(raw[:place])
        assert load_entry(path) is None
    path.write_bytes(raw + b"x")
    assert load_entry(path) is None
    assert load_entry(tmp_path / "none") is None
    assert load_entry(tmp_path) is None


def is_padding(raw: bytes, place: int) -> bool:
    """Say whether the byte is white space after the header, which means nothing."""
    end = 8 + int.from_bytes(raw[:8], "little")
    return 8 + len(json.dumps(json.loads(raw[8:end]), separators=(",", ":"))) <= place < end


@pytest.mark.parametrize("damage", [b"", b"\x80\x04.", b"\x08" + b"\0" * 7 + b'{"a":{}}'])
def test_a_damaged_entry_is_made_anew(sample: Path, tmp_path: Path, damage: bytes):
    first = load_dataset(config(sample), 1, tmp_path)
    path = entry_path(config(sample), 1, tmp_path)
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(damage)
    assert same(first, load_dataset(config(sample), 1, tmp_path))
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_to_is_no_error(sample: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert same(load_dataset(config(sample), 1, tmp_path / "file"), load_dataset(config(sample), 1, None))


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    save_entry(tmp_path / "entry", Entry({"a": np.zeros(1)}, {}))
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_entry(tmp_path / "entry", Entry({"a": np.zeros(1)}, {}))
    assert list(tmp_path.iterdir()) == []
