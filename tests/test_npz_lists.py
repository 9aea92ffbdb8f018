import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnncli.data import npz_lists
from rnncli.data.npz_lists import read_integer_lists, read_integers
from rnncli.errors import DataError

ROWS = [[1, 2, 300], [], [70_000]]


def objects(items):
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        array[i] = item
    return array


def npy(descr, shape, contents, version=(1, 0)):
    """A .npy file whose header may claim anything."""
    out = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    write = np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0
    write(out, header)
    return out.getvalue() + contents


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(f"{name}.npy", data)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npz"


def refusal(function, path, name="x"):
    with pytest.raises(DataError) as caught:
        function(path, name)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves(path, save):
    save(path, x=objects(ROWS), y=np.array([1, 0, 1]))
    assert [row.tolist() for row in read_integer_lists(path, "x")] == ROWS
    found = read_integers(path, "y")
    assert found.tolist() == [1, 0, 1]
    assert found.dtype == np.int64


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("dtype", ["<i8", ">i4", "|u1"])
def test_both_header_versions_and_all_integers(path, version, dtype):
    archive(
        path,
        x=npy("|O", (3,), pickle.dumps(objects(ROWS), 2), version),
        y=npy(dtype, (2,), np.array([0, 7], dtype).tobytes(), version),
    )
    assert [row.tolist() for row in read_integer_lists(path, "x")] == ROWS
    assert read_integers(path, "y").tolist() == [0, 7]


def test_a_header_that_python_2_wrote(path):
    text = b"{'descr': '|O', 'fortran_order': False, 'shape': (3L,), }\n"
    raw = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + pickle.dumps(objects(ROWS), 2)
    assert len(read_integer_lists(archive(path, x=raw), "x")) == 3


class Call:
    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [read_integer_lists, read_integers])
def test_a_program_is_not_run(path, tmp_path, function):
    ran = tmp_path / "ran"
    np.savez(path, x=objects([[1], Call(os.mkdir, str(ran))]))
    assert refusal(function, path).startswith(":x: ")
    assert not ran.exists()
    np.load(path, allow_pickle=True)["x"]  # the same file does run where it is unpickled
    assert ran.exists()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.arange(3), "is an array of int64, not of lists"),
        (np.array("abc"), "is an array of <U3, not of lists"),
        (np.array([[[1], [1, 2]]], object), "has shape (1, 2) and dtype object, expected one dimension of lists"),
        (np.array(None, object), "has shape () and dtype object, expected one dimension of lists"),
        (np.array([(1, None)], [("a", int), ("b", object)]), "has shape (1,) and dtype [('a', '<i8'), ('b', 'O')]"),
    ],
)
def test_arrays_that_are_not_lists(path, array, said):
    np.savez(path, x=array)
    assert refusal(read_integer_lists, path).startswith(f":x: {said}")


@pytest.mark.parametrize("array", [objects(ROWS), np.ones(3), np.ones((2, 2), int), np.array(1), np.array(["a"])])
def test_arrays_that_are_not_integers(path, array):
    np.savez(path, x=array)
    assert refusal(read_integers, path).startswith(":x: has shape ")


@pytest.mark.parametrize("shape", [(2,), (4,), (2**62,), (2**80,), (-1,), (0,)])
def test_sizes_that_are_lies(path, shape):
    archive(path, x=npy("|O", shape, pickle.dumps(objects(ROWS), 4)), y=npy("<i8", shape, np.arange(3).tobytes()))
    for function, name in ((read_integer_lists, "x"), (read_integers, "y")):
        assert "claim" in refusal(function, path, name)


def test_more_lists_than_allowed(path, monkeypatch):
    monkeypatch.setattr(npz_lists, "MAX_LISTS", 2)
    np.savez(path, x=objects(ROWS))
    assert refusal(read_integer_lists, path).startswith(":x: claims 3 lists, more than")


def test_an_array_that_unpacks_to_more_than_allowed(path, monkeypatch):
    np.savez_compressed(path, x=np.zeros(10_000, int))
    assert len(read_integers(path, "x")) == 10_000
    monkeypatch.setattr(npz_lists, "MAX_MEMBER_BYTES", 2**16)
    assert refusal(read_integers, path).startswith(":x: is larger than ")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x03\x00" + b"\0" * 20,
        b"\x93NUMPY\x01\x00\x76\x00{'descr': ",
        b"\x93NUMPY\x01\x00\x05\x00[1,2]",
        b"\x93NUMPY\x01\x00\x10\x00" + b"(" * 16,
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        b"\x93NUMPY\x01\x00\x50\xc3" + b"(" * 50_000,
        npy("|O", (3,), b"").replace(b"(3,)", b"'3,'"),
        npy("|O", (3,), b"").replace(b"|O", b"zz"),
        b"not a numpy file",
    ],
)
def test_headers_that_cannot_be_read(path, raw):
    archive(path, x=raw)
    for function in (read_integer_lists, read_integers):
        assert refusal(function, path).startswith(":x: has no readable .npy header")


def test_arrays_that_are_not_there(path):
    np.savez(path, a=np.arange(2), b=np.arange(2))
    assert refusal(read_integers, path) == ": there is no array 'x' (there is 'a', 'b')"


def test_files_that_are_no_archives(tmp_path, path):
    assert ": there is no such file" in refusal(read_integers, path)
    assert ": is a folder" in refusal(read_integers, tmp_path)
    for data in (b"", b"PK\x03\x04", b"text", npy("<i8", (1,), b"\0" * 8)):
        path.write_bytes(data)
        assert refusal(read_integers, path).startswith(": is not a whole .npz file (")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_archives_give_lists_or_a_data_error(path, save, data):
    save(path, x=objects(ROWS), y=np.arange(3))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))])
    for function, name in ((read_integer_lists, "x"), (read_integers, "y")):
        try:
            found = function(path, name)
        except DataError:
            continue
        assert len(found) == 3
