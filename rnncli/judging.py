"""Runs and what they are worth: their figures, how sure these are, at what cost they came."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from rnncli.comparing import DRAWS, LEVEL, Interval, bootstrap, percentiles
from rnncli.errors import ConfigError, DataError, shown_on_one_line
from rnncli.figures import FIGURES
from rnncli.outcomes import ENTITY_F1, HEADLINES, Headline, Outcome, Reader
from rnncli.run_records import Cost, RunRecord, cost_of
from rnncli.worded import count, duration

LISTS = ("classes", "confusion", "tags")  # of a report: for eval, not for a line of a table


@dataclass(frozen=True)
class Judged:
    """A run and what it is worth.

    Attributes
    ----------
    record : RunRecord
        The run.
    cost : Cost
        What it took.
    outcome : Outcome or None
        None where its data cannot be read.
    why : str or None
        Why not.
    interval : Interval or None
        That of the headline; the same whatever runs with this headline it is judged beside.
    headline : Headline
        The figure that these runs are compared by.
    """

    record: RunRecord
    cost: Cost
    outcome: Outcome | None
    why: str | None
    interval: Interval | None
    headline: Headline

    @property
    def figures(self) -> dict[str, Any]:
        """The figures that are not lists: measured now, or else those that the run has recorded."""
        if self.outcome is None:
            return self.record.recorded
        found = {key: value for key, value in self.outcome.report.items() if key not in LISTS}
        entities = found.get("entities")
        return {**found, "entity_f1": entities["f1"]} if entities else found


def judge(records: Sequence[RunRecord], reader: Reader, *, draws: int = DRAWS) -> list[Judged]:
    """Evaluate runs.

    Parameters
    ----------
    records : sequence of RunRecord
        All of one task.
    reader : Reader
        Reads their data.
    draws : int
        Samples of the bootstrap.

    Returns
    -------
    list of Judged
        In the same order. A run whose own data cannot be read has no outcome.

    Raises
    ------
    ConfigError
        If they are of several tasks.
    RnncliError
        If data that was given cannot be read or does not fit.
    """
    tasks = list(dict.fromkeys(record.trained.config.task for record in records))
    if len(tasks) > 1:
        raise ConfigError(
            f"the runs are of several tasks ({', '.join(tasks)}), which have no figure in common",
            remedy="Name runs of one task",
        )
    outcomes: list[Outcome | DataError] = []
    for record in records:
        try:
            outcomes.append(reader.outcome(record.trained))
        except DataError as error:
            if reader.given is not None:
                raise
            outcomes.append(error)
    both = list(zip(records, outcomes, strict=True))
    headline = ENTITY_F1 if all(starmap(_knows_entities, both)) else HEADLINES[tasks[0]]
    return [_judged(record, outcome, headline, draws) for record, outcome in both]


def _knows_entities(record: RunRecord, outcome: Outcome | DataError) -> bool:
    if isinstance(outcome, Outcome):
        return outcome.entities is not None
    return record.recorded.get(ENTITY_F1.key) is not None


def _judged(record: RunRecord, outcome: Outcome | DataError, headline: Headline, draws: int) -> Judged:
    cost = cost_of(record)
    if not isinstance(outcome, Outcome):
        return Judged(record, cost, None, str(outcome), None, headline)
    (samples,) = bootstrap(*outcome.sums(headline), draws=draws)
    return Judged(record, cost, outcome, None, percentiles(samples), headline)


def run_figures(judged: Judged) -> dict[str, Any]:
    """Return everything about a run that is not compared, ready for JSON.

    Parameters
    ----------
    judged : Judged
        A run.

    Returns
    -------
    dict
        ``name``, ``checkpoint``, ``step``, ``epoch``, ``data``, ``units`` and ``unit`` (None if ``not_evaluated`` says
        why), the ``figures`` of the task, ``interval`` (of the headline, None likewise), ``parameters`` and the cost.
    """
    record, outcome = judged.record, judged.outcome
    return {
        "name": record.name,
        "checkpoint": str(record.checkpoint),
        "step": record.step,
        "epoch": record.recorded.get("epoch"),
        "data": outcome and outcome.data,
        "units": outcome and len(outcome.counted),
        "unit": outcome and outcome.unit,
        "not_evaluated": judged.why,
        "figures": judged.figures,
        "interval": judged.interval and list(judged.interval),
        "parameters": record.parameters,
        "tokens_per_second": judged.cost.tokens_per_second,
        "train_seconds": judged.cost.train_seconds,
        "seconds": judged.cost.seconds,
        "peak_memory_mb": judged.cost.peak_memory_mb,
        "processes": record.processes,
        "steps": judged.cost.steps,
    }


def summary(judged: Judged) -> dict[str, str]:
    """Return what a person wants to know of a run first, by its heading.

    Parameters
    ----------
    judged : Judged
        A run.

    Returns
    -------
    dict of str to str
        The same headings for all runs of a task; ``-`` where a figure is not known.
    """
    record, cost, head = judged.record, judged.cost, judged.headline
    figures = judged.figures
    rows = {head.heading: format(figures[head.key], head.form) if figures.get(head.key) is not None else "-"}
    ends = "-"
    if judged.interval is not None:
        ends = " to ".join(format(end, head.form) for end in judged.interval).replace("% to", " to")
    rows[f"{LEVEL:.0%} interval"] = ends
    others = [figure for figure in FIGURES[record.trained.config.task] if figure.key != head.key]
    rows |= {figure.heading: figure.show(figures) for figure in others}
    loss = figures.get("loss")
    rows["loss, nats"] = "-" if loss is None else f"{loss:.4f}"
    rows["parameters"] = count(record.parameters)
    rows["tokens/s"] = count(cost.tokens_per_second)
    rows["whole run"] = duration(cost.seconds)
    memory = count(cost.peak_memory_mb, "MB")
    rows["peak memory"] = f"{memory}, first of {record.processes}" if record.processes > 1 else memory
    epoch = record.recorded.get("epoch")
    rows["epoch"] = "-" if epoch is None else f"{epoch} of {record.trained.config.train.epochs}"
    return rows


def evaluated_on(runs: Sequence[Judged]) -> list[str]:
    """Say what runs were evaluated on: a line for each data, with the names of the runs if there are several lines."""
    names: dict[str, list[str]] = {}
    lines: dict[str, str] = {}
    for run in runs:
        line = f"not evaluated, these are the figures of its training: {run.why}"
        if run.outcome is not None:
            line = f"{run.outcome.data}: {len(run.outcome.counted):,} {run.outcome.unit}"
        key = run.outcome.key if run.outcome else line
        lines.setdefault(key, shown_on_one_line(line))
        names.setdefault(key, []).append(run.record.name)
    if len(lines) == 1:
        return list(lines.values())
    return [f"{', '.join(names[key])}: {line}" for key, line in lines.items()]
