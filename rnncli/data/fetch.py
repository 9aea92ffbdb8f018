"""Download one file of a known checksum, going on from where an earlier attempt stopped.

What has come is kept in a ``.part`` file beside the target until it is whole. Pooch checks the digest and puts the
file in its place; only the transfer is done here, because pooch's own begins again from nothing.
"""

import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pooch  # type: ignore[import-untyped]
import requests
import urllib3
from tqdm import tqdm

from rnncli import __version__
from rnncli.errors import DataError, elsewhere, unwritable

_CHUNK = 1 << 14
_AGAIN = "Type the command again: it goes on from there"
_BUSY = (429, 500, 502, 503, 504)


class _CutOff(Exception):
    """The transfer stopped before its end in a way that another attempt may mend."""


def fetch(
    url: str,
    target: Path,
    *,
    checksum: str,
    max_bytes: int,
    report: Callable[[str], None] = lambda _: None,
    attempts: int = 4,
    pause: float = 1.0,
    timeout: tuple[float, float] = (10.0, 30.0),
) -> bool:
    """Make ``target`` the file with this checksum, downloading what is missing of it.

    Parameters
    ----------
    url : str
        Where the file is.
    target : Path
        What it becomes; its folder must exist.
    checksum : str
        ``algorithm:hexadecimal digest``, the algorithm one of hashlib's.
    max_bytes : int
        The most bytes that are accepted.
    report : callable
        Called with a line of text when something is worth saying.
    attempts : int
        How many times a broken transfer is tried in all before giving up.
    pause : float
        Seconds before the second attempt, doubled before each later one.
    timeout : tuple of float
        Seconds to wait for a connection, and for each piece of data.

    Returns
    -------
    bool
        False when the file was there already, True when it was downloaded.

    Raises
    ------
    DataError
        If the file cannot be had. The ``.part`` file stays, unless what came is not the file asked for.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    came = False

    def transfer(source: str, output: str, _: object) -> None:
        nonlocal came
        # Pooch's temporary file is not needed before the end; without it a killed process leaves only the .part file.
        os.unlink(output)
        part = target.with_name(target.name + ".part")
        _transfer(source, part, max_bytes, report, attempts, pause, timeout)
        os.replace(part, output)
        came = True

    try:
        pooch.retrieve(url, checksum, fname=target.name, path=target.parent, downloader=transfer)
    except ValueError:
        raise DataError(
            f"what came does not have the known checksum ({checksum}) and was deleted",
            where=url,
            remedy="Type the command again; if it happens again, the network or the server gives something else",
        ) from None
    except OSError as error:
        raise _cannot_write(target, error) from None
    return came


def _transfer(
    url: str,
    part: Path,
    max_bytes: int,
    report: Callable[[str], None],
    attempts: int,
    pause: float,
    timeout: tuple[float, float],
) -> None:
    """Bring ``part`` to its whole length, in as many attempts as are allowed."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _go_on(url, part, max_bytes, report, timeout)
            return
        except _CutOff as error:
            reason = str(error)
            report(f"the transfer stopped: {reason}")
    kept = _size(part)
    where_it_stands = f"; {kept:,} bytes are kept in {part}" if kept else ""
    remedy = _AGAIN if kept else "Type the command again later"
    raise DataError(f"gave up after {attempts} attempts: {reason}{where_it_stands}", where=url, remedy=remedy)


def _go_on(url: str, part: Path, max_bytes: int, report: Callable[[str], None], timeout: tuple[float, float]) -> None:
    """Ask for what ``part`` lacks, once, and append it."""
    have = _size(part)
    # Without "identity" a server may compress again, and positions in the file would mean nothing.
    headers = {"User-Agent": f"rnncli/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            start, total = _place(response, have, url)
            if start is None:
                return
            if start < 0 or have > max_bytes:
                part.unlink(missing_ok=True)
                raise _CutOff("what is there already does not fit the server's file, so it begins again")
            if have and not start:
                report(f"the server cannot go on from {have:,} bytes, so it begins again")
            elif have:
                report(f"going on from {have:,} bytes in {part}")
            end = _append(response, part, start, total, max_bytes, url)
            if total is not None and end < total:
                raise _CutOff(f"{end:,} of {total:,} bytes came")
    except requests.RequestException as error:
        raise _explain(error, url, timeout) from None


def _place(response: requests.Response, have: int, url: str) -> tuple[int | None, int | None]:
    """Return where the body starts in the file (None: nothing is missing, -1: it does not fit) and the file's size."""
    if response.status_code == 416:
        size = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        return (None if size and int(size[1]) == have else -1), None
    if response.status_code == 206:
        place = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not place or int(place[1]) != have:
            return -1, None
        return have, None if place[2] == "*" else int(place[2])
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    answer = f"the server answers {response.status_code} {response.reason or ''}".rstrip()
    if response.status_code in _BUSY:
        raise _CutOff(answer)
    raise DataError(answer, where=url, remedy="The file may have moved: look for a newer rnncli, or fetch it by hand")


def _append(response: requests.Response, part: Path, start: int, total: int | None, max_bytes: int, url: str) -> int:
    """Write the body into ``part`` from ``start`` on; return the size it has then."""
    end = start
    try:
        # Unbuffered, so that every byte that came is in the file whenever the process is interrupted.
        with (
            open(part, "ab" if start else "wb", buffering=0) as file,
            tqdm(
                total=total, initial=start, unit="B", unit_scale=True, disable=None, leave=False, desc=part.stem
            ) as bar,
        ):
            if (total or 0) <= max_bytes:
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    rest = memoryview(chunk)
                    while rest:
                        rest = rest[file.write(rest) :]
                    end += len(chunk)
                    bar.update(len(chunk))
                    if end > max_bytes:
                        break
    except urllib3.exceptions.ReadTimeoutError:
        raise _CutOff(f"nothing came any more after {_size(part):,} bytes") from None
    except urllib3.exceptions.HTTPError:
        raise _CutOff(f"the connection broke after {_size(part):,} bytes") from None
    except OSError as error:
        raise _cannot_write(part, error) from None
    if max(end, total or 0) > max_bytes:
        part.unlink()
        raise DataError(
            f"the server sends more than the {max_bytes:,} bytes this file may have",
            where=url,
            remedy="It is not the known file: look for a newer rnncli",
        )
    return end


def _size(part: Path) -> int:
    """Return the size of a file, 0 if there is none."""
    return part.stat().st_size if part.exists() else 0


def _cannot_write(path: Path, error: OSError) -> DataError:
    """Say why a file cannot be written."""
    return DataError(
        unwritable(path, error),
        where=str(path),
        remedy=f"{elsewhere(error, 'give another folder with --dir')}. {_AGAIN}",
    )


def _explain(error: requests.RequestException, url: str, timeout: tuple[float, float]) -> Exception:
    """Say in one line why there was no answer, as a DataError or, if another attempt may help, as a _CutOff."""
    host = urlsplit(url).netloc
    cause = error.args[0] if error.args else error
    if isinstance(cause, urllib3.exceptions.ProtocolError):
        return _CutOff(f"{host} closed the connection without an answer")
    if isinstance(error, requests.ConnectTimeout):
        what = f"no connection to {host} within {timeout[0]:g} seconds"
    elif isinstance(error, requests.Timeout):
        what = f"no answer from {host} within {timeout[1]:g} seconds"
    else:
        # The libraries wrap one another's messages; the innermost comes last.
        reason = " ".join(str(getattr(cause, "reason", None) or error).split()).rpartition(": ")[2].rstrip(")\"'")
        what = f"no connection to {host} ({reason})"
    return DataError(what, where=url, remedy=f"Check the network and any proxy (https_proxy). {_AGAIN}")
