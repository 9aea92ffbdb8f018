"""How far what an export computes is from what its model does, and how far it may be."""

from collections.abc import Iterable

import numpy as np

from rnncli.errors import RnncliError
from rnncli.exporting import Fact
from rnncli.packing import Array

ALLOWED = 1e-4  # in a probability


def largest_difference(pairs: Iterable[tuple[Array, Array]], whose: str, remedy: str) -> float:
    """Compare probabilities.

    Parameters
    ----------
    pairs : iterable of (ndarray, ndarray)
        The model's and the export's, of any shape.
    whose : str
        Who computed the second ones, in the genitive, for the message.
    remedy : str
        What to do where they differ too much.

    Returns
    -------
    float
        The largest difference.

    Raises
    ------
    RnncliError
        If it is more than ``ALLOWED``, or probabilities are not numbers.
    """
    largest = 0.0
    for ours, theirs in pairs:
        if not np.isfinite(ours).all():
            raise RnncliError("the model's outputs are not finite numbers", remedy="Train again with a lower optim.lr")
        found = float(np.abs(ours - theirs).max())
        if not found <= ALLOWED:  # one that is not a number is none of these
            raise RnncliError(
                f"nothing was written: {whose} probabilities differ from the model's by {found:.1e}, "
                f"{ALLOWED:.0e} is allowed",
                remedy=remedy,
            )
        largest = max(largest, found)
    return largest


def facts_of_difference(sample: str, largest: float) -> list[Fact]:
    """Return what was compared on, and the difference found."""
    found = f"{largest:.1e}" if largest else "0"
    shown = f"{found} at most in a probability; {ALLOWED:.0e} is allowed"
    return [
        Fact("checked on", sample, sample),
        Fact("difference", {"largest": largest, "allowed": ALLOWED}, shown),
    ]
