import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.language.blocks import Block, document_blocks, part_of, read_blocks
from rnncli.data.language.sources import read_documents, source_files
from rnncli.errors import DataError

TEXT = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]))


class Source(dict):
    def model_dump(self):
        return dict(self)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("blocks") / "a.txt"


@given(TEXT, st.integers(1, 9))
def test_blocks_make_up_the_text(path, text, block_bytes):
    path.write_bytes(text.encode())
    blocks = list(read_blocks(path, block_bytes))
    assert "".join(blocks) == text
    assert all(blocks)
    assert all(len(block.encode()) <= 2 * block_bytes + 4 for block in blocks)


def test_blocks_end_where_lines_or_words_end(path):
    path.write_text("one two\nthree four five six\nseven")
    assert list(read_blocks(path, 10)) == ["one two\n", "three four ", "five six\n", "seven"]
    assert list(read_blocks(path)) == [path.read_text()]


def test_a_byte_order_mark_and_compression(path):
    path.write_bytes(gzip.compress(b"\xef\xbb\xbfone\ntwo\n"))
    assert "".join(read_blocks(path, 4)) == "one\ntwo\n"


def test_a_bad_byte_is_found_by_line_and_offset(path):
    path.write_bytes(b"good line\n" * 5 + b"bad \xff\n")
    for size in (8, 1000):
        with pytest.raises(DataError, match=r":6: byte 0xff at offset 54 \(byte 5 of the line\)"):
            list(read_blocks(path, size))
    path.write_bytes(b"nul \0")
    with pytest.raises(DataError, match="NUL byte at offset 4"):
        list(read_blocks(path))


def test_what_unpacks_to_too_much_is_refused(path):
    path.write_bytes(gzip.compress(b"a\n" * 2**24))
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        sum(len(block) for block in read_blocks(path))


DOCUMENTS = "a\nb\n\n\n c\n \nd"


@pytest.mark.parametrize(
    ("boundary", "documents"),
    [
        (None, [DOCUMENTS]),
        ("file", [DOCUMENTS]),
        ("blank_line", ["a\nb", " c", "d"]),
        ("line", ["a", "b", " c", "d"]),
    ],
)
def test_what_ends_a_document(path, boundary, documents):
    path.write_text(DOCUMENTS)
    assert list(document_blocks(path, boundary)) == [Block(text, True) for text in documents]


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.booleans()), max_size=6), st.data())
def test_two_parts_make_up_the_whole(pairs, data):
    blocks = [Block(*pair) for pair in pairs]
    whole = "".join(block.text for block in blocks)
    cut = data.draw(st.integers(0, len(whole)))
    first, second = list(part_of(blocks, 0, cut)), list(part_of(blocks, cut, None))
    assert "".join(block.text for block in first) == whole[:cut]
    assert "".join(block.text for block in second) == whole[cut:]
    assert all(block.text for block in [*first, *second])
    if first:
        assert first[-1].ends
    ends = sum(block.ends for block in blocks)
    assert ends <= sum(block.ends for block in [*first, *second]) <= ends + 1


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for name in ("b.txt", "a/c.txt", "a.md", ".hidden.txt", "a/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    source = Source(format="text", path=str(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in source_files(source)] == ["a/b.txt", "a/c.txt", "b.txt"]
    assert [block.text for block in read_documents(source, "file")] == ["a/b.txt", "a/c.txt", "b.txt"]


def test_the_standard_library_without_tests_and_what_is_installed():
    files = [path.as_posix() for path in source_files(Source(format="python_stdlib"))]
    assert any(name.endswith("/json/decoder.py") for name in files)
    assert not [name for name in files if "/test/" in name or "site-packages" in name]
    assert len(files) > 300


def test_where_there_is_no_text(tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match=r"empty\.txt: there is no text"):
        list(read_documents(Source(format="text", path=str(tmp_path / "empty.txt")), None))
    with pytest.raises(DataError, match="no such file"):
        list(read_documents(Source(format="text", path=str(tmp_path / "none.txt")), None))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"there is no \.txt file"):
        list(read_documents(Source(format="text", path=str(tmp_path / "folder")), None))
