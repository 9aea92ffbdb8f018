"""What a report begins with: how good, how sure, at what cost, and what differs."""

from collections.abc import Sequence
from html import escape

from rnncli.errors import shown_on_one_line
from rnncli.judging import Judged, evaluated_on, summary
from rnncli.reporting.markup import Section, note, table_html
from rnncli.side_by_side import config_differences, differences
from rnncli.worded import chance, setting


def results(runs: Sequence[Judged]) -> Section:
    """Set the runs' figures beside each other.

    Parameters
    ----------
    runs : sequence of Judged
        One or more.

    Returns
    -------
    Section
        With tests of the differences where there are several runs.
    """
    summaries = [summary(run) for run in runs]
    keys = [key for key in summaries[0] if any(found[key] != "-" for found in summaries)]
    heads = ["", *(run.record.name for run in runs)]
    html = _data(runs) + table_html(heads, [[key, *(found[key] for found in summaries)] for key in keys])
    if len(runs) > 1:
        html += _differences(runs) + _settings(runs)
    return Section("Results", html)


def _data(runs: Sequence[Judged]) -> str:
    """Say what was evaluated on what."""
    html = "".join(f"<p>{escape(line)}.</p>\n" for line in evaluated_on(runs))
    checkpoints = ", ".join(f"{run.record.checkpoint} (step {run.record.step:,})" for run in runs)
    return html + note(shown_on_one_line(f"Checkpoint{'s' if len(runs) > 1 else ''}: {checkpoints}"))


def _differences(runs: Sequence[Judged]) -> str:
    head, first = runs[0].headline, runs[0].record.name
    html, pairs = "", differences(runs)
    for pair in pairs:
        if "p" not in pair:
            html += note(f"{pair['run']} is not compared with {first}: {pair['not_compared']}.")
    tested = [pair for pair in pairs if "p" in pair]
    if not tested:
        return f"<h3>Differences</h3>{html}"
    several = len(tested) > 1
    points = ", points" if head.form.endswith("%") else ""
    heads = [f"against {first}", f"{head.heading}{points}", "95% interval", "p", *(["p, Holm"] if several else []), ""]
    rows = []
    for pair in tested:
        ends = " to ".join(head.signed(end) for end in pair["interval"])
        chances = [chance(pair["p"]), *([chance(pair["p_holm"])] if several else [])]
        rows.append([pair["run"], head.signed(pair["difference"]), ends, *chances, pair["verdict"]])
    by = "McNemar's exact test" if tested[0]["test"] == "McNemar" else "the paired bootstrap"
    unit = next(run.outcome.unit for run in runs if run.outcome)
    corrected = ", and corrected for the number of runs by Holm's rule" if several else ""
    why = note(f"Intervals by the bootstrap over {unit}; p by {by}{corrected}.")
    table = table_html(heads, rows, words=(0, len(heads) - 1), kind="tight")
    return f"<h3>Differences</h3>{html}{table}{why}"


def _settings(runs: Sequence[Judged]) -> str:
    found = config_differences([run.record for run in runs])
    if not found:
        return note("The configs are the same but for the name.")
    rows = [[key, *map(setting, values)] for key, values in found.items()]
    heads = ["", *(run.record.name for run in runs)]
    return "<h3>Settings that differ</h3>" + table_html(heads, rows, words=range(len(heads)))
