"""Which labels or tags are taken for which, and the scores of each."""

from collections.abc import Sequence
from html import escape
from typing import Any

from rnncli.data.rows import short_label
from rnncli.judging import Judged
from rnncli.metrics import confusion_matrix
from rnncli.outcomes import Outcome
from rnncli.reporting.markup import Section, note, scrolled, table_html

MOST_CLASSES = 24  # of a matrix; of more, the most frequent confusions are listed
FEW_CLASSES = 8  # beyond which a matrix is in small print
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
    html, shaded = "", False
    for run in runs:
        if run.outcome is None or run.outcome.right is None:
            continue
        labels, matrix = _matrix(run.outcome)
        name = f"<h3>{escape(run.record.name)}</h3>" if len(runs) > 1 else ""
        few = len(labels) <= MOST_CLASSES
        shaded = shaded or few
        shown = _matrix_html(labels, matrix) if few else _pairs_html(labels, matrix)
        html += f"<div>{name}{shown}</div>\n"
    if not html:
        return None
    key = note("Shading: the share of the row. Blue, with a solid line: right; orange: wrong.") if shaded else ""
    return Section("Confusion", f'<div class="beside">{html}</div>{key}')


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
    known = [run for run in runs if run.outcome and run.outcome.right is not None]
    if not known:
        return None
    html = _table({run.record.name: _scores(run) for run in known})
    entities = {run.record.name: found for run in known if (found := _entities(run))}
    if entities:
        html += f"<h3>Entities</h3>{_table(entities)}"
    return Section("Scores by label", html)


Scores = dict[str, dict[str, Any]]  # by label


def _table(found: dict[str, Scores]) -> str:
    """Lay out the scores of one run, or the F1 of several, the most frequent label first."""
    labels = list(dict.fromkeys(label for rows in found.values() for label in rows))
    support = {label: max(rows[label]["support"] for rows in found.values() if label in rows) for label in labels}
    labels.sort(key=lambda label: -support[label])
    shown = labels[:MOST_ROWS]
    heads, keys = ["precision", "recall", "F1"], ["precision", "recall", "f1"]
    columns = [(name, rows, key) for rows in found.values() for name, key in zip(heads, keys, strict=True)]
    if len(found) > 1:
        columns = [(f"F1, {name}", rows, "f1") for name, rows in found.items()]
    lines = []
    for label in shown:
        cells = (f"{rows[label][key]:.2%}" if label in rows else "-" for _, rows, key in columns)
        lines.append([short_label(label), *cells, f"{support[label]:,}"])
    more = note(f"And {len(labels) - len(shown)} rarer ones.") if len(labels) > len(shown) else ""
    return table_html(["", *(name for name, _, _ in columns), "count"], lines) + more


def _scores(run: Judged) -> Scores:
    report = run.outcome.report if run.outcome else {}
    rows = report.get("classes") or report.get("tags") or []
    return {row["label"] if "label" in row else row["tag"]: row for row in rows}


def _entities(run: Judged) -> Scores:
    entities = run.outcome.report.get("entities") if run.outcome else None
    return {row["kind"]: row for row in entities["kinds"]} if entities else {}


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
    corner = "true \N{DOWNWARDS ARROW} predicted \N{RIGHTWARDS ARROW}"
    head = f'<thead><tr><th class="faint">{corner}</th>{heads}</tr></thead>'
    lines = []
    for true, (label, counts) in enumerate(zip(labels, matrix, strict=True)):
        total = sum(counts) or 1
        cells = "".join(_cell(count, count / total, right=true == place) for place, count in enumerate(counts))
        lines.append(f'<tr><th scope="row">{escape(short_label(label, 24))}</th>{cells}</tr>')
    return scrolled(f"{head}<tbody>{''.join(lines)}</tbody>", "heat many" if len(labels) > FEW_CLASSES else "heat")


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
    return table_html(["true", "predicted", "count"], rows, words=(0, 1)) + note(
        f"The {len(shown)} most frequent of {len(wrong):,} pairs of {len(labels)} labels."
    )
