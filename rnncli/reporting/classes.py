"""Which labels or tags are taken for which, and the scores of each."""

from collections.abc import Sequence
from html import escape
from typing import Any

from rnncli.data.rows import short_label
from rnncli.metrics import confusion_matrix
from rnncli.outcomes import Outcome
from rnncli.reporting.markup import Section, note, scrolled, table_html
from rnncli.side_by_side import Judged

MOST_CLASSES = 24  # of a matrix; of more, the most frequent confusions are listed
MOST_CONFUSIONS = 20
MOST_ROWS = 60  # of the table of scores

Matrix = list[list[int]]


def confusion(runs: Sequence[Judged]) -> Section | None:
    """Show which labels are taken for which.

    Parameters
    ----------
    runs : sequence of Judged
        A matrix each.

    Returns
    -------
    Section or None
        None for language models and where nothing could be evaluated.
    """
    html = ""
    for run in runs:
        if run.outcome is None or run.outcome.right is None:
            continue
        labels, matrix = _matrix(run.outcome)
        html += f"<h3>{escape(run.record.name)}</h3>" if len(runs) > 1 else ""
        html += _matrix_html(labels, matrix) if len(labels) <= MOST_CLASSES else _pairs_html(labels, matrix)
    if not html:
        return None
    return Section(
        "Confusion", html + note("Shading: the share of the row. Blue, with a solid line: right; orange: wrong.")
    )


def scores(runs: Sequence[Judged]) -> Section | None:
    """Show precision, recall and F1 of each label.

    Parameters
    ----------
    runs : sequence of Judged
        Of several, the F1 of each stands beside that of the others.

    Returns
    -------
    Section or None
        None likewise.
    """
    found = {run.record.name: _scores(run.outcome) for run in runs if run.outcome and run.outcome.right is not None}
    if not found:
        return None
    labels = list(dict.fromkeys(label for rows in found.values() for label in rows))
    support = {label: max(rows[label]["support"] for rows in found.values() if label in rows) for label in labels}
    labels.sort(key=lambda label: -support[label])
    shown = labels[:MOST_ROWS]
    if len(found) == 1:
        (rows,) = found.values()
        heads = ["", "precision", "recall", "F1", "count"]
        keys = ("precision", "recall", "f1")
        lines = [
            [short_label(label), *(f"{rows[label][key]:.2%}" for key in keys), f"{support[label]:,}"] for label in shown
        ]
    else:
        heads = ["F1", *found, "count"]
        lines = [
            [
                short_label(label),
                *(f"{rows[label]['f1']:.2%}" if label in rows else "-" for rows in found.values()),
                f"{support[label]:,}",
            ]
            for label in shown
        ]
    more = note(f"And {len(labels) - len(shown)} rarer ones.") if len(labels) > len(shown) else ""
    return Section("Scores by label", table_html(heads, lines) + more)


def _scores(outcome: Outcome) -> dict[str, dict[str, Any]]:
    rows = outcome.report.get("classes") or outcome.report.get("tags") or []
    return {row.get("label") or row["tag"]: row for row in rows}


def _matrix(outcome: Outcome) -> tuple[list[str], Matrix]:
    """Return labels and counts, a row for each true label."""
    if "confusion" in outcome.report:
        return [row["label"] for row in outcome.report["classes"]], outcome.report["confusion"]
    details = outcome.details
    support = {row["tag"]: row["support"] for row in outcome.report["tags"]}
    labels = sorted(support, key=lambda tag: -support[tag])
    places = {tag: place for place, tag in enumerate(labels)}
    true = [places[tag] for sentence in details.sentences for tag in sentence.tags]
    predicted = [places[tag] for tags in details.predicted for tag in tags]
    return labels, confusion_matrix(true, predicted, len(labels)).tolist()


def _matrix_html(labels: Sequence[str], matrix: Matrix) -> str:
    heads = "".join(f'<th scope="col" class="number">{escape(short_label(label, 16))}</th>' for label in labels)
    head = (
        f'<thead><tr><th class="faint">true \N{DOWNWARDS ARROW} predicted \N{RIGHTWARDS ARROW}</th>{heads}</tr></thead>'
    )
    lines = []
    for true, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        total = sum(counts) or 1
        cells = "".join(_cell(count, count / total, right=true == place) for place, count in enumerate(counts))
        lines.append(f'<tr><th scope="row">{escape(short_label(label, 24))}</th>{cells}</tr>')
    return scrolled(f"{head}<tbody>{''.join(lines)}</tbody>", "heat")


def _cell(count: int, share: float, *, right: bool) -> str:
    if not count:
        return '<td class="number faint">\N{MIDDLE DOT}</td>'
    # Few mistakes are to be seen too, so that their colour rises faster.
    strength = 0.65 * (share if right else min(1, 2 * share**0.7))
    line = "; border-bottom: 2px solid rgb(var(--for))" if right else ""
    colour = "for" if right else "against"
    return (
        f'<td class="number" style="background: rgba(var(--{colour}), {strength:.2f}){line}" '
        f'title="{share:.1%} of the row">{count:,}</td>'
    )


def _pairs_html(labels: Sequence[str], matrix: Matrix) -> str:
    wrong = [
        (-count, true, place)
        for true, counts in enumerate(matrix)
        for place, count in enumerate(counts)
        if count and true != place
    ]
    shown = sorted(wrong)[:MOST_CONFUSIONS]
    rows = [[short_label(labels[true]), short_label(labels[place]), f"{-count:,}"] for count, true, place in shown]
    return table_html(["true", "predicted", "count"], rows, left=2) + note(
        f"The {len(shown)} most frequent of {len(wrong):,} pairs of {len(labels)} labels."
    )
