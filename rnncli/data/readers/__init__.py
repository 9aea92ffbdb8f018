"""From a source in a config to its labelled texts: one reader per format, one way to call them all."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from rnncli.data.readers.aclimdb import read_aclimdb
from rnncli.data.readers.delimited import read_csv, read_tsv
from rnncli.data.readers.fasttext import read_fasttext
from rnncli.data.readers.imported import refuse_imported
from rnncli.data.readers.jsonl import read_jsonl
from rnncli.data.readers.keras_imdb import read_keras_imdb
from rnncli.data.rows import OnBad, Row
from rnncli.errors import DataError

# A reader's arguments are the keys of its format in the config, and on_bad; group_by where there are columns.
READERS: dict[str, Callable[..., Iterator[Row]]] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "jsonl": read_jsonl,
    "fasttext": read_fasttext,
    "aclimdb": read_aclimdb,
    "keras_imdb": read_keras_imdb,
    "imported": refuse_imported,
}
WITH_COLUMNS = frozenset({"csv", "tsv", "jsonl"})


class Source(Protocol):
    """What a source has to offer: its format and that format's keys, as a dict. The config's sources are such."""

    def model_dump(self) -> dict[str, Any]:
        """Return the keys and their values, ``format`` among them."""


def read_rows(source: Source, group_by: str | None = None, on_bad: OnBad | None = None) -> Iterator[Row]:
    """Yield the labelled texts of a source.

    Parameters
    ----------
    source : Source
        Where the texts are and in which format.
    group_by : str, optional
        The column whose value becomes each row's group; only csv, tsv and jsonl have columns.
    on_bad : callable, optional
        None raises the error of the first bad row. Otherwise it is called with the error of each, the row is left
        out and reading goes on, except past what ends a file (a damaged archive, a missing column).

    Returns
    -------
    iterator of Row
        In the order of the source, without the rows whose label is in its ``skip_labels``. Nothing is opened before
        the first row is asked for.

    Raises
    ------
    DataError
        The source cannot be read, a row in it is bad, or it has no rows.
    """
    keys = source.model_dump()
    name = keys.pop("format")
    if group_by is not None:
        if name not in WITH_COLUMNS:
            raise DataError(
                f"format {name} has no columns, so its rows cannot be grouped by {group_by!r}",
                where=str(keys["path"]),
                remedy=f"Remove data.group_by, or use one of {', '.join(sorted(WITH_COLUMNS))}",
            )
        keys["group_by"] = group_by
    bad = 0

    def count(error: DataError) -> None:
        nonlocal bad
        bad += 1
        assert on_bad is not None
        on_bad(error)

    rows = 0
    for rows, row in enumerate(READERS[name](**keys, on_bad=None if on_bad is None else count), start=1):  # noqa: B007
        yield row
    if rows == bad == 0:
        left_out = f" outside skip_labels {list(keys['skip_labels'])}" if keys.get("skip_labels") else ""
        raise DataError(f"there are no rows{left_out}", where=str(keys["path"]))
