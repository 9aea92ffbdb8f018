"""A text as arrays on disk: what is in them, and what happens when they are damaged or out of date."""

import json
import os
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rnncli.config.language import LanguageDataConfig
from rnncli.data.language import corpus as module
from rnncli.data.language.corpus import corpus_key, load_corpus
from rnncli.data.language.encoding import encode_text
from rnncli.data.language.token_store import Writer, smallest_type
from rnncli.data.language.windows import lm_windows
from rnncli.errors import DataError

TEXT = "".join(f"line {i} of a text that goes on\n" for i in range(40))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text(TEXT)
    return tmp_path


def data(**changes):
    return LanguageDataConfig(**{"train": {"format": "text", "path": "a.txt"}, **changes})


def load(**changes):
    return load_corpus(data(**changes), Path("cache"))


def entries():
    return sorted(os.listdir("cache"))


def test_the_last_characters_are_held_back(folder):
    corpus = load(valid_fraction=0.25)
    cut = int(len(TEXT) * 0.75)
    assert corpus.codec.decode(corpus.train.tokens) == TEXT[:cut]
    assert corpus.codec.decode(corpus.valid.tokens) == TEXT[cut:]
    assert corpus.train.characters == cut - 1 == len(corpus.train) - 1
    assert corpus.train.unknown == 0
    assert not corpus.train.tokens.flags.writeable


@pytest.mark.parametrize("kind", ["word", "whitespace", "bpe"])
def test_other_tokens_hold_back_the_same_text(folder, kind):
    tokenizer = {"kind": kind} if kind == "bpe" else {"kind": kind, "lowercase": False, "min_count": 1}
    corpus = load(tokenizer=tokenizer)
    cut = int(len(TEXT) * 0.9)
    assert corpus.codec.decode(corpus.train.tokens) == TEXT[:cut]
    assert len(corpus.train) < cut / 2
    if kind == "bpe":
        assert corpus.codec.decode(corpus.valid.tokens) == TEXT[cut:]
        assert corpus.valid.characters == len(TEXT) - cut - len(corpus.codec.decode(corpus.valid.tokens[:1]))


def test_the_vocabulary_is_of_the_training_part_alone(folder):
    Path("b.txt").write_text("#line#")
    corpus = load(valid={"format": "text", "path": "b.txt"})
    assert corpus.valid.unknown == 1  # the first token is predicted by nothing
    assert corpus.codec.decode(corpus.valid.tokens) == "\ufffdline\ufffd"


@pytest.mark.parametrize("boundary", ["file", "line"])
def test_documents_stand_between_ends_of_text(folder, boundary):
    Path("docs").mkdir()
    for name in "ab":
        Path(f"docs/{name}.txt").write_text(f"{name}1\n{name}2\n")
    source = {"format": "text", "path": "docs"}
    corpus = load(train=source, valid=source, document_boundary=boundary)
    end = corpus.codec.end_of_text
    expected = {"file": ["", "a1\na2\n", "b1\nb2\n", ""], "line": ["", "a1", "a2", "b1", "b2", ""]}
    parts = np.split(corpus.train.tokens, np.flatnonzero(corpus.train.tokens == end))
    assert [corpus.codec.decode(part) for part in parts] == expected[boundary]
    assert corpus.train.tokens[0] == corpus.train.tokens[-1] == end
    assert corpus.train.characters == sum(map(len, expected[boundary]))


def test_a_document_that_is_cut_ends_twice(folder):
    corpus = load(document_boundary="file", valid_fraction=0.5)
    for part in (corpus.train, corpus.valid):
        assert np.flatnonzero(part.tokens == corpus.codec.end_of_text).tolist() == [0, len(part) - 1]


def test_the_second_time_it_comes_from_the_cache(folder, monkeypatch):
    first = load()
    monkeypatch.setattr(module, "learn_codec", None)  # would fail if it were called
    second = load()
    assert entries() == [corpus_key(data())]
    assert second.codec.to_json() == first.codec.to_json()
    for name in ("train", "valid"):
        one, other = getattr(first, name), getattr(second, name)
        np.testing.assert_array_equal(one.tokens, other.tokens)
        assert (one.characters, one.unknown) == (other.characters, other.unknown)


@pytest.mark.parametrize(
    "damage",
    [
        lambda entry: (entry / "train").write_bytes(b"\0" * (entry / "train").stat().st_size),
        lambda entry: (entry / "valid").write_bytes((entry / "valid").read_bytes()[:-1]),
        lambda entry: (entry / "valid").unlink(),
        lambda entry: (entry / "corpus.json").write_text("{}"),
        lambda entry: (entry / "corpus.json").write_text("not json"),
        lambda entry: (entry / "corpus.json").write_text(
            json.dumps({**json.loads((entry / "corpus.json").read_text()), "codec": "{}"})
        ),
        lambda entry: (entry / "corpus.json").unlink(),
    ],
)
def test_a_damaged_entry_is_made_anew(folder, damage):
    before = np.array(load().train.tokens)
    entry = Path("cache") / corpus_key(data())
    damage(entry)
    np.testing.assert_array_equal(load().train.tokens, before)
    assert entries() == [entry.name]
    assert sorted(os.listdir(entry)) == ["corpus.json", "train", "valid"]


def test_a_file_in_the_place_of_an_entry_is_replaced(folder):
    Path("cache").mkdir()
    (Path("cache") / corpus_key(data())).write_text("in the way")
    assert len(load().train) > 100


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_fraction": 0.2},
        {"document_boundary": "line"},
        {"document_boundary": "file"},
        {"tokenizer": {"kind": "word"}},
        {"tokenizer": {"kind": "character", "lowercase": True}},
        {"tokenizer": {"kind": "bpe"}},
        {"tokenizer": {"kind": "bpe", "size": 300}},
        {"valid": {"format": "text", "path": "a.txt"}},
    ],
)
def test_other_settings_have_another_entry(folder, changes):
    assert corpus_key(data()) != corpus_key(data(**changes))


def test_another_byte_has_another_entry_and_another_place_has_not(folder):
    before = corpus_key(data())
    Path("moved").mkdir()
    os.replace("a.txt", "moved/b.txt")
    moved = data(train={"format": "text", "path": "moved/b.txt"})
    assert corpus_key(moved) == before
    Path("moved/b.txt").write_text(TEXT + ".")
    assert corpus_key(moved) != before


def test_a_failed_encoding_leaves_nothing(folder):
    Path("a.txt").write_bytes(TEXT.encode() + b"\xff")
    with pytest.raises(DataError, match=r"a\.txt:41: byte 0xff"):
        load()
    assert not Path("cache").exists() or entries() == []


def test_what_was_left_by_a_killed_writer_goes_once_it_is_old(folder):
    old, young = Path("cache/.writing-corpus-old"), Path("cache/.writing-corpus-young")
    for left in (old, young):
        left.mkdir(parents=True)
        (left / "train").write_bytes(b"x")
    for path in (old / "train", old):
        os.utime(path, (time.time() - 9999,) * 2)
    load()
    assert not old.exists()
    assert young.exists()


def test_a_cache_that_cannot_be_written(folder):
    Path("cache").write_text("a file")
    with pytest.raises(DataError, match="the encoded text cannot be written: it is a file"):
        load()


@pytest.mark.parametrize(
    ("text", "changes", "message"),
    [
        ("", {}, "there is no text"),
        ("x", {}, "leaves a part empty"),
        ("xy", {"valid_fraction": 0.5}, "the text has 1 characters, which is too short"),
    ],
)
def test_a_text_that_is_too_short(folder, text, changes, message):
    Path("a.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        load(**changes)


def test_the_smallest_type_that_holds_the_ids(folder):
    assert [smallest_type(n).str for n in (2, 256, 257, 65536, 65537)] == ["|u1", "|u1", "<u2", "<u2", "<u4"]
    assert load().train.tokens.dtype == np.uint8
    assert load(tokenizer={"kind": "bpe"}).train.tokens.dtype == np.uint16
    Path("a.txt").write_text("".join(map(chr, range(0x4E00, 0x4E00 + 300))) * 4)
    corpus = load()
    assert corpus.train.tokens.dtype == np.uint16
    assert int(corpus.train.tokens.max()) == corpus.codec.size - 1 == 300


def test_written_in_pieces_it_is_the_same():
    import io

    files, digests = [io.BytesIO(), io.BytesIO()], []
    for file, pieces in zip(files, ([[1, 2, 300]], [[1], [], [2, 300]]), strict=True):
        writer = Writer(file, 301)
        for piece in pieces:
            writer.write(np.array(piece, dtype=np.int64))
        digests.append(writer.facts())
    assert files[0].getvalue() == files[1].getvalue()
    assert digests[0] == digests[1]
    assert digests[0]["tokens"] == 3


def test_small_blocks_give_the_same_characters(folder, monkeypatch):
    whole = np.array(load().train.tokens)
    small = lambda path, size=64: module_blocks(path, size)  # noqa: E731 - the same function with another default
    from rnncli.data.language import blocks

    module_blocks = blocks.read_blocks
    monkeypatch.setattr(blocks, "read_blocks", small)
    np.testing.assert_array_equal(load_corpus(data(), Path("other")).train.tokens, whole)


def test_another_text_with_the_codec_of_a_checkpoint(folder):
    codec = load(document_boundary="file").codec
    Path("b.txt").write_text("a text\n")
    text = encode_text(SimpleNamespace(model_dump=lambda: {"format": "text", "path": "b.txt"}), "file", codec)
    assert text.tokens.tolist() == [codec.end_of_text, *codec.encode("a text\n"), codec.end_of_text]
    assert (text.characters, text.unknown, len(text)) == (7, 0, 9)
    assert not text.tokens.flags.writeable


def test_memory_does_not_grow_with_the_text(folder):
    peaks = []
    for repeats in (1, 6):
        Path("a.txt").write_text(TEXT * (500 * repeats))
        assert os.path.getsize("a.txt") > 600_000 * repeats
        tracemalloc.start()
        corpus = load()
        for window in lm_windows(corpus.train.tokens, 8, 4096):
            del window
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 300_000  # the text has grown by ten times that
