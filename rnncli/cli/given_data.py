"""The options that name data to evaluate on instead of a config's own."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from rnncli.config.data import GROUPED_FORMATS
from rnncli.outcomes import GivenData

FORMATS = [*GROUPED_FORMATS, "fasttext", "aclimdb", "keras_imdb", "conllu", "columns"]
_COLUMNS = {"text_column": "text", "label_column": "label", "word_index": "word_index"}
_OPTIONS = [
    click.option("--data", type=click.Path(path_type=Path), help="Evaluate on this file or folder instead."),
    click.option("--format", "data_format", type=click.Choice(FORMATS), help="Of --data.  [default: by its ending]"),
    click.option("--text", "text_column", metavar="COLUMN", help="Column of --data that holds the text."),
    click.option("--label", "label_column", metavar="COLUMN", help="Column of --data that holds the label."),
    click.option(
        "--word-index", type=click.Path(path_type=Path), help="imdb_word_index.json, for --data in keras_imdb."
    ),
]


def takes_data(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options, and its function one argument ``given``: GivenData, or None without ``--data``."""

    @wraps(function)
    def with_given(data: Path | None, data_format: str | None, **rest: Any) -> Any:
        columns = {key: str(value) for option, key in _COLUMNS.items() if (value := rest.pop(option)) is not None}
        if data is None and (data_format or columns):
            raise click.UsageError("--format, --text, --label and --word-index describe --data, which is missing.")
        return function(given=None if data is None else GivenData(data, data_format, columns), **rest)

    for option in reversed(_OPTIONS):
        with_given = option(with_given)
    return with_given
