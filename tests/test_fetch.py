"""Downloads against a server on the loopback interface that breaks in every way servers do."""

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from range_server import serving

from rnncli.data.fetch import fetch
from rnncli.errors import DataError

BODY = random.Random(1).randbytes(300_000)
CHECKSUM = "md5:" + hashlib.md5(BODY).hexdigest()

PROGRAM = (
    "import signal, sys; from pathlib import Path; from rnncli.data.fetch import fetch;"
    "signal.signal(signal.SIGINT, signal.default_int_handler);"  # a background job would ignore it
    "fetch(sys.argv[1], Path(sys.argv[2]), checksum=sys.argv[3], max_bytes=300_000)"
)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "archive.tar.gz"


def get(url, target, **options):
    settings = {"checksum": CHECKSUM, "max_bytes": len(BODY), "pause": 0.0, "timeout": (2.0, 2.0)}
    return fetch(url, target, **{**settings, **options})


def part_of(target):
    return target.with_name(target.name + ".part")


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_downloads_and_leaves_only_the_file(target):
    with serving(BODY) as server:
        assert get(server.url, target) is True
    assert target.read_bytes() == BODY
    assert os.listdir(target.parent) == [target.name]
    assert server.ranges == [None]


def test_asks_nothing_when_the_file_is_there(target):
    target.write_bytes(BODY)
    assert get("http://127.0.0.1:1/", target) is False


def test_a_damaged_file_is_fetched_again(target):
    target.write_bytes(BODY[:-1] + b"?")
    with serving(BODY) as server:
        assert get(server.url, target) is True
    assert target.read_bytes() == BODY


def test_goes_on_in_the_same_call_when_the_connection_breaks(target):
    said = []
    with serving(BODY, cut_after=[100_000, 50_000]) as server:
        get(server.url, target, report=said.append)
    assert target.read_bytes() == BODY
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert any("going on from 100,000 bytes" in line for line in said)


def test_goes_on_in_a_later_call(target):
    with serving(BODY, cut_after=[100_000]) as server:
        with pytest.raises(DataError) as caught:
            get(server.url, target, attempts=1)
        assert "100,000" in one_line(caught)
        assert "Type the command again" in str(caught.value)
        assert part_of(target).read_bytes() == BODY[:100_000]
        assert not target.exists()
        get(server.url, target)
        assert server.ranges == [None, "bytes=100000-"]
    assert target.read_bytes() == BODY
    assert not part_of(target).exists()


def test_takes_a_part_that_is_whole_already(target):
    part_of(target).write_bytes(BODY)
    with serving(BODY) as server:
        get(server.url, target)
    assert target.read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY)}-"]


def test_begins_again_when_the_part_is_longer_than_the_file(target):
    part_of(target).write_bytes(BODY + b"more")
    with serving(BODY) as server:
        get(server.url, target)
    assert target.read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY) + 4}-", None]


def test_begins_again_when_the_server_has_no_ranges(target):
    part_of(target).write_bytes(BODY[:1000])
    said = []
    with serving(BODY, understands_ranges=False) as server:
        get(server.url, target, report=said.append)
    assert target.read_bytes() == BODY
    assert any("begins again" in line for line in said)


def test_begins_again_when_the_server_goes_on_elsewhere(target):
    part_of(target).write_bytes(BODY[:1000])
    with serving(BODY, wrong_start=7) as server:
        get(server.url, target)
    assert target.read_bytes() == BODY
    assert server.ranges == ["bytes=1000-", None]


def test_a_part_of_another_file_is_found_out_and_deleted(target):
    part_of(target).write_bytes(b"x" * 1000)
    with serving(BODY) as server:
        with pytest.raises(DataError, match="known checksum"):
            get(server.url, target)
        assert os.listdir(target.parent) == []
        get(server.url, target)
    assert target.read_bytes() == BODY


def test_wrong_checksum_deletes_what_came_and_says_so(target):
    with serving(b"<html>Sign in to this network</html>") as server, pytest.raises(DataError) as caught:
        get(server.url, target)
    text = one_line(caught)
    assert CHECKSUM in text
    assert "deleted" in text
    assert "Type the command again" in text
    assert os.listdir(target.parent) == []


def test_a_length_that_is_too_long_does_no_harm(target):
    with serving(BODY, claimed_extra=50) as server:
        get(server.url, target, max_bytes=2 * len(BODY))
    assert target.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={len(BODY)}-"]


def test_a_length_that_is_too_long_without_ranges_ends_after_some_attempts(target):
    with (
        serving(BODY, claimed_extra=50, understands_ranges=False) as server,
        pytest.raises(DataError, match="gave up after 3 attempts: the connection broke after 300,000 bytes") as caught,
    ):
        get(server.url, target, max_bytes=2 * len(BODY), attempts=3)
    one_line(caught)
    assert len(server.ranges) == 3


def test_a_file_that_is_too_large_is_refused_by_its_length(target):
    with serving(BODY) as server, pytest.raises(DataError, match="more than the 1,000 bytes"):
        get(server.url, target, max_bytes=1000)
    assert os.listdir(target.parent) == []


def test_a_file_that_is_too_large_is_refused_though_no_length_is_given(target):
    with serving(BODY, chunked=True) as server, pytest.raises(DataError, match="more than the 1,000 bytes"):
        get(server.url, target, max_bytes=1000)
    assert os.listdir(target.parent) == []


def test_no_length_at_all_is_fine(target):
    with serving(BODY, chunked=True) as server:
        get(server.url, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final(target, status):
    with serving(BODY, statuses=[status] * 5) as server, pytest.raises(DataError) as caught:
        get(server.url, target)
    assert f"the server answers {status}" in one_line(caught)
    assert len(server.ranges) == 1


def test_a_busy_server_is_asked_again(target):
    with serving(BODY, statuses=[503, 429]) as server:
        get(server.url, target)
    assert target.read_bytes() == BODY
    assert len(server.ranges) == 3


def test_gives_up_on_a_server_that_stays_busy(target):
    with serving(BODY, statuses=[503] * 9) as server, pytest.raises(DataError, match="503"):
        get(server.url, target)
    assert len(server.ranges) == 4


def test_connection_refused(target):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError) as caught:
        get(f"http://127.0.0.1:{port}/a", target)
    assert f"no connection to 127.0.0.1:{port} (" in one_line(caught)
    assert "refused" in str(caught.value)
    assert "Check the network" in str(caught.value)


def test_a_server_that_never_answers(target):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(DataError, match=r"no answer from .* within 0\.2 seconds"):
            get(f"http://127.0.0.1:{silent.getsockname()[1]}/a", target, timeout=(0.2, 0.2))


def test_a_server_that_hangs_up_without_an_answer(target):
    with socket.socket() as rude:
        rude.bind(("127.0.0.1", 0))
        rude.listen()

        def hang_up():
            for _ in range(2):
                connection, _address = rude.accept()
                connection.recv(1000)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(DataError, match=r"gave up after 2 attempts: .* closed the connection"):
            get(f"http://127.0.0.1:{rude.getsockname()[1]}/a", target, attempts=2)
        thread.join()


def test_a_server_that_stalls_half_way(target):
    with (
        serving(BODY, cut_after=[100_000], stall=threading.Event()) as server,
        pytest.raises(DataError, match="nothing came any more after 98,304 bytes"),
    ):
        get(server.url, target, attempts=1, timeout=(0.3, 0.3))
    assert part_of(target).read_bytes() == BODY[:98_304]


@pytest.mark.parametrize("url", ["http://", "nonsense", "ftp://127.0.0.1/a", "http://[::1/a"])
def test_an_address_that_is_none(target, url):
    with pytest.raises(DataError) as caught:
        get(url, target)
    one_line(caught)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk(target):
    part_of(target).symlink_to("/dev/full")
    with serving(BODY) as server, pytest.raises(DataError) as caught:
        get(server.url, target)
    text = one_line(caught)
    assert os.strerror(errno.ENOSPC) in text
    assert "--dir" in text
    assert not target.exists()


def test_a_folder_that_cannot_be_written(target, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with serving(BODY) as server, pytest.raises(DataError, match="cannot be written"):
        get(server.url, target)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_process_leaves_the_part_and_the_next_goes_on(target, signum):
    with serving(BODY, cut_after=[200_000], stall=threading.Event()) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, server.url, str(target), CHECKSUM], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        # 200,000 bytes are twelve whole pieces of 16 KiB and a rest that waits for more.
        while not (part_of(target).exists() and part_of(target).stat().st_size >= 190_000):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signum)
        process.wait(10)
        have = part_of(target).stat().st_size
        assert os.listdir(target.parent) == [part_of(target).name]
        server.stall.set()
        get(server.url, target)
        assert server.ranges == [None, f"bytes={have}-"]
    assert target.read_bytes() == BODY


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals of POSIX")
def test_a_bar_on_a_terminal_that_begins_where_the_file_does(target):
    import pty
    import select
    import termios

    part_of(target).write_bytes(BODY[:150_000])
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with serving(BODY) as server:
        subprocess.run(
            [sys.executable, "-c", PROGRAM, server.url, str(target), CHECKSUM], stderr=slave, check=True, timeout=30
        )
    assert select.select([master], [], [], 5)[0]
    shown = os.read(master, 100_000).decode()
    os.close(slave)
    os.close(master)
    assert "archive.tar.gz:  50%" in shown


def test_no_bar_when_it_is_no_terminal(target, capfd):
    with serving(BODY) as server:
        get(server.url, target)
    assert capfd.readouterr() == ("", "")
