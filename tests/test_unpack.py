"""Archives that are hostile, damaged or just right."""

import gzip
import io
import os
import random
import resource
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnncli.data.unpack import unpack_file, unpack_folder
from rnncli.errors import DataError

KEEP = r"set/(?P<path>(?:README|pos/.*\.txt|neg/.*\.txt))"
LIMITS = {"max_bytes": 1_000_000, "max_members": 50}
GOOD = {"set/README": b"read me", "set/pos/1_9.txt": b"good \xc3\xa9", "set/neg/2_1.txt": b"", "set/urls.txt": b"http"}


def entry(name, data=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, data


def tar_of(path, entries, format=tarfile.GNU_FORMAT):
    with tarfile.open(path, "w:gz", format=format) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return path


def zip_of(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for info, data in entries:
            packed.writestr(info, data)
    return path


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder / "set.tar.gz"


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "set"


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, target, match, **limits):
    with pytest.raises(DataError, match=match) as caught:
        unpack_folder(archive, target, KEEP, **{**LIMITS, **limits})
    text = str(caught.value)
    assert "\n" not in text
    assert str(archive) in text
    assert "Nothing was unpacked" in text
    assert os.listdir(target.parent) == []
    return text


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_gives_the_wanted_files(archive, target, format):
    long = "set/pos/" + "x" * 200 + ".txt"
    files = GOOD if format == tarfile.USTAR_FORMAT else {**GOOD, long: b"long name"}
    folders = [entry("set/", type=tarfile.DIRTYPE), entry("set/pos", type=tarfile.DIRTYPE)]
    tar_of(archive, folders + [entry(name, data) for name, data in files.items()], format)
    wanted = {name.removeprefix("set/"): data for name, data in files.items() if name != "set/urls.txt"}
    unpack_folder(archive, target, KEEP, **LIMITS)
    assert contents(target) == wanted
    assert os.listdir(target.parent) == ["set"]


def test_a_zip_gives_the_wanted_files(archive, target):
    zip_of(archive, [("set/", b""), *GOOD.items()])
    unpack_folder(archive, target, KEEP, **LIMITS)
    assert sorted(contents(target)) == ["README", "neg/2_1.txt", "pos/1_9.txt"]


def test_a_leading_dot_and_sizes_around_a_block(archive, target):
    files = {f"./set/pos/{size}.txt": b"z" * size for size in (0, 1, 511, 512, 513, 1024, 300_000)}
    tar_of(archive, [entry(".", type=tarfile.DIRTYPE)] + [entry(name, data) for name, data in files.items()])
    unpack_folder(archive, target, r"\./set/(?P<path>.*)", **LIMITS)
    assert contents(target) == {name.removeprefix("./set/"): data for name, data in files.items()}


def test_modes_and_owners_of_the_archive_are_not_taken_over(archive, target):
    tar_of(archive, [entry("set/pos/a.txt", b"a", mode=0o4777, uid=12345, gid=12345)])
    unpack_folder(archive, target, KEEP, **LIMITS)
    status = (target / "pos" / "a.txt").stat()
    assert status.st_uid == os.getuid()
    assert not status.st_mode & (stat.S_ISUID | stat.S_IXUSR | stat.S_IWOTH)


ELSEWHERE = [
    "/set/pos/a.txt",
    "//set/pos/a.txt",
    "../set/pos/a.txt",
    "set/../../pos/a.txt",
    "set/pos/..",
    "set/pos/..\\a.txt",
    "C:/set/pos/a.txt",
    "set/pos/a.txt:stream",
    "set/pos/a\nb.txt",
    "set/pos/\x1b[2Ja.txt",
    "set/pos/" + "d/" * 600 + "a.txt",
]


@pytest.mark.parametrize("name", [*ELSEWHERE, "set/pos/\udcff.txt", "."])
def test_names_that_lead_out_of_a_tar(archive, target, name):
    tar_of(archive, [entry("set/pos/good.txt", b"good"), entry(name, b"evil")])
    assert refused(archive, target, "has a name that is not allowed").isascii()


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_lead_out_of_a_zip(archive, target, name):
    zip_of(archive, [("set/pos/good.txt", b"good"), (name, b"evil")])
    assert refused(archive, target, "has a name that is not allowed").isascii()


@pytest.mark.parametrize("name", ["set/pos/aXb.txt", "Xset/pos/a.txt"])
def test_a_nul_in_a_zip_name_is_seen(archive, target, name):
    zip_of(archive, [(name, b"evil")])
    archive.write_bytes(archive.read_bytes().replace(name.encode(), name.replace("X", "\0").encode()))
    refused(archive, target, r"\\x00.* has a name that is not allowed")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "link"),
        ({"type": tarfile.LNKTYPE, "linkname": "set/README"}, "link"),
        ({"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, "device"),
        ({"type": tarfile.BLKTYPE}, "device"),
        ({"type": tarfile.FIFOTYPE}, "device"),
    ],
)
@pytest.mark.parametrize("name", ["set/pos/a.txt", "set/unwanted"])
def test_links_and_devices_in_a_tar(archive, target, attributes, kind, name):
    tar_of(archive, [entry("set/README", b"x"), entry(name, **attributes)])
    refused(archive, target, f"is a {kind}")


@pytest.mark.parametrize(("mode", "kind"), [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "device")])
def test_links_and_devices_in_a_zip(archive, target, mode, kind):
    info = zipfile.ZipInfo("set/pos/a.txt")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    zip_of(archive, [(info, b"/etc/passwd")])
    refused(archive, target, f"is a {kind}")


def test_a_sparse_file(archive, target):
    pax = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": "5",
        "GNU.sparse.name": "set/README",
    }
    tar_of(
        archive, [entry("set/README", b"1\n0\n5\n".ljust(512, b"\0") + b"hello", pax_headers=pax)], tarfile.PAX_FORMAT
    )
    refused(archive, target, "is a sparse file")


def test_an_encrypted_zip(archive, target):
    zip_of(archive, [("set/pos/a.txt", b"secret")])
    raw = bytearray(archive.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(magic) + offset] |= 1
    archive.write_bytes(raw)
    refused(archive, target, "is an encrypted file")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("set/pos/a.txt", "set/pos/a.txt"),
        ("set/pos/a.txt", "set/pos/A.txt"),
        ("set/pos/a.txt", "set/Pos/b.txt"),
        ("set/pos/\u00e9.txt", "set/pos/e\u0301.txt"),
        ("set/pos/stra\u00dfe.txt", "set/pos/STRASSE.txt"),
        ("set/pos/a.txt", "set/./pos//a.txt"),
        ("set/pos/a.txt", "set/pos/a.txt/b.txt"),
        ("set/pos/a.txt/b.txt", "set/pos/a.txt"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_names_that_collide(archive, target, first, second, make):
    make(archive, [(name, b"x") if make is zip_of else entry(name, b"x") for name in (first, second)])
    refused(archive, target, "collides with")


def test_two_members_that_become_one_file(archive, target):
    tar_of(archive, [entry("a/x.txt", b"1"), entry("b/x.txt", b"2")])
    with pytest.raises(DataError, match="File exists"):
        unpack_folder(archive, target, r"[ab]/(?P<path>.*)", **LIMITS)
    assert os.listdir(target.parent) == []


@pytest.mark.parametrize("name", ["set/pos/zeros.txt", "set/unwanted"])
def test_a_bomb_in_a_tar(archive, target, name):
    tar_of(archive, [entry("set/README", b"x"), entry(name, bytes(30_000_000))])
    assert archive.stat().st_size < 100_000
    refused(archive, target, "more than 1,000,000 bytes when unpacked")


def test_many_files_that_are_too_much_together(archive, target):
    tar_of(archive, [entry(f"set/pos/{i}.txt", bytes(200_000)) for i in range(8)])
    refused(archive, target, "more than 1,000,000 bytes when unpacked")


def test_zeros_behind_the_end_are_counted(archive, target):
    tar_of(archive, [entry("set/README", b"x")])
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(30_000_000)))
    refused(archive, target, "more than 1,000,000 bytes when unpacked")


@pytest.mark.parametrize("name", ["set/pos/zeros.txt", "set/unwanted"])
def test_a_bomb_in_a_zip(archive, target, name):
    zip_of(archive, [("set/README", b"x"), (name, bytes(30_000_000))])
    refused(archive, target, "more than 1,000,000 bytes when unpacked")


def test_a_zip_that_lies_about_a_size(archive, target):
    zip_of(archive, [("set/pos/zeros.txt", bytes(30_000_000))])
    true, lie = (30_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(true, lie))
    refused(archive, target, "damaged archive")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_too_many_members(archive, target, make):
    names = [f"set/unwanted{i}" for i in range(51)]
    make(archive, [(name, b"") if make is zip_of else entry(name) for name in names])
    refused(archive, target, "more than 50 members")


def test_a_long_name_that_would_fill_the_memory(archive, target):
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**33
    archive.write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(10_000_000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(archive, target, "a header of 8,589,934,592 bytes", max_bytes=2**40)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_negative_size(archive, target):
    raw = bytearray(entry("set/pos/a.txt", b"")[0].tobuf(tarfile.GNU_FORMAT))
    raw[124:136] = b"\xff" * 10 + b"\xf8\x00"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    archive.write_bytes(gzip.compress(bytes(raw) + bytes(1024)))
    refused(archive, target, "negative size")


def test_a_damaged_header_is_not_the_end(archive, target):
    tar_of(archive, [entry("set/README", b"x"), entry("set/pos/a.txt", b"y")])
    raw = bytearray(gzip.decompress(archive.read_bytes()))
    raw[1024] ^= 1
    archive.write_bytes(gzip.compress(raw))
    refused(archive, target, "damaged archive")


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_truncated_anywhere(archive, target, make):
    make(archive, [item if make is zip_of else entry(*item) for item in GOOD.items()])
    whole = archive.read_bytes()
    for length in range(0, len(whole), 3):
        archive.write_bytes(whole[:length])
        refused(archive, target, "archive|neither|wanted")


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b", b"<html>no</html>", b"PK\x05\x06", b"BZh9", gzip.compress(b"text")])
def test_no_archive_at_all(archive, target, data):
    archive.write_bytes(data)
    refused(archive, target, "archive|neither|wanted")


def test_no_wanted_file_in_it(archive, target):
    tar_of(archive, [entry("set/unwanted", b"x")])
    refused(archive, target, "none of the files that are wanted")


def test_a_missing_archive(archive, target):
    with pytest.raises(DataError, match="No such file"):
        unpack_folder(archive, target, KEEP, **LIMITS)
    assert os.listdir(target.parent) == []


def test_an_existing_folder_is_kept(archive, target):
    tar_of(archive, [entry("set/README", b"new")])
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(DataError, match="exists already"):
        unpack_folder(archive, target, KEEP, **LIMITS)
    assert contents(target) == {"mine": b"mine"}


def test_what_a_killed_process_left_is_cleared(archive, target):
    tar_of(archive, [entry("set/README", b"new")])
    left = target.parent / ".set.unpacking"
    left.mkdir()
    (left / "half").write_text("half")
    unpack_folder(archive, target, KEEP, **LIMITS)
    assert contents(target) == {"README": b"new"}
    assert os.listdir(target.parent) == ["set"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_unpacking_leaves_nothing(archive, target, monkeypatch, error):
    tar_of(archive, [entry("set/README", b"x"), entry("set/pos/a.txt", b"y")])

    def interrupt(*_, **__):
        assert contents(target.parent)  # the first file is there by now
        raise error

    monkeypatch.setattr("rnncli.data.unpack.os.makedirs", interrupt)
    with pytest.raises(error):
        unpack_folder(archive, target, KEEP, **LIMITS)
    assert os.listdir(target.parent) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk(archive, target):
    tar_of(archive, [entry("set/pos/a.txt", random.Random(1).randbytes(500_000))])
    program = (
        "import resource, sys; from pathlib import Path; from rnncli.data.unpack import unpack_folder\n"
        "from rnncli.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: unpack_folder(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], max_bytes=10**6, max_members=9)\n"
        "except DataError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, archive, target, KEEP], capture_output=True, text=True, check=True
    )
    assert "cannot be unpacked: File too large" in done.stdout
    assert "Free some space" in done.stdout
    assert os.listdir(target.parent) == []


def test_one_file_replaces_an_earlier_one_only_when_it_is_whole(archive, target):
    zip_of(archive, [("a/b.txt", b"new"), ("other", b"")])
    target.write_bytes(b"old")
    whole = archive.read_bytes()
    checksum = zlib.crc32(b"new").to_bytes(4, "little")
    archive.write_bytes(whole.replace(checksum, bytes(4)))
    with pytest.raises(DataError, match="damaged"):
        unpack_file(archive, "a/b.txt", target, **LIMITS)
    assert target.read_bytes() == b"old"
    archive.write_bytes(whole)
    unpack_file(archive, "a/b.txt", target, **LIMITS)
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["set"]


def test_one_file_that_is_not_in_it(archive, target):
    zip_of(archive, [("a/b.txt", b"new")])
    with pytest.raises(DataError, match="none of the files that are wanted"):
        unpack_file(archive, "a/c.txt", target, **LIMITS)


def make_bytes(make, tmp):
    path = tmp / "original"
    make(path, [item if make is zip_of else entry(*item) for item in GOOD.items()])
    return path.read_bytes()


def only_refuses(archive: Path, target: Path) -> None:
    """Unpack: either it works and stays inside the target, or it is a DataError; nothing else is left."""
    try:
        unpack_folder(archive, target, KEEP, **LIMITS)
    except DataError:
        assert os.listdir(target.parent) == []
    else:
        assert os.listdir(target.parent) == ["set"]
        for path in target.rglob("*"):
            assert path.is_dir() or path.is_file()
            path.is_dir() or path.unlink()
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir()
        target.rmdir()


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FLIPS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6)


@FUZZ
@given(flips=FLIPS, make=st.sampled_from([tar_of, zip_of]))
def test_changed_bytes_only_refuse(archive, target, flips, make):
    raw = bytearray(make_bytes(make, archive.parent))
    for position, value in flips:
        raw[position % len(raw)] = value
    archive.write_bytes(raw)
    only_refuses(archive, target)


@FUZZ
@given(flips=FLIPS, zeros=st.booleans())
def test_changed_bytes_inside_the_compression_only_refuse(archive, target, flips, zeros):
    path = archive.parent / "original"
    long = entry("set/pos/" + "y" * 150 + ".txt", b"z", pax_headers={"comment": "c" * 30})
    tar_of(path, [*(entry(*item) for item in GOOD.items()), long], tarfile.PAX_FORMAT if zeros else tarfile.GNU_FORMAT)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    used = [at for at, byte in enumerate(raw) if byte]
    for position, value in flips:
        raw[used[position % len(used)]] = value
    # With the header's checksum made good again, tarfile believes what the fields say.
    for start in range(0, len(raw) - 511, 512):
        block = raw[start : start + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            raw[start + 148 : start + 156] = b"%06o\0 " % sum(block)
    archive.write_bytes(gzip.compress(raw, compresslevel=1))
    only_refuses(archive, target)


@FUZZ
@given(data=st.binary(max_size=2000), magic=st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\0"]))
def test_arbitrary_bytes_only_refuse(archive, target, data, magic):
    archive.write_bytes(magic + data)
    only_refuses(archive, target)
