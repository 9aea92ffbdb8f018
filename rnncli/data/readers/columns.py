"""What the readers of named columns share: the label, the group, the nearest name, the words of their errors."""

from collections.abc import Iterable
from difflib import get_close_matches

from rnncli.errors import DataError, shown_on_one_line

# Names listed in one error; a file may have thousands of columns.
_MOST_LISTED = 20


def no_such_column(where: str, name: str, key: str, columns: Iterable[str]) -> DataError:
    """Return the error for a column that is not there.

    Parameters
    ----------
    where : str
        File and line of the header or of the row.
    name : str
        The column that was looked for.
    key : str
        The config key that names it, or an option of the command line.
    columns : iterable of str
        The columns there are.

    Returns
    -------
    DataError
        One line with the columns there are, the nearest name and the key to change.
    """
    known = list(columns)
    listed = ", ".join(shown(column) for column in known[:_MOST_LISTED])
    if len(known) > _MOST_LISTED:
        listed += f" and {len(known) - _MOST_LISTED} more"
    near = nearest(name, known)
    hint = f"Did you mean {shown(near)}? " if near is not None else ""
    with_key = key if key.startswith("--") else f"the key {key}"
    option = f" (--{key} of rnncli eval)" if key in ("text", "label") else ""
    return DataError(
        f"there is no column {shown(name)} (there is {listed or 'none'})",
        where=where,
        remedy=f"{hint}Name one of them with {with_key}{option}",
    )


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that is most like a name, whatever the case of its letters.

    Parameters
    ----------
    name : str
        What was asked for.
    choices : iterable of str
        What there is.

    Returns
    -------
    str or None
        None where nothing is near.
    """
    by_folded = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def shown(value: str) -> str:
    """Return a value quoted for an error: on one line, and cut where it is long.

    Parameters
    ----------
    value : str
        From the file or the config.

    Returns
    -------
    str
        At most some 60 characters.
    """
    return repr(value) if len(value) <= 60 else f"{value[:57]!r}..."


def usable_label(value: str, where: str) -> str:
    """Return a label without the white space around it.

    Parameters
    ----------
    value : str
        The label as the file has it.
    where : str
        ``file:line``.

    Returns
    -------
    str
        The label.

    Raises
    ------
    DataError
        Nothing is left, or a control character in it, which would upset every table that shows the label.
    """
    label = value.strip()
    if not label:
        raise DataError("the label is empty", where=where, remedy="Give the row a label or remove it")
    if shown_on_one_line(label) != label:
        raise DataError(f"the label {shown(label)} holds a control character", where=where, remedy="Remove it")
    return label
