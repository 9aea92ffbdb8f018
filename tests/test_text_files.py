import bz2
import gzip
import lzma
import os
import subprocess
import sys
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnncli.data import compressed_files, text_files
from rnncli.data.compressed_files import file_error, open_bytes
from rnncli.data.text_files import any_lines, decode_file, read_lines, read_text
from rnncli.errors import DataError

TEXT = "héllo wörld\nsecond line\r\nthe last has no end"
COMPRESSORS = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


def texts(path):
    lines = list(read_lines(path))
    assert all(line.problem is None for line in lines)
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
    return [line.text for line in lines]


def write(folder, name, data):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


@pytest.mark.parametrize("kind", [None, *COMPRESSORS])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_lines_are_those_of_the_text_inside(tmp_path, kind, named, bom):
    data = bom + TEXT.encode()
    path = write(tmp_path, f"a.{kind}" if kind and named else "a.txt", COMPRESSORS[kind](data) if kind else data)
    assert texts(path) == ["héllo wörld\n", "second line\r\n", "the last has no end"]
    assert read_text(path, 1000) == TEXT


def test_joined_gzip_members_are_one_text(tmp_path):
    assert texts(write(tmp_path, "a.gz", gzip.compress(b"a\n") + gzip.compress(b"b\n"))) == ["a\n", "b\n"]


def test_a_text_that_begins_like_bzip2_is_a_text(tmp_path):
    assert texts(write(tmp_path, "a.txt", "BZh9 is not bzip2\n")) == ["BZh9 is not bzip2\n"]


def test_only_line_feeds_end_lines(tmp_path):
    odd = "a\u2028b\x0bc\x85d\re\n"
    assert texts(write(tmp_path, "a.txt", odd)) == [odd]


def test_a_mark_inside_the_text_stays(tmp_path):
    assert texts(write(tmp_path, "a.txt", "a\n\ufeffb\n")) == ["a\n", "\ufeffb\n"]


@pytest.mark.parametrize("kind", [None, "gz"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_invalid_utf8_names_line_byte_and_offset_and_reading_goes_on(tmp_path, kind, bom):
    data = bom + "é\nab".encode() + b"\x96cd\nok\n"
    path = write(tmp_path, "a", COMPRESSORS[kind](data) if kind else data)
    first, bad, last = read_lines(path)
    offset = len(bom) + 5
    assert data[offset] == 0x96
    assert str(bad.problem).startswith(f"{path}:2: byte 0x96 at offset {offset} (byte 3 of the line) is not valid UTF")
    assert bad.text == "ab\N{REPLACEMENT CHARACTER}cd\n"
    assert (first.problem, last.problem, last.text) == (None, None, "ok\n")


def test_a_nul_names_line_and_offset(tmp_path):
    path = write(tmp_path, "a", "one\nt\0wo\n")
    bad = list(read_lines(path))[1]
    assert str(bad.problem).startswith(f"{path}:2: NUL byte at offset 5 (byte 2 of the line)")
    assert "\0" not in bad.text


@pytest.mark.parametrize(("data", "said"), [(b"ab\ncd\xff", ":2: byte 0xff at offset 5"), (b"a\n\n\0", ":3: NUL byte")])
def test_a_whole_file_names_line_and_offset_too(data, said):
    with pytest.raises(DataError) as caught:
        decode_file(data, "x.txt")
    assert f"x.txt{said}" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf16_is_named(tmp_path, encoding):
    bom = b"\xfe\xff" if encoding == "utf-16-be" else b""
    with pytest.raises(DataError, match=r"is UTF-16 text.*iconv"):
        list(read_lines(write(tmp_path, "a.csv", bom + "text,label\n".encode(encoding))))


def test_a_zip_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as archive:
        archive.writestr("a", "text,label\n")
    with pytest.raises(DataError, match="is a zip archive"):
        list(read_lines(tmp_path / "a.csv"))


@pytest.mark.parametrize("data", [b"", gzip.compress(b""), bz2.compress(b""), lzma.compress(b"")])
def test_empty_files_are_refused(tmp_path, data):
    with pytest.raises(DataError, match="the file is empty"):
        list(read_lines(write(tmp_path, "a", data)))


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_truncated_archives_are_refused_after_what_they_hold(tmp_path, kind):
    data = os.urandom(30_000).hex().encode()
    whole = COMPRESSORS[kind](data)
    for cut in (12, len(whole) // 2, len(whole) - 3):
        path = write(tmp_path, f"a.{kind}", whole[:cut])
        with pytest.raises(DataError, match=r"ends too early|damaged compressed file") as caught:
            list(read_lines(path))
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_damaged_archives_are_refused(tmp_path, kind):
    data = os.urandom(3000).hex().encode()
    damaged = bytearray(COMPRESSORS[kind](data))
    damaged[len(damaged) // 2] ^= 0x55
    with pytest.raises(DataError, match="damaged compressed file"):
        list(read_lines(write(tmp_path, f"a.{kind}", bytes(damaged))))


@pytest.mark.parametrize("kind", COMPRESSORS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_flipped_bytes_give_lines_or_a_data_error(tmp_path, kind, data):
    damaged = bytearray(COMPRESSORS[kind](TEXT.encode() * 3))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        list(read_lines(write(tmp_path, "a", bytes(damaged))))
    except DataError:
        return


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_wrong_suffix_is_refused(tmp_path, suffix):
    with pytest.raises(DataError, match=rf"is named \.{suffix} but does not hold {suffix} data"):
        list(read_lines(write(tmp_path, f"a.{suffix}", "plain")))


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv: there is no such file.*rnncli data get"):
        list(read_lines(tmp_path / "nothing.csv"))


def test_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder where a file is expected"):
        list(read_lines(tmp_path))


def test_a_file_used_as_a_folder(tmp_path):
    write(tmp_path, "a", "x")
    with pytest.raises(DataError, match=r"cannot be read \(Not a directory\)"):
        list(read_lines(tmp_path / "a" / "b"))


def test_device():
    with pytest.raises(DataError, match="not a regular file"):
        list(read_lines(os.devnull))


@pytest.mark.parametrize("path", ["a\0b", "a\ud800b"])
def test_unusable_path(path):
    with pytest.raises(DataError) as caught:
        list(read_lines(path))
    str(caught.value).encode()


def test_permission(tmp_path, monkeypatch):
    path = write(tmp_path, "a", "x")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(compressed_files, "open", refuse, raising=False)
    with pytest.raises(DataError, match=r"may not be read \(permission denied\).*chmod"):
        list(read_lines(path))


def test_other_system_errors_say_what_the_system_said():
    assert str(file_error("a", OSError(5, "Input/output error"))) == "a: cannot be read (Input/output error)"


def test_an_error_of_the_system_while_reading_is_not_called_damage(tmp_path):
    path = write(tmp_path, "a", "x")
    with pytest.raises(DataError, match=r"cannot be read \(Input/output error\)"), open_bytes(path):
        raise OSError(5, "Input/output error")


def test_a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_LINE_BYTES", 2**20)
    assert texts(write(tmp_path, "a", b"a" * (2**20 - 1) + b"\n")) == ["a" * (2**20 - 1) + "\n"]
    with pytest.raises(DataError, match="a:1: the line is longer than 1 MiB"):
        list(read_lines(write(tmp_path, "a", gzip.compress(b"a" * (2**20 + 1)))))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_of_many_lines_is_refused(tmp_path, monkeypatch, pack):
    path = tmp_path / "a.csv"
    path.write_bytes(pack(b"x,y\n" * 50_000))
    assert len(list(read_lines(path))) == 50_000
    monkeypatch.setattr(text_files, "UNPACKED_FREELY", 100_000)
    assert path.stat().st_size * text_files.MAX_RATIO < 190_000
    with pytest.raises(
        DataError, match=r"a\.csv: unpacks to more than 200 times its size\. If that is meant, unpack it"
    ):
        list(read_lines(path))
    path.write_bytes(b"x,y\n" * 50_000)  # not compressed: it is as large as it is
    assert len(list(read_lines(path))) == 50_000


def test_read_text_stops_at_its_limit(tmp_path):
    path = write(tmp_path, "a", "12345")
    assert read_text(path, 5) == "12345"
    with pytest.raises(DataError, match="is larger than the 4 bytes"):
        read_text(path, 4)


def test_the_file_is_closed_when_reading_stops_early(tmp_path):
    lines = any_lines(write(tmp_path, "a", "a\nb\n"))
    next(lines)
    file = lines.gi_frame.f_locals["file"]
    lines.close()
    assert file.closed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    code = "import sys; from rnncli.data.text_files import read_text; read_text(sys.argv[1], 9)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "pipe")], capture_output=True, text=True, timeout=30, check=False
    )
    assert "pipe: cannot be read (not a regular file" in done.stderr
