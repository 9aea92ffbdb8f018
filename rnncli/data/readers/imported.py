"""The data of a model that was imported from weights: there is none."""

from pathlib import Path
from typing import NoReturn

from rnncli.data.rows import OnBad
from rnncli.errors import DataError


def refuse_imported(path: str | Path, on_bad: OnBad | None = None) -> NoReturn:
    """Raise DataError: there are no texts to read.

    Parameters
    ----------
    path : str or Path
        The weights that the model was imported from.
    on_bad : callable, optional
        Not called; no row is bad.
    """
    raise DataError(
        "holds the weights that a model was imported from; the texts it was trained on are not known",
        where=str(path),
        remedy="Give texts: to rnncli eval with --data, in a config as data.train",
    )
