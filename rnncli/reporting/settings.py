"""What it takes to repeat a run: its config, what computed it, what it took."""

from collections.abc import Sequence
from html import escape

from rnncli.config import RunConfig
from rnncli.config.show import COMMENT_COLUMN, LEGEND, commented_lines
from rnncli.judging import Judged
from rnncli.reporting.markup import Section, note, table_html
from rnncli.worded import count, duration

_ENVIRONMENT = {
    "rnncli": "rnncli",
    "python": "Python",
    "numpy": "NumPy",
    "blas": "BLAS",
    "blas_threads": "BLAS threads",
    "system": "system",
    "cpu": "CPU",
    "cores": "cores",
    "processes": "processes",
}


def config(runs: Sequence[Judged]) -> Section:
    """Show the resolved configs, with the meaning of each key.

    Parameters
    ----------
    runs : sequence of Judged
        Of several runs each config can be unfolded.

    Returns
    -------
    Section
        Values other than the default are marked.
    """
    shown = [_yaml_html(run.record.trained.config) for run in runs]
    if len(runs) == 1:
        return Section("Config", shown[0])
    folded = (
        f"<details><summary>{escape(run.record.name)}</summary>{yaml}</details>\n"
        for run, yaml in zip(runs, shown, strict=True)
    )
    return Section("Config", "".join(folded))


def _yaml_html(config: RunConfig) -> str:
    """Return a config that can be copied out of the page as YAML; on a phone comments are below their keys."""
    html = ""
    for line in commented_lines(config):
        written = escape(f"{line.written:<{COMMENT_COLUMN - 1}} ")
        html += f"<b>{written}</b>" if line.changed else written
        html += f"<i># {escape(line.comment)}\n</i>"  # as a block it needs no line end after it
    return f'<pre class="config" tabindex="0">{html}{LEGEND}</pre>\n'


def environment(runs: Sequence[Judged]) -> Section:
    """Show what computed each run, and how long it took.

    Parameters
    ----------
    runs : sequence of Judged
        A column each.

    Returns
    -------
    Section
        Checkpoints of earlier versions do not say what computed them.
    """
    heads = ["", *(run.record.name for run in runs)]
    rows = []
    for key, name in _ENVIRONMENT.items():
        values = [run.record.environment.get(key) for run in runs]
        if any(value is not None for value in values):
            rows.append([name, *("-" if value is None else str(value) for value in values)])
    silent = [run.record.name for run in runs if not run.record.environment]
    html = table_html(heads, rows, words=range(len(heads))) if rows else ""
    if silent:
        html += note(f"Not recorded by the version that trained {', '.join(silent)}.")
    costs = [run.cost for run in runs]
    timings = {
        "whole run": [duration(cost.seconds) for cost in costs],
        "in training steps": [duration(cost.train_seconds) for cost in costs],
        "steps": [count(cost.steps) for cost in costs],
        "tokens/s in training": [count(cost.tokens_per_second) for cost in costs],
        "peak memory": [count(cost.peak_memory_mb, "MB") for cost in costs],
    }
    html += "<h3>Timings</h3>" + table_html(heads, [[name, *values] for name, values in timings.items()])
    if any(run.record.processes > 1 for run in runs):
        html += note("Peak memory is that of the first process.")
    return Section("Environment and timings", html)
