"""A file of texts that is named on the command line, or a text that somebody took for one."""

import os
from errno import ENAMETOOLONG, ENOENT, ENOTDIR

from rnncli.data.rows import short_label
from rnncli.errors import DataError


def refuse_what_is_no_file(given: str | os.PathLike[str]) -> None:
    """Raise DataError if there is nothing of that name, which may be a text instead."""
    try:
        os.stat(given)
    except OSError as error:
        if error.errno in (ENOENT, ENOTDIR, ENAMETOOLONG):
            raise DataError(
                "there is no such file",
                where=short_label(os.fspath(given)),
                remedy='Correct the path; a text of your own goes behind --text: --text "..."',
            ) from None
