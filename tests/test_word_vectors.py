import bz2
import gzip
import lzma
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rnncli.data.word_vectors import check_word_vectors, read_word_vectors
from rnncli.errors import ConfigError, DataError, RnncliError

TOKENS = ("<unk>", "the", "film", "Paris", "Rome", "rome", "nowhere", "10 000")
GLOVE = "the 0.5 -1e-3 2\nfilm 1 2 3\nparis 4 5 6\nRome 7 8 9\nrome 7 7 7\n"


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def found(path, tokens=TOKENS, dim=3):
    vectors = read_word_vectors(path, tokens, dim)
    assert vectors.values.dtype == np.float32
    return {tokens[number]: row.tolist() for number, row in zip(vectors.ids, vectors.values, strict=True)}


def test_the_words_of_a_vocabulary_are_found(tmp_path):
    path = write(tmp_path / "glove.txt", GLOVE + "other 9 9 9\n")
    vectors = read_word_vectors(path, TOKENS, 3)
    assert found(path) == {
        "the": [0.5, pytest.approx(-1e-3), 2],
        "film": [1, 2, 3],
        "Paris": [4, 5, 6],  # in lower case only
        "Rome": [7, 8, 9],
        "rome": [7, 7, 7],
    }
    assert (vectors.lowered, vectors.read, vectors.unreadable) == (1, 6, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_a_word_as_it_is_goes_before_its_lower_case(tmp_path, order):
    lines = ["rome 1 1 1", "Rome 2 2 2"][::order]
    path = write(tmp_path / "v.txt", "\n".join(lines) + "\n")
    assert found(path) == {"Rome": [2, 2, 2], "rome": [1, 1, 1]}


def test_the_first_of_two_lines_of_a_word_counts(tmp_path):
    assert found(write(tmp_path / "v.txt", "the 1 1 1\nthe 2 2 2\nparis 3 3 3\nparis 4 4 4\n")) == {
        "the": [1, 1, 1],
        "Paris": [3, 3, 3],
    }


@pytest.mark.parametrize("pack", [lambda raw: raw, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("header", ["", "5 3\n"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n"])  # fastText ends a line with a space
def test_every_form_of_file_is_read(tmp_path, pack, header, end):
    path = write(tmp_path / "v.vec", pack((header + GLOVE).replace("\n", end).encode()))
    assert found(path)["Rome"] == [7, 8, 9]
    assert read_word_vectors(path, TOKENS, 3).read == 5
    assert check_word_vectors(path, 3) == (5 if header else None)


def test_words_may_hold_spaces_and_numbers_and_odd_characters(tmp_path):
    odd = ". . . 0 0 1\n10 000 1 1 2\n\u00a0x\u2028 2 2 2\n5 3 3 3\n"
    assert found(write(tmp_path / "v.txt", odd), (*TOKENS, ". . .", "5", "\u00a0x\u2028")) == {
        "10 000": [1, 1, 2],
        ". . .": [0, 0, 1],
        "5": [3, 3, 3],
        "\u00a0x\u2028": [2, 2, 2],
    }


def test_a_word_that_is_not_utf8_is_passed_over(tmp_path):
    vectors = read_word_vectors(write(tmp_path / "v.txt", b"the 1 1 1\n\xff\xfe 2 2 2\nfilm 3 3 3\n"), TOKENS, 3)
    assert (vectors.ids.tolist(), vectors.read, vectors.unreadable) == ([1, 2], 3, 1)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("the 1 2 3\nfilm 1 2\n", 2, "a word and 3 numbers belong on a line"),
        ("the 1 2 3\n\nfilm 1 2 3\n", 2, "not 1"),
        ("the 1 2 3\nfilm 1 x 3\n", 2, "'x' is not a number"),
        ("the 1 2 3\nfilm 1  3\n", 2, "'' is not a number"),
        ("the 1 2 3\nfilm 1 nan 3\n", 2, "'nan' is not a finite number"),
        ("the 1 2 3\nfilm 1 2 1e39\n", 2, "'1e39' is not a finite number"),
        ("the 1 2 3\nfilm 1 2 -inf\n", 2, "'-inf' is not a finite number"),
        ("Some words that are no vectors.\n", 1, "a word and 3 numbers"),
        ("\n", 1, "a word and 3 numbers"),
        ("word\n", 1, "a word and 3 numbers"),
        ("3 3\nthe 1 2 3\nfilm 1 2 3\n", None, "its first line says 3 vectors, and it has 2"),
        ("", None, "the file is empty"),
        ("PK\3\4", None, "is a zip archive"),
        (b"\xba\x16\x4f\x2f\x0c\0\0\0", None, "is the binary form"),
        (b"2 3\nthe \0\0\x80?\0\0\0@\0\0@@film \0\0\x80?\0\0\0@\0\0@@", None, "is the binary form"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path, text, line, said):
    path = write(tmp_path / "v.txt", text)
    with pytest.raises(DataError, match=said) as error:
        read_word_vectors(path, TOKENS, 3)
    assert error.value.where == (f"{path}:{line}" if line else str(path))
    assert error.value.remedy or not text


@pytest.mark.parametrize("text", ["the 1 2\nfilm 3 4\n", "the 1 2 3 4\n", "7 50\nthe 1 2 3\n"])
def test_other_lengths_are_refused_with_what_to_type(tmp_path, text):
    path = write(tmp_path / "v.txt", text)
    length = 50 if "50" in text else len(text.splitlines()[0].split()) - 1
    for read in (lambda: check_word_vectors(path, 3), lambda: read_word_vectors(path, TOKENS, 3)):
        with pytest.raises(ConfigError, match=f"have {length} numbers") as error:
            read()
        assert f"--set model.embedding.dim={length}" in error.value.remedy


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_cannot_be_read_is_told(tmp_path, name):
    with pytest.raises(DataError):
        check_word_vectors(tmp_path / name, 3)


def test_the_memory_is_that_of_the_vocabulary(tmp_path):
    path = tmp_path / "v.txt"
    numbers = " 0.123456" * 100
    path.write_text("".join(f"word{number}{numbers}\n" for number in range(20_000)))
    size = path.stat().st_size
    tracemalloc.start()
    vectors = read_word_vectors(path, ["<unk>", "word17", "word19999"], 100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert vectors.ids.tolist() == [1, 2]
    assert peak < size / 20


PIECES = st.sampled_from(
    [b" ", b"\n", b"the", b"film", b"1", b"-2.5", b"1e999", b"nan", b"3 3\n", b"\0", b"\xff", b"\r"]
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=40).map(b"".join)))
@example(b"9" * 5000 + b" 3\nthe 1 2 3\n")
@example(b"the 1 2 1" + b"9" * 5000)
def test_any_bytes_are_read_or_refused_in_a_line(tmp_path, raw):
    path = write(tmp_path / "v.txt", raw)
    vectors, said = None, ""
    try:
        vectors = read_word_vectors(path, TOKENS, 3)
    except RnncliError as error:
        said = str(error)
    assert "\n" not in said
    assert (vectors is None) == bool(said)
    if vectors is not None:
        assert np.isfinite(vectors.values).all()
        assert vectors.values.shape == (len(vectors.ids), 3)
