"""A report on one or several runs as one HTML page: a module for each part of it."""

from collections.abc import Sequence
from html import escape

from rnncli import __version__
from rnncli.judging import Judged
from rnncli.pages import page
from rnncli.reporting import mistakes as wrong
from rnncli.reporting.calibration import calibration
from rnncli.reporting.classes import confusion, scores
from rnncli.reporting.curves import learning_curves, optimisation
from rnncli.reporting.lengths import lengths
from rnncli.reporting.markup import STYLE, Section, sections_html
from rnncli.reporting.results import results
from rnncli.reporting.settings import config, environment

_PARTS = (
    results,
    learning_curves,
    optimisation,
    confusion,
    scores,
    calibration,
    lengths,
    wrong.mistakes,
    environment,
    config,
)


def sections_of(runs: Sequence[Judged]) -> list[Section]:
    """Return the parts of a report that there is something to say in.

    Parameters
    ----------
    runs : sequence of Judged
        One or more, of one task.

    Returns
    -------
    list of Section
        In the order of the page.

    Raises
    ------
    RnncliError
        If matplotlib is not installed.
    """
    parts = (make(runs) for make in _PARTS)
    return [part for part in parts if part is not None]


def report_page(runs: Sequence[Judged], sections: Sequence[Section]) -> str:
    """Return a report as HTML.

    Parameters
    ----------
    runs : sequence of Judged
        What it is on.
    sections : sequence of Section
        From :func:`sections_of`.

    Returns
    -------
    str
        A page that needs no other file and no network; the same for the same runs.
    """
    title = ", ".join(run.record.name for run in runs)
    task = runs[0].record.trained.config.task.replace("_", " ")
    what = "a run" if len(runs) == 1 else f"{len(runs)} runs"
    lead = f'<p class="faint">Report on {what} of rnncli: {escape(task)}</p>\n'
    foot = f'<p class="faint">rnncli {escape(__version__)}</p>\n'
    return page(title, lead + sections_html(sections) + foot, style=STYLE + wrong.STYLE)
