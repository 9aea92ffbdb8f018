"""The errors a user can cause, each with what to do about it.

Everything rnncli refuses is a :class:`RnncliError`. The command line prints it as one line and exits with its
``exit_code``: 1 when something failed, 2 when the command or the config was misused.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

# What would break a line or steer a terminal, and halves of surrogate pairs, as bytes that are not UTF-8 leave them in
# the name of a file.
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def shown_on_one_line(text: str) -> str:
    """Return text as a terminal can show it on one line.

    Parameters
    ----------
    text : str
        Any text, such as a path.

    Returns
    -------
    str
        The same with control characters, line ends and lone surrogates escaped.
    """
    return _UNSHOWABLE.sub(lambda match: ascii(match[0])[1:-1], text)


def unwritable(path: str | os.PathLike[str], error: OSError) -> str:
    """Return why a file or folder cannot be written.

    Parameters
    ----------
    path : str or path-like
        What was to be written.
    error : OSError
        What the system said.

    Returns
    -------
    str
        In words; where a file stands in the place of a folder, which one.
    """
    if isinstance(error, FileExistsError | NotADirectoryError):
        tried = place = os.path.abspath(path)
        while not os.path.lexists(place):
            place = os.path.dirname(place)
        if not os.path.isdir(place):
            return f"cannot be written: {'it' if place == tried else place} is a file, not a folder"
    return f"cannot be written: {error.strerror or error}"


def elsewhere(error: OSError, place: str) -> str:
    """Return the remedy for what cannot be written: another place, or more space where that is what is missing.

    Parameters
    ----------
    error : OSError
        What the system said.
    place : str
        How to give another place, such as "choose another place with --run-dir".

    Returns
    -------
    str
        Begins with a capital letter.
    """
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return f"Free some space or {place}" if full else place[0].upper() + place[1:]


@contextmanager
def told(option: str, path: str | os.PathLike[str]) -> Iterator[None]:
    """Say of an error of the system that a file or folder cannot be written.

    Parameters
    ----------
    option : str
        What it was given with, such as ``--output``.
    path : str or path-like
        What is written inside the ``with``.

    Raises
    ------
    RnncliError
        In the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        remedy = elsewhere(error, f"choose another place for {option}")
        raise RnncliError(unwritable(path, error), where=os.fspath(path), remedy=remedy) from error


class RnncliError(Exception):
    """Something the user can mend.

    Parameters
    ----------
    what : str
        What came and what is allowed, without a closing full stop.
    where : str, optional
        The file (with the line after a colon) or the config key that is at fault; printed first.
    remedy : str, optional
        What to do or type; printed last.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        where, remedy = (None if text is None else shown_on_one_line(text) for text in (where, remedy))
        what = "\n".join(shown_on_one_line(line) for line in what.split("\n"))
        self.what, self.where, self.remedy = what, where, remedy
        text = f"{where}: {what}" if where else what
        super().__init__(f"{text}. {remedy}" if remedy else text)


class ConfigError(RnncliError):
    """A config file, a ``--set`` or a command line that cannot be used."""

    exit_code = 2


class DataError(RnncliError):
    """A data file that is missing, damaged or not what the config says."""


class CheckpointError(RnncliError):
    """A checkpoint that is damaged, of another format or does not fit."""


class GradientError(RnncliError):
    """A gradient or a loss that is not finite, or not what finite differences say."""
