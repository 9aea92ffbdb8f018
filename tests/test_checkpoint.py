import errno
import json
import os
import pickle
import resource
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import load_file, save_file

from rnncli import checkpoint
from rnncli.checkpoint import load_checkpoint, save_checkpoint
from rnncli.errors import CheckpointError, shown_on_one_line

METADATA = {"config": {"name": "x", "lr": 1e-08}, "labels": ["ne\u0301g", "p\u00f6s\n"], "best": None, "step": 2**70}
VOCABULARY = ["<unk>", "film", "", "new\nline", "\u00e9t\u00e9", "\U0001f600", "nul\0"]


def tensors():
    return {
        "embedding.W": np.arange(6, dtype=np.float32).reshape(3, 2),
        "adam/step": np.array(7, dtype=np.int64),
        "empty": np.zeros((0, 4), dtype=np.float64),
        "mask": np.array([True, False]),
    }


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "best.safetensors"
    save_checkpoint(path, tensors(), METADATA, VOCABULARY)
    return path


def refused(path):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(shown_on_one_line(str(path))), text
    assert "\n" not in text
    assert caught.value.exit_code == 1
    return text


def test_all_comes_back(saved):
    loaded = load_checkpoint(saved)
    assert loaded.metadata == METADATA
    assert loaded.vocabulary == tuple(VOCABULARY)
    assert loaded.tensors.keys() == tensors().keys()
    for name, expected in tensors().items():
        got = loaded.tensors[name]
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(got, expected)
        assert got.flags.writeable
    assert os.listdir(saved.parent) == [saved.name]


def test_it_is_one_ordinary_safetensors_file(saved):
    np.testing.assert_array_equal(load_file(saved)["embedding.W"], tensors()["embedding.W"])


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,4})?", fullmatch=True),
        arrays_of.arrays(
            st.sampled_from([np.float32, np.float64, np.float16, np.int32, np.int64, np.uint8, np.bool_]),
            arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
        ),
        max_size=4,
    ),
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        ),
        max_size=4,
    ),
    st.lists(st.text(), max_size=8),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_anything_storable_comes_back(tmp_path, arrays, metadata, vocabulary):
    path = tmp_path / "any.safetensors"
    digest = save_checkpoint(path, arrays, metadata, vocabulary)
    loaded = load_checkpoint(path)
    assert (loaded.metadata, loaded.vocabulary, loaded.digest) == (metadata, tuple(vocabulary), digest)
    for name, expected in arrays.items():
        assert loaded.tensors[name].dtype == expected.dtype
        np.testing.assert_array_equal(loaded.tensors[name], expected)


def test_equal_contents_give_equal_bytes_whatever_the_order(tmp_path, saved):
    other = tmp_path / "other.safetensors"
    save_checkpoint(other, dict(reversed(tensors().items())), dict(reversed(METADATA.items())), VOCABULARY)
    assert other.read_bytes() == saved.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda given: given[0].update({"embedding.W": tensors()["embedding.W"].reshape(2, 3)}),
        lambda given: given[0].update({"embedding.W": tensors()["embedding.W"].view(np.int32)}),
        lambda given: given[0].update({"embedding.V": given[0].pop("embedding.W")}),
        lambda given: given[1].update({"step": 1}),
        lambda given: given[2].append("more"),
        lambda given: given[2].reverse(),
    ],
)
def test_the_digest_covers_names_types_shapes_metadata_and_vocabulary(tmp_path, saved, change):
    given = (tensors(), dict(METADATA), list(VOCABULARY))
    change(given)
    assert save_checkpoint(tmp_path / "other", *given) != load_checkpoint(saved).digest


def test_views_and_big_endian_arrays_are_stored_by_value(tmp_path):
    path = tmp_path / "c"
    plain = np.arange(12, dtype=np.float64).reshape(3, 4)
    save_checkpoint(path, {"t": plain.T, "s": plain[:, ::2], "b": plain.astype(">f8")}, {})
    loaded = load_checkpoint(path).tensors
    np.testing.assert_array_equal(loaded["t"], plain.T)
    np.testing.assert_array_equal(loaded["s"], plain[:, ::2])
    np.testing.assert_array_equal(loaded["b"], plain)


def test_a_long_vocabulary_stays_out_of_the_header(tmp_path):
    path = tmp_path / "c"
    vocabulary = [f"token{number}" for number in range(50_000)]
    save_checkpoint(path, {}, {}, vocabulary)
    assert int.from_bytes(path.read_bytes()[:8], "little") < 1000
    assert load_checkpoint(path).vocabulary == tuple(vocabulary)


# ---- damage ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, {"w": np.ones(2, dtype=np.float32)}, {"lr": 1e-08, "e": "\x1f\u00e9"}, ["<unk>"])
    return path


@pytest.fixture
def small_bytes(small):
    return small.read_bytes()


def test_every_changed_bit_is_noticed(small):
    raw = bytearray(small.read_bytes())
    whole = load_checkpoint(small)
    for index in range(len(raw)):
        for bit in range(8):
            raw[index] ^= 1 << bit
            small.write_bytes(raw)
            refused(small)
            raw[index] ^= 1 << bit
    small.write_bytes(raw)
    assert load_checkpoint(small).digest == whole.digest


def test_no_other_white_space_or_case_passes_for_a_header_byte(small):
    raw = bytearray(small.read_bytes())
    padding = 8 + int.from_bytes(raw[:8], "little") - 1
    assert raw[padding] == ord(" "), "the padding is to be part of what is tried"
    for index in range(8, padding + 1):
        kept = raw[index]
        for other in b"\t\n/":
            raw[index] = other
            small.write_bytes(raw)
            refused(small)
        raw[index] = kept


def test_every_cut_is_noticed(small):
    raw = small.read_bytes()
    for length in range(len(raw)):
        small.write_bytes(raw[:length])
        refused(small)


@given(st.binary(max_size=64), st.integers(0, 10**9))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_put_anywhere_are_noticed(small_bytes, tmp_path, extra, place):
    raw, saved = small_bytes, tmp_path / "changed"
    place %= len(raw) + 1
    changed = raw[:place] + extra + raw[place:]
    saved.write_bytes(changed)
    if changed != raw:
        refused(saved)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: (60).to_bytes(8, "little") + b"{" + tail))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_refused(tmp_path, raw):
    path = tmp_path / "c"
    path.write_bytes(raw)
    refused(path)


def with_header(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"__metadata__": {}},
        {"__metadata__": None},
        {"__metadata__": {"rnncli": ""}},
        {"__metadata__": {"rnncli": "[]"}},
        {"__metadata__": {"rnncli": "[" * 5000}},
        {"__metadata__": {"rnncli": '{"format":1,"digest":1,"metadata":NaN}'}},
        {"__metadata__": {"rnncli": '{"format":1,"digest":"","metadata":[]}'}},
        {"a": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 0]}, "__metadata__": {"rnncli": "{}"}},
        b"{" + b"[" * 10000 + b"}",
        b'{"\xff":1}',
    ],
)
def test_strange_headers_are_refused(tmp_path, header):
    path = tmp_path / "c"
    with_header(path, header)
    refused(path)


def test_a_lie_about_the_size_costs_no_memory(tmp_path):
    path = tmp_path / "c"
    body = {"digest": "", "format": 1, "metadata": {}}
    text = json.dumps(body, separators=(",", ":"))
    tensor = {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}
    with_header(path, {"__metadata__": {"rnncli": text}, "a": tensor})
    refused(path)
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    refused(path)


def test_another_format_version_says_which(saved, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT_VERSION", 2)
    save_checkpoint(saved, tensors(), METADATA)
    monkeypatch.undo()
    assert "format 2; this rnncli reads 1" in refused(saved)


def test_a_safetensors_file_of_another_program_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"w": np.zeros(3)}, path)
    assert "not of rnncli" in refused(path)


def test_a_pickle_is_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(Trap()))
    assert "is a pickle, which is never opened" in refused(path)
    path.write_bytes(b"PK\x03\x04 and so on")
    assert "zip archive" in refused(path)
    assert not (tmp_path / "sprung").exists()


def test_missing_folder_empty_and_unnameable(tmp_path):
    assert "no such file" in refused(tmp_path / "none.safetensors")
    assert "is a folder" in refused(tmp_path)
    (tmp_path / "empty").touch()
    assert "is empty" in refused(tmp_path / "empty")
    refused(tmp_path / "nul\0byte")
    refused(tmp_path / ("long" * 100))


def test_a_vocabulary_that_does_not_fit_its_offsets_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "c"
    for joined, offsets in [(b"ab", [0, 3]), (b"ab", [1, 2]), (b"ab", [0, 2, 1, 2]), (b"\xff", [0, 1]), (b"", [])]:
        packed = {
            "vocabulary.bytes": np.frombuffer(joined, dtype=np.uint8),
            "vocabulary.offsets": np.array(offsets, dtype=np.int64),
        }
        monkeypatch.setattr(checkpoint, "_pack_vocabulary", lambda *_, packed=packed: packed)
        save_checkpoint(path, {}, {})
        assert "vocabulary" in refused(path)


# ---- what cannot be stored ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "metadata", "vocabulary"),
    [
        ({}, {"loss": float("nan")}, []),
        ({}, {"loss": [float("inf")]}, []),
        ({}, {"x": np.float32(1)}, []),
        ({}, {"x": {1, 2}}, []),
        ({}, {"x": 1, 2: 3}, []),
        ({"o": np.array([{}], dtype=object)}, {}, []),
        ({"c": np.zeros(1, dtype=complex)}, {}, []),
        ({"s": np.array(["text"])}, {}, []),
        ({"vocabulary.bytes": np.zeros(1)}, {}, []),
        ({"__metadata__": np.zeros(1, dtype=complex)}, {}, []),
        ({"new\nline": np.zeros(1)}, {}, []),
        ({"": np.zeros(1)}, {}, []),
        ({}, {}, ["\ud800"]),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(saved, arrays, metadata, vocabulary):
    before = saved.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        save_checkpoint(saved, arrays, metadata, vocabulary)
    assert "\n" not in str(caught.value)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_metadata_too_large_for_a_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_METADATA_BYTES", 1000)
    with pytest.raises(CheckpointError, match="larger than 1000 bytes"):
        save_checkpoint(tmp_path / "c", {}, {"history": list(range(1000))})


# ---- writing that fails ---------------------------------------------------------------------------------------------


def unchanged_after(saved, attempt, message):
    before = saved.read_bytes()
    with pytest.raises(CheckpointError, match=message) as caught:
        attempt()
    assert str(caught.value).startswith(str(saved))
    assert "\n" not in str(caught.value)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


@contextmanager
def files_limited_to(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_stops_half_way_leaves_the_earlier_file(saved):
    def attempt():
        with files_limited_to(100_000):
            save_checkpoint(saved, {"w": np.zeros(100_000)}, {})

    unchanged_after(saved, attempt, "cannot be written")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_file(saved, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.os, call, full)
    unchanged_after(saved, lambda: save_checkpoint(saved, {}, {}), "No space left on device")


def test_an_interruption_leaves_the_earlier_file_and_goes_on_up(saved, monkeypatch):
    before = saved.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(saved, {}, {})
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]


def test_a_folder_that_refuses_new_files(saved, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(checkpoint.Path, "open", forbidden)
    with pytest.raises(CheckpointError, match="Permission denied"):
        save_checkpoint(saved, {}, {})
    monkeypatch.undo()
    assert load_checkpoint(saved).metadata == METADATA


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written(saved):
    saved.parent.chmod(0o500)
    try:
        unchanged_after(saved, lambda: save_checkpoint(saved, {}, {}), "Permission denied")
    finally:
        saved.parent.chmod(0o700)


def test_no_folder_and_a_folder_in_the_way(tmp_path):
    with pytest.raises(CheckpointError, match="No such file or directory"):
        save_checkpoint(tmp_path / "none" / "c", {}, {})
    (tmp_path / "c").mkdir()
    with pytest.raises(CheckpointError, match="directory"):
        save_checkpoint(tmp_path / "c", {}, {})
    assert os.listdir(tmp_path) == ["c"]


def test_the_new_bytes_are_on_the_disk_before_the_name(saved, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(checkpoint.os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(checkpoint.os, "replace", lambda a, b: (order.append("replace"), replace(a, b)))
    save_checkpoint(saved, {}, {})
    assert order == ["fsync", "replace", "fsync"]
