"""The report of ``rnncli data check`` as lines for people: one column for each part, then what is wrong."""

from collections.abc import Iterable

from rnncli.data.check import DataReport, Fault, PartReport
from rnncli.data.rows import short_label
from rnncli.data.settings import DataSettings
from rnncli.errors import DataError

MAX_LABELS = 20
_COLUMN = 16
_LENGTHS = {
    "least": "shortest text, tokens",
    "p10": "10% of texts, at most",
    "p50": "median",
    "mean": "mean",
    "p90": "90% of texts, at most",
    "p99": "99% of texts, at most",
    "most": "longest text",
}


def report_lines(report: DataReport, data: DataSettings) -> list[str]:
    """Return a report as lines of text.

    Parameters
    ----------
    report : DataReport
        What :func:`rnncli.data.check.check_data` found.
    data : DataSettings
        The ``data`` section it was found for.

    Returns
    -------
    list of str
        Aligned lines without line ends; every problem and every bad row has one of its own.
    """
    lines = _table(report, data) if report.parts else []
    lines += [f"warning: {_line(fault)}" for fault in report.warnings]
    lines += [_line(fault) for fault in report.problems]
    lines += [_line(fault) for fault in report.bad_rows]
    if report.ok:
        return [*lines, "no bad rows, nothing in the way of training"]
    rows, others = len(report.bad_rows), len(report.problems)
    return [*lines, f"bad rows: {rows:,}; other problems: {others:,}"]


def _table(report: DataReport, data: DataSettings) -> list[str]:
    """Return everything but what is wrong."""
    parts = list(report.parts.values())
    labels = sorted({label for part in parts for label in part.labels})
    shown = labels if len(labels) <= MAX_LABELS else _most_frequent(parts[0])
    width = max(30, *(len(f"  {short_label(label)}") + 1 for label in shown))
    lines: list[str] = []

    def add(title: str, cells: Iterable[str]) -> None:
        lines.append(f"{title:<{width}}" + "".join(f"{cell:>{_COLUMN}}" for cell in cells))

    add("", report.parts)
    add("rows", (f"{part.rows:,}" for part in parts))
    for label in shown:
        add(f"  {short_label(label)}", (_share(part.labels.get(label, 0), part.rows) for part in parts))
    if rest := set(labels) - set(shown):
        counts = (sum(count for label, count in part.labels.items() if label in rest) for part in parts)
        add(f"  {len(rest):,} other labels", (_share(n, part.rows) for n, part in zip(counts, parts, strict=True)))
    if any(part.groups for part in parts):
        add("groups", (_count(part.groups) for part in parts))
    for key, title in _LENGTHS.items():
        add(title, (f"{part.lengths[key]:,}" for part in parts))
    if data.max_length is not None:
        kept = {"head": "first", "tail": "last"}[data.truncate]
        add(f"cut to the {kept} {data.max_length:,}", (_share(part.cut, part.rows) for part in parts))
    if report.vocabulary is not None:
        add("tokens with an id", ("-" if part.known_tokens is None else f"{part.known_tokens:.1%}" for part in parts))
    add("texts without a token", (_count(part.empty) for part in parts))
    add("repeats within the part", (_share(part.repeats, part.rows) for part in parts))
    add("texts with several labels", (_count(part.contradictions) for part in parts))
    for earlier in ("train", "valid"):
        shared = [report.overlap.get(f"{later}_in_{earlier}") for later in report.parts]
        if any(count is not None for count in shared):
            add(f"rows also in {earlier}", map(_count, shared))
    if report.dropped:
        lines.append(f"{report.dropped:,} rows left out of train: their text is in valid under another group")
    if report.vocabulary is not None:
        size, different = report.vocabulary["size"], report.vocabulary["different_tokens"]
        lines.append(f"vocabulary: {size:,} ids for the {different:,} different tokens of train")
    for part in parts:
        for pair in part.examples:
            first, second = (f"{pair[place]} ({short_label(pair[f'{place}_label'])})" for place in ("first", "second"))
            lines.append(f"same text, other label: {first}, {second}")
    return lines


def _most_frequent(part: PartReport) -> list[str]:
    """Return the labels with the most rows."""
    return sorted(part.labels, key=lambda label: (-part.labels[label], label))[:MAX_LABELS]


def _count(count: int | None) -> str:
    """Return a count, or a dash where there is nothing to count."""
    return "-" if count is None else f"{count:,}"


def _share(count: int, whole: int) -> str:
    """Return a count with its share of the whole."""
    return f"{count:,} {count / whole:6.1%}"


def _line(fault: Fault) -> str:
    """Return a fault as the one line that its error would be."""
    return str(DataError(fault["what"] or "", where=fault["where"], remedy=fault["remedy"]))
