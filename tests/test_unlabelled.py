"""Rows without labels, from files and from what a pipe gives as it comes."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data import streams
from rnncli.data.streams import is_stream, lines_as_they_come
from rnncli.data.text_files import lines_of, read_lines
from rnncli.data.unlabelled import Unlabelled, read_unlabelled
from rnncli.errors import DataError


def rows_of(path: Path, raw: bytes, file_format: str = "text", **keys) -> list[Unlabelled]:
    path.write_bytes(raw)
    with path.open("rb") as file:
        return list(read_unlabelled(lines_of(file, path), path, file_format, **keys))


def error_of(path: Path, raw: bytes, file_format: str, **keys) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(path, raw, file_format, **keys)
    return str(caught.value)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "rows"


def test_every_line_of_a_text_is_a_row(path):
    rows = rows_of(path, "\ufeffone\r\n\n  two \nthree".encode())
    assert [row.text for row in rows] == ["one", "", "  two ", "three"]
    assert rows[0].fields == {}
    assert rows_of(path, b"") == []


def test_columns_are_kept_with_the_text(path):
    rows = rows_of(path, b'id,body\n1,"a, b"\n\n2,"c\nd"\n', "csv", column="body")
    assert rows == [Unlabelled("a, b", {"id": "1", "body": "a, b"}), Unlabelled("c\nd", {"id": "2", "body": "c\nd"})]
    assert rows_of(path, b'text\tid\n"a\t7\n', "tsv") == [Unlabelled('"a', {"text": '"a', "id": "7"})]
    assert rows_of(path, b'{"text": "a", "n": [1]}\n\n', "jsonl") == [Unlabelled("a", {"text": "a", "n": [1]})]
    assert rows_of(path, b"", "csv") == rows_of(path, b"text\n", "csv") == rows_of(path, b"", "jsonl") == []


def test_words_come_without_tags(path):
    conllu = b"# sent\n1-2\tdont" + b"\t_" * 8 + b"\n1\tdo" + b"\t_" * 8 + b"\n2\tn't" + b"\t_" * 8 + b"\n\n# alone\n"
    lines = tuple(conllu.decode().splitlines()[:4])
    assert rows_of(path, conllu, "conllu") == [Unlabelled("do n't", {}, ("do", "n't"), lines)]
    columns = b"-DOCSTART- X\n\nA x\nb y\n\nc\n"
    assert [row.words for row in rows_of(path, columns, "columns")] == [("A", "b"), ("c",)]
    keys = {"word": 2, "separator": "|", "comment": "#"}
    assert rows_of(path, b"# no\n1|a b|X\n", "columns", keys=keys) == [Unlabelled("a b", {}, ("a b",))]


@pytest.mark.parametrize(
    ("raw", "file_format", "line", "what"),
    [
        (b"a\nb\xff\n", "text", 2, "not valid UTF-8"),
        (b"a\nb\0\n", "text", 2, "NUL"),
        (b"text\na\nb,c\n", "csv", 3, "has 2 fields"),
        (b"body\na\n", "csv", 1, "Name one of them with --column"),
        (b"body,x\na\n", "tsv", 1, "Add --format csv"),
        (b"text,x,x\na,b,c\n", "csv", 1, "several columns 'x'"),
        (b'text\n"a\n', "csv", 2, "never closed"),
        (b"text\n\xff\n", "csv", 2, "not valid UTF-8"),
        (b"te\0xt\n", "csv", 1, "NUL"),
        (b'{"text": "a"}\n{"text": 1}\n', "jsonl", 2, "a number, not a string"),
        (b'{"txt": "a"}\n', "jsonl", 1, "Did you mean 'txt'? Name one of them with --column"),
        (b"[1]\n", "jsonl", 1, "an array"),
        (b"1\ta\n", "conllu", 1, "has 2 columns"),
        (b"a b\nc\xff\n", "columns", 2, "not valid UTF-8"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(path, raw, file_format, line, what):
    message = error_of(path, raw, file_format)
    assert message.startswith(f"{path}:{line}: ")
    assert what in message


PIECES = [
    b"text",
    b",",
    b"\t",
    b"\n",
    b"\r",
    b'"',
    b"{",
    b"}",
    b'{"text": "a"}',
    b"1\ta",
    b"\t_" * 8,
    b"\xff",
    b"\0",
    b"#",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_any_bytes_are_rows_or_refused_in_a_line(raw):
    for file_format in ("text", "csv", "tsv", "jsonl", "conllu", "columns"):
        refusal = "f: -"
        try:
            for row in read_unlabelled(lines_of(io.BytesIO(raw), "f"), "f", file_format):
                assert "\0" not in row.text
        except DataError as error:
            refusal = str(error)
        assert refusal.startswith("f")
        assert "\n" not in refusal


def test_a_line_without_its_column_is_named(path):
    assert "there is no column 2" in error_of(path, b"a b\nc\n", "columns", keys={"word": 2})


def test_a_file_is_read_without_a_pause(path):
    path.write_bytes(gzip.compress(b"a\nb\n"))
    lines = lines_as_they_come(path, lambda: pytest.fail("a file does not pause"))
    assert [line.text for line in lines] == ["a\n", "b\n"]
    path.write_bytes(b"")
    assert list(lines_as_they_come(path, lambda: None)) == []
    with pytest.raises(DataError, match="the file is empty"):
        list(read_lines(path))
    with pytest.raises(DataError, match="no such file"):
        list(lines_as_they_come(path.with_name("none"), lambda: None))


def test_a_pipe_that_pauses_says_so_before_more_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "PAUSE", 0.01)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert is_stream(path)
    paused = threading.Event()
    seen: list[str] = []
    at_pause: list[list[str]] = []

    def on_pause() -> None:
        at_pause.append(list(seen))
        paused.set()

    def produce() -> None:
        with path.open("wb", buffering=0) as file:
            file.write(b"a\nb\nha")
            paused.wait(20)  # what is written only after a pause cannot have ended it
            file.write(b"lf\n")

    producer = threading.Thread(target=produce)
    producer.start()
    for line in lines_as_they_come(path, on_pause):
        seen.append(line.text)
    producer.join()
    assert seen == ["a\n", "b\n", "half\n"]
    assert ["a\n", "b\n"] in at_pause


def test_compressed_input_of_a_pipe_is_named(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(b"a\n" * 100)
    producer = threading.Thread(target=lambda: path.write_bytes(packed))
    producer.start()
    with pytest.raises(DataError, match="gunzip"):
        list(lines_as_they_come(path, lambda: None))
    producer.join()


def test_a_stream_that_cannot_be_read_is_named(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)  # as of: rnncli predict CHECKPOINT < folder
    with pytest.raises(DataError, match="standard input: "):
        streams.Paced(handle, "standard input", lambda: None).read(1)
    os.close(handle)


def test_what_stands_for_standard_input_in_a_notebook_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb")))
    assert [line.text for line in lines_as_they_come(Path("-"), lambda: None)] == ["a\n", "b"]
    assert is_stream(Path("-"))
    assert not is_stream(Path("nothing"))
