"""Analytic gradients against central differences, in float64: every layer and composition, or a configured model.

``rnncli gradcheck`` prints what :func:`run_checks` finds. How a derivative is computed and compared is described in
:mod:`rnncli.gradcheck.numeric`; the rows are in ``cells.py``, ``layers.py``, ``models.py``,
``sequences.py``, ``identities.py`` and ``formulas.py``.
"""

from collections.abc import Callable, Collection, Sequence

from rnncli.gradcheck import cells, formulas, identities, layers, models, sequences
from rnncli.gradcheck.checks import Check, Result, run_check
from rnncli.gradcheck.numeric import TOLERANCE, Point

__all__ = ["ALL_CHECKS", "TOLERANCE", "Point", "Result", "check_names", "run_checks"]

ALL_CHECKS: tuple[Check, ...] = (
    *cells.CHECKS,
    *layers.CHECKS,
    *models.CHECKS,
    *sequences.CHECKS,
    *identities.CHECKS,
    *formulas.CHECKS,
)


def check_names() -> list[str]:
    """Return the name of every row, in the order of the table."""
    return [check.name for check in ALL_CHECKS]


def run_checks(
    names: Collection[str] | None = None,
    *,
    seed: int = 1,
    tolerance: float = TOLERANCE,
    checks: Sequence[Check] = ALL_CHECKS,
    report: Callable[[list[Result]], None] = lambda _: None,
) -> list[Result]:
    """Carry out checks.

    Parameters
    ----------
    names : collection of str, optional
        Which rows; all when not given. A row's numbers do not depend on which others are run.
    seed : int
        Decides the numbers.
    tolerance : float
        The largest relative error of a gradient that passes.
    checks : sequence of GradientCheck or IdentityCheck
        The rows to choose from.
    report : callable
        Called with the results of each row as they come.

    Returns
    -------
    list of Result
        One for each input of each row.

    Raises
    ------
    ValueError
        If there is no row of one of the names.
    """
    unknown = set(names or ()) - {check.name for check in checks}
    if unknown:
        raise ValueError(f"there are no rows called {', '.join(sorted(unknown))}")
    results: list[Result] = []
    for check in checks:
        if names is None or check.name in names:
            found = run_check(check, seed, tolerance)
            report(found)
            results += found
    return results
