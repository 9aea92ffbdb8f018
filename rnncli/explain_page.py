"""Explanations as a page: each text with its words coloured, the strongest of them, and pictures of the gates."""

from collections.abc import Sequence
from html import escape

import numpy as np

from rnncli.coloured_words import STYLE as WORDS_STYLE
from rnncli.coloured_words import decimals, pieces_html
from rnncli.data.rows import short_label
from rnncli.data.tokenizers import LINE_BREAK
from rnncli.errors import shown_on_one_line
from rnncli.explanations import BASELINES, MOST_PHRASES, PHRASE_WIDTH, Explanation
from rnncli.gate_pictures import STYLE as STEPS_STYLE
from rnncli.gate_pictures import gates_svg, gradients_svg
from rnncli.gate_traces import Trace
from rnncli.pages import page

_STYLE = """
.legend span { padding: 0.1em 0.4em; border-radius: 0.2em; }
.legend .for { background: rgba(var(--for), 0.5); border-bottom: 2px solid rgb(var(--for)); }
.legend .against { background: rgba(var(--against), 0.5); border-bottom: 2px dashed rgb(var(--against)); }
th { white-space: nowrap; }
.bars { width: 100%; max-width: 48rem; }
.bar { width: 100%; min-width: 5rem; }
.bar div { height: 0.9em; margin-top: 0.3em; border-radius: 0.15em; }
.bar .for { background: rgb(var(--for)); }
.bar .against { background: repeating-linear-gradient(90deg, rgb(var(--against)) 0 4px, transparent 4px 6px); }
"""
TITLE_LENGTH = 60


def explain_page(checkpoint: str, found: Sequence[tuple[Explanation, Trace | None]], top: int) -> str:
    """Return explanations as a page.

    Parameters
    ----------
    checkpoint : str
        Whose predictions they are.
    found : sequence of (Explanation, Trace or None)
        One for each text.
    top : int
        Words in each table.

    Returns
    -------
    str
        HTML that needs no other file.

    Raises
    ------
    RnncliError
        If there are traces and what draws their pictures is not installed.
    """
    parts = [
        f'<p class="faint">{escape(short_label(checkpoint, 200))}: which words pushed its predictions, and how far</p>'
    ]
    if len(found) > 1:
        links = (f'<li><a href="#text{n}">{_title(e, n)}</a></li>' for n, (e, _) in enumerate(found, start=1))
        parts.append(f"<nav><ul>{''.join(links)}</ul></nav>")
    for number, (explanation, trace) in enumerate(found, start=1):
        parts.append(f'<section id="text{number}">')
        if len(found) > 1:
            parts.append(f"<h2>{_title(explanation, number)}</h2>")
        parts += _explained(explanation, top)
        if trace is not None:
            parts += _traced(trace, explanation.tokens, number)
        parts.append("</section>")
    return page("Explained predictions", "\n".join(parts), style=WORDS_STYLE + STEPS_STYLE + _STYLE)


def _name(explanation: Explanation, place: int) -> str:
    return escape(short_label(explanation.subject.labels[place]))


def _title(explanation: Explanation, number: int) -> str:
    text = LINE_BREAK.sub(" ", explanation.subject.text)
    start = short_label(" ".join(text.split()), TITLE_LENGTH)
    return f"{number}. {_name(explanation, explanation.predicted)}: {escape(start)}"


def _explained(explanation: Explanation, top: int) -> list[str]:
    """Return the paragraphs and the table of one text."""
    subject, found, method = explanation.subject, explanation.attribution, explanation.method
    label, predicted = _name(explanation, explanation.label), _name(explanation, explanation.predicted)
    p = explanation.probabilities
    asked = escape(shown_on_one_line(subject.asked)) or "predicted"
    asked = asked[0].upper() + asked[1:]
    lines = [f"{asked}: <strong>{predicted}</strong>, probability {p[explanation.predicted]:.4f}."]
    if explanation.label != explanation.predicted:
        lines.append(f"Explained: <strong>{label}</strong>, probability {p[explanation.label]:.4f}.")
    how = f"integrated gradients at {found.steps} points"
    if method.name == "gradient":
        how = "gradient times input, which need not add up"
    lines += [
        f"Log-odds of {label}: {found.score:+.3f};",
        f"where every {subject.noun} is {BASELINES[method.baseline]}, {found.baseline_score:+.3f}.",
        f"The pushes add up to {explanation.scores.sum():+.3f}, off by {abs(found.error):.1g} ({how}).",
    ]
    if explanation.leave_one_out is not None and explanation.rank_correlation is not None:
        lines.append(f"Rank correlation with leaving each {subject.noun} out: {explanation.rank_correlation:+.3f}.")
    if subject.attention is not None and len(subject.tokens) > 1:
        half, (most, *_) = explanation.attended()
        lines.append(f"Half of the model's attention is on {half:,} of {len(subject.tokens):,} {subject.noun}s,")
        lines.append(f"the most, {subject.attention[most]:.1%}, on {escape(short_label(explanation.shown(most)))};")
        lines.append("point at a word to see its own.")
    if subject.phrases is not None:
        phrases = explanation.phrases()
        named = (f"{escape(short_label(name, PHRASE_WIDTH))} {effect:+.2f}" for name, effect in phrases[:MOST_PHRASES])
        strongest = f"; by themselves: {', '.join(named)}" if phrases else ""
        lines.append(f"Where nothing is said there is no n-gram; here are {len(phrases):,} with a weight{strongest}.")
    unknown = sum(not known for known in subject.known)
    if unknown:
        share = f"{unknown} of {len(subject.tokens)} {subject.noun}s"
        lines.append(f"{share} are unknown to the model: <em>in italics</em>, underlined with dots.")
    if subject.unread:
        lines.append(f"{subject.unread} {subject.noun}s beyond data.max_length were not read: they are pale.")
    labels = subject.labels
    away = f"towards {_name(explanation, 1 - explanation.label)}" if len(labels) == 2 else f"away from {label}"
    return [
        f"<p>{' '.join(lines)}</p>",
        f'<p class="legend"><span class="for">pushes towards {label}</span> '
        f'<span class="against">pushes {away}</span></p>',
        pieces_html(explanation.pieces()),
        *_strongest(explanation, top),
    ]


def _strongest(explanation: Explanation, top: int) -> list[str]:
    scores, left_out = explanation.scores, explanation.leave_one_out
    full = float(np.abs(scores).max()) or 1.0
    form = f"+.{decimals(full, 3)}f"
    attention = explanation.subject.attention
    extra = "" if left_out is None else '<th class="number">left out</th>'
    extra += "" if attention is None else '<th class="number">attention</th>'
    heads = (
        f'<th>{explanation.subject.noun}</th><th class="number">no.</th><th class="number">push</th>{extra}<th></th>'
    )
    rows = [f"<tr>{heads}</tr>"]
    for place in explanation.strongest(top):
        word = escape(short_label(explanation.shown(place)))
        unknown = "" if explanation.subject.known[place] else " <em>(unknown)</em>"
        cells = [f"<td>{word}{unknown}</td>", f'<td class="number">{place + 1}</td>']
        cells.append(f'<td class="number">{scores[place]:{form}}</td>')
        if left_out is not None:
            shown = "" if np.isnan(left_out[place]) else format(left_out[place], form)
            cells.append(f'<td class="number">{shown}</td>')
        if attention is not None:
            cells.append(f'<td class="number">{attention[place]:.1%}</td>')
        side = "for" if scores[place] > 0 else "against"
        width = 100 * abs(scores[place]) / full
        cells.append(f'<td class="bar"><div class="{side}" style="width: {width:.1f}%"></div></td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return [
        f"<h3>The strongest {explanation.subject.noun}s</h3>",
        f'<div class="scroll" tabindex="0"><table class="bars">{"".join(rows)}</table></div>',
    ]


def _traced(trace: Trace, tokens: Sequence[str], number: int) -> list[str]:
    """Return the pictures of one text."""
    parts = [
        "<h3>How far back the gradient reaches</h3>",
        _figure(
            gradients_svg(trace, tokens, f"Gradient by step, text {number}"),
            "The norm of the gradient of the log-odds by each word and by each state. Where it falls towards one end, "
            "what stood there counts for little.",
        ),
    ]
    for layer in trace.layers:
        parts += [
            f"<h3>Step by step: {escape(layer.name)}</h3>",
            _figure(
                gates_svg(layer, tokens, f"Gates of {layer.name}, text {number}"),
                "A row for each unit, a column for each word; on top the unit that pushed the log-odds up the most, at "
                "the bottom the one that pushed them down the most.",
            ),
        ]
    return parts


def _figure(picture: str, caption: str) -> str:
    return f'<figure class="steps" tabindex="0">{picture}<figcaption>{caption}</figcaption></figure>'
