"""What the project asks of its own speed, beside what was measured: ratios within one run."""

import statistics
from typing import NamedTuple

from benchmarks.common import Table, ratio
from benchmarks.growth import TITLES
from benchmarks.starting import SCORING_TITLE, SCORING_TORCH
from benchmarks.training import DDP, RNNCLI, TITLE, TUNED, TUTORIAL, WORKERS

FASTEST = "PyTorch, the fastest"
SPEED, MEMORY = "tokens_per_second", "peak_mb"
LSTM, GRU, RNN = (TITLE.format(cell=cell, size=64) for cell in ("LSTM", "GRU", "RNN"))


class Goal(NamedTuple):
    """The figure ``key`` of one contestant over that of another is to be at least ``bar`` (of memory, at most)."""

    what: str
    table: str
    over: str
    under: str
    bar: float
    aim: float | None
    key: str = SPEED


GOALS = (
    Goal("LSTM, one process, against PyTorch tuned", LSTM, RNNCLI, TUNED, 1.4, 1.8),
    Goal("GRU, likewise", GRU, RNNCLI, TUNED, 1.6, 2.2),
    Goal("RNN, likewise", RNN, RNNCLI, TUNED, 1.2, 1.6),
    Goal("LSTM, two workers, against PyTorch DDP of two processes", LSTM, WORKERS, DDP, 1.7, 2.2),
    Goal("LSTM, two workers, against the fastest PyTorch, bf16 included", LSTM, WORKERS, FASTEST, 0.9, 1.2),
    Goal("LSTM, one process, against PyTorch as in tutorials", LSTM, RNNCLI, TUTORIAL, 2.5, 4.0),
    Goal("LSTM, one process, peak memory by that of PyTorch tuned (at most)", LSTM, RNNCLI, TUNED, 0.5, 0.35, MEMORY),
    Goal("speed at length 2,000 by that at 100", TITLES["length"], "2,000", "100", 0.9, None),
    Goal("speed with 1,000,000 words by that with 20,000", TITLES["vocabulary"], "1,000,000", "20,000", 0.8, None),
    Goal("scoring on two cores against PyTorch", SCORING_TITLE, SCORING_TORCH, WORKERS, 1.1, 1.5, "seconds"),
)


def goals_table(tables: list[Table]) -> Table:
    """Set the goals beside what was measured of them; those of parts that were not run are left out."""
    note = "Median of the ratios within each round, N = 64."
    out = Table("Goals", note, ["what", "ratio", "bar", "aim", "reached"])
    measured = {table.title: {record["what"]: record["results"] for record in table.records} for table in tables}
    for goal in GOALS:
        results = measured.get(goal.table, {})
        under = fastest(results) if goal.under == FASTEST else goal.under
        over, under_it = ([result[goal.key] for result in results.get(name, [])] for name in (goal.over, under))
        value = ratio(over, under_it)
        if value:
            limits = [
                float(value) <= limit if goal.key == MEMORY else float(value) >= limit
                for limit in (goal.bar, goal.aim or goal.bar)
            ]
            reached = "missed" if not limits[0] else "aim" if goal.aim and limits[1] else "bar"
            named = f"{goal.what}: {under}" if goal.under == FASTEST else goal.what
            out.rows.append([named, value, str(goal.bar), str(goal.aim or ""), reached])
            out.records.append({"what": goal.what, "ratio": float(value), "bar": goal.bar, "aim": goal.aim})
    return out


def fastest(results: dict[str, list[dict[str, float]]]) -> str:
    """Return which PyTorch was the fastest."""
    speeds = {
        name: statistics.median(result[SPEED] for result in rounds)
        for name, rounds in results.items()
        if name.startswith("PyTorch") and rounds
    }
    return max(speeds, key=lambda name: speeds[name], default="")
