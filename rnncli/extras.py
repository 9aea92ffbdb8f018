"""Packages that only some commands need: imported when they are needed, and asked for by name when they are missing."""

from importlib import import_module
from typing import Any

from rnncli.errors import RnncliError


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import a module that one of rnncli's extras installs.

    Parameters
    ----------
    module : str
        Its name, dotted for a part of a package: ``matplotlib.figure``.
    extra : str
        The extra that has it.
    purpose : str
        What it is needed for, as the subject of the message: ``pictures``.

    Returns
    -------
    module
        The module of that name.

    Raises
    ------
    RnncliError
        If it is not installed or cannot be imported; says what to type.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        reason = "is not installed" if missing else f"cannot be imported ({error})"
        raise RnncliError(
            f"is needed for {purpose} and {reason}", where=package, remedy=f"Type: pip install 'rnncli[{extra}]'"
        ) from None
