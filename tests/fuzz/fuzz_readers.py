"""Fuzz a reader: ``python tests/fuzz/fuzz_readers.py csv -runs=100000``.

FORMAT is one of csv, tsv, jsonl, fasttext, aclimdb, keras_imdb. The first byte of an input decides how it is read:
strictly, past bad rows, or as far as the arrays that are trained on; the rest is the file. Whatever comes is refused
with DataError, or gives rows that keep what rows promise.
"""

import bz2
import gzip
import io
import json
import lzma
import pickle
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fuzzing import Check, main, refused_well

FORMATS = ("csv", "tsv", "jsonl", "fasttext", "aclimdb", "keras_imdb")
TEXTS = {
    "csv": 'text,label,who\n"good, ""very""\nfilm",pos,a\r\nbad film,neg,b\n\ngood,pos,c\nbad,neg,d\n',
    "tsv": 'text\tlabel\twho\ngood "film\tpos\ta\nbad film\tneg\t\ngood\tpos\tc\nbad\tneg\td\n',
    "jsonl": '{"text": "good \\ud83d\\ude00", "label": "pos", "who": 1}\n{"text": "", "label": true, "who": null}\n'
    '{"text": "x", "label": -12, "who": "b", "more": [1e5, {"a": null}]}\n',
    "fasttext": "__label__pos good film\nbad __label__neg film\n\n__label__neg bad\n",
    "aclimdb": "pos\0\x31_7.txt\0good film<br />\0neg\0x.txt\0bad n't\0unsup\0a.txt\0none",
}


def seeds(name: str) -> list[bytes]:
    if name == "keras_imdb":
        parts = keras_parts()
        return [bytes([mode]) + data for mode in range(3) for data in parts]
    raw = TEXTS[name].encode()
    packed = [] if name == "aclimdb" else [gzip.compress(raw), bz2.compress(raw), lzma.compress(raw)]
    return [bytes([mode]) + data for mode in range(4) for data in (raw, b"\xef\xbb\xbf" + raw, *packed)]


def keras_parts() -> list[bytes]:
    """Return the four parts of a Keras data set, each after the byte that says which part it is."""
    import numpy as np

    reviews = np.empty(2, dtype=object)
    reviews[:] = [[1, 4, 5], [1, 6, 70_000]]
    made = []
    for array in (reviews, np.array([0, 1])):
        file = io.BytesIO()
        np.save(file, array)
        made.append(file.getvalue())
    header = made[0][: -len(pickle.dumps(reviews, 3))]
    words = json.dumps({"good": 1, "bad": 2, "film": 3, "x": 70_000}).encode()
    archive = io.BytesIO()
    np.savez_compressed(archive, x_train=reviews, y_train=np.array([0, 1]))
    older = b"\0" + header + pickle.dumps(reviews, 2)
    return [b"\0" + made[0], older, b"\1" + made[1], b"\2" + words, b"\3" + archive.getvalue()]


def make_check(name: str, folder: Path) -> Check:
    """Return the check of one format; it works in a folder that is there."""
    from rnncli.config import parse_config
    from rnncli.data.dataset import load_dataset
    from rnncli.data.readers import WITH_COLUMNS, read_rows
    from rnncli.data.rows import Row
    from rnncli.errors import DataError

    path = folder / "data"
    source: dict[str, Any] = {"format": name, "path": str(path)}
    write: Callable[[bytes], object] = path.write_bytes
    if name == "aclimdb":
        write = lambda data: write_tree(path, data)  # noqa: E731
    if name == "keras_imdb":
        source |= {"path": str(folder / "imdb.npz"), "word_index": str(folder / "words.json")}
        write = write_keras(folder)
    values: dict[str, Any] = {"data": {"train": source, "tokenizer": {"min_count": 1}, "valid_fraction": 0.5}}
    config = parse_config(values, "fuzz").data
    if name in WITH_COLUMNS:
        values["data"]["group_by"] = "who"
        grouped = parse_config(values, "fuzz").data
    else:
        grouped = config

    def keep_promises(row: Row) -> None:
        assert row.label
        assert row.label == row.label.strip()
        for text in (row.text, row.label, row.group or ""):
            text.encode()
            assert "\0" not in text
        assert row.where.startswith(str(folder))

    def check(data: bytes) -> None:
        mode, rest = data[0] % 4 if data else 0, data[1:]
        write(rest)
        try:
            if mode == 0:
                for row in read_rows(config.train, grouped.group_by):
                    keep_promises(row)
            elif mode == 1:
                for row in read_rows(config.train, config.group_by, on_bad=refused_well):
                    keep_promises(row)
            else:
                dataset = load_dataset(grouped if mode == 2 else config, 1, None)
                for part in (dataset.train, dataset.valid):
                    assert len(part) > 0
                    assert part.lengths.min() > 0
                    assert 0 <= part.ids.min() <= part.ids.max() < len(dataset.vocabulary)
                    assert 0 <= part.labels.min() <= part.labels.max() < len(dataset.labels)
        except DataError as error:
            refused_well(error)

    return check


def write_tree(root: Path, data: bytes) -> None:
    """Make a folder of at most six texts: label, name and content in turn, between NULs."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    parts = data.split(b"\0", 17)
    for label, name, content in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        try:
            folder = root.joinpath(*(part.decode("utf-8", "surrogateescape")[:40] for part in label.split(b"/")[-1:]))
            folder.mkdir(exist_ok=True)
            (folder / name.split(b"/")[-1].decode("utf-8", "surrogateescape")[:40]).write_bytes(content)
        except OSError:  # a name such as "..", or one that is taken
            continue


def write_keras(folder: Path) -> Callable[[bytes], None]:
    """Return what writes the three files, one part from the input and the others whole.

    Inside an archive with right checksums, as hardly any change of its bytes would otherwise get past the unpacking.
    """
    whole, _, labels, words, _ = (part[1:] for part in keras_parts())

    def write(data: bytes) -> None:
        which, rest = data[0] % 4 if data else 0, data[1:]
        (folder / "words.json").write_bytes(rest if which == 2 else words)
        if which == 3:
            (folder / "imdb.npz").write_bytes(rest)
            return
        with zipfile.ZipFile(folder / "imdb.npz", "w") as archive:
            archive.writestr("x_train.npy", rest if which == 0 else whole)
            archive.writestr("y_train.npy", rest if which == 1 else labels)

    return write


def make_check_of_small_texts(name: str, folder: Path) -> Check:
    """Return the same with a lower limit for what a compressed file may hold.

    The search finds a hundred bytes that unpack to a million lines, and then would try hardly anything else.
    """
    check = make_check(name, folder)
    from rnncli.data import text_files

    text_files.UNPACKED_FREELY = 2**15
    return check


if __name__ == "__main__":
    chosen = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    if chosen not in FORMATS:
        sys.exit(f"name a format: {', '.join(FORMATS)}")
    main(
        lambda folder: make_check(chosen, folder),
        lambda _: seeds(chosen),
        ["rnncli", "csv", "json", "pickletools", "zipfile"],
    )
