"""An explanation as lines for a terminal: the text in colours, then the words that pushed the most."""

import click
import numpy as np

from rnncli.cli.coloured_text import Look, counted, fitted, text_lines
from rnncli.cli.tables import columns, table
from rnncli.coloured_words import decimals
from rnncli.data.rows import short_label
from rnncli.errors import shown_on_one_line
from rnncli.explanations import BASELINES, MOST_PHRASES, PHRASE_WIDTH, Explanation

MOST_UNKNOWN = 12  # unknown words that are named
MOST_ATTENDED = 4
WORD_WIDTH = 28
AROUND = 3  # lines: blank ones, and the prompt
LEAST_TEXT = 4  # lines that the text gets on however small a terminal
BAR = 30
_FOR_INK, _AGAINST_INK = 33, 166


def explanation_lines(explanation: Explanation, look: Look) -> list[str]:
    """Lay out an explanation.

    Parameters
    ----------
    explanation : Explanation
        What to show.
    look : Look
        On what.

    Returns
    -------
    list of str
        Lines, with the styles of click.
    """
    summary = [line for fact in _summary(explanation) for line in fitted(fact, look.width)]
    strongest = _strongest(explanation, look)
    if look.height is not None:
        look = look._replace(height=max(LEAST_TEXT, look.height - len(summary) - len(strongest) - AROUND))
    text = text_lines(explanation.pieces(), look, mark=_weakest_shown(explanation, look))
    shown = [*text, ""] if any(click.unstyle(line).strip() for line in text) else []
    return [*summary, "", *shown, *strongest]


def _summary(explanation: Explanation) -> list[str]:
    subject, found, method = explanation.subject, explanation.attribution, explanation.method
    labels = subject.labels
    label = short_label(labels[explanation.label])
    p = explanation.probabilities
    asked = f": {shown_on_one_line(subject.asked)}" if subject.asked else ""
    lines = [f"predicted   {short_label(labels[explanation.predicted])}, {percent(p[explanation.predicted])}{asked}"]
    share = "" if explanation.label == explanation.predicted else f" ({percent(p[explanation.label])})"
    against = "all others" if len(labels) != 2 else short_label(labels[1 - explanation.label])
    lines.append(f"explained   log-odds of {label}{share} against {against}: {found.score:+.2f}")
    base = BASELINES[method.baseline]
    start = f"from {found.baseline_score:+.2f} where every {subject.noun} is {base}"
    if subject.phrases is not None:
        start += " and there is no n-gram"
    lines.append(f"pushes      {explanation.scores.sum():+.2f} together, {start}")
    if method.name == "integrated":
        how = f"integrated gradients at {found.steps} points, off by {abs(found.error):.1g}"
        if abs(found.error) > method.tolerance:
            how += f", more than {method.tolerance:g}: try --steps {4 * method.steps}"
        lines.append(f"method      {how}")
    else:
        lines.append(f"method      gradient times input, which need not add up: off by {abs(found.error):.2g}")
    if explanation.leave_one_out is not None:
        rho = explanation.rank_correlation
        agreement = "not defined" if rho is None else f"{rho:+.2f}"
        lines.append(f"left out    rank correlation of pushes with leaving each {subject.noun} out: {agreement}")
    if subject.attention is not None and len(subject.tokens) > 1:
        lines.append(f"attention   {_attended(explanation)}")
    if subject.phrases is not None:
        lines.append(f"n-grams     {_phrases(explanation)}")
    unknown = [explanation.shown(n) for n, known in enumerate(subject.known) if not known]
    if not subject.text.split() and unknown:
        lines.append(f"unknown     the text has no {subject.noun}; the model reads the unknown one")
    elif unknown:
        named = list(dict.fromkeys(short_label(word, WORD_WIDTH) for word in unknown))
        more = f" and {len(named) - MOST_UNKNOWN} more" if len(named) > MOST_UNKNOWN else ""
        share = f"{len(unknown)} of {counted(len(subject.tokens), subject.noun)}"
        lines.append(f"unknown     {share}: {', '.join(named[:MOST_UNKNOWN])}{more}")
    if subject.unread:
        lines.append(f"not read    {counted(subject.unread, subject.noun)} beyond data.max_length")
    return lines


def _attended(explanation: Explanation) -> str:
    """Say on how many words half of the attention lies, and on which most of it."""
    weights = explanation.subject.attention
    assert weights is not None
    half, order = explanation.attended()
    names = [short_label(explanation.shown(place), WORD_WIDTH) for place in order[:MOST_ATTENDED]]
    most = ", ".join(f"{name} {percent(weights[place])}" for name, place in zip(names, order, strict=False))
    return f"half of it is on {half:,} of {counted(len(weights), explanation.subject.noun)}; the most: {most}"


def _phrases(explanation: Explanation) -> str:
    """Say which n-grams matter the most."""
    phrases = explanation.phrases()
    strongest = ", ".join(f"{short_label(name, PHRASE_WIDTH)} {effect:+.2f}" for name, effect in phrases[:MOST_PHRASES])
    return f"{len(phrases):,} with a weight{'; by themselves: ' if phrases else ''}{strongest}"


def percent(p: float) -> str:
    """Return a probability; one that is not quite 0 or 1 does not look as if it were."""
    shown = f"{p:.1%}"
    return {"100.0%": ">99.9%", "0.0%": "<0.1%"}.get(shown, shown) if 0 < p < 1 else shown


def _weakest_shown(explanation: Explanation, look: Look) -> float:
    """Return the size of the last push of the table."""
    return abs(float(explanation.scores[explanation.strongest(look.top)[-1]]))


def _strongest(explanation: Explanation, look: Look) -> list[str]:
    scores, left_out = explanation.scores, explanation.leave_one_out
    places = explanation.strongest(look.top)
    full = float(np.abs(scores).max()) or 1.0
    form = f"+.{decimals(full, 2)}f"
    noun = explanation.subject.noun
    attention = explanation.subject.attention
    heads = [noun, "no.", "push", *([] if left_out is None else ["left out"])]
    heads += [] if attention is None else ["attention"]
    rows = []
    for place in places:
        name = short_label(explanation.shown(place), WORD_WIDTH)
        row = [name + ("" if explanation.subject.known[place] else " (unknown)"), str(place + 1)]
        row.append(format(scores[place], form))
        if left_out is not None:
            row.append("-" if np.isnan(left_out[place]) else format(left_out[place], form))
        if attention is not None:
            row.append(percent(attention[place]))
        rows.append(row)
    head, *lines = table(heads, rows)
    room = max(4, min(BAR, look.width - columns(head) - 2))
    out = [head]
    for line, place in zip(lines, places, strict=True):
        sign, ink = ("+", _FOR_INK) if scores[place] > 0 else ("-", _AGAINST_INK)
        bar = sign * round(room * abs(scores[place]) / full)
        out.append(f"{line}  {click.style(bar, fg=ink)}" if bar else line)
    rest = len(scores) - len(places)
    if rest:
        others = float(scores.sum() - scores[places].sum())
        out.append(f"the other {noun if rest == 1 else counted(rest, noun)}: {others:{form}}")
    return [*out, *fitted(_legend(explanation, look), look.width, 2)]


def _legend(explanation: Explanation, look: Look) -> str:
    labels = [short_label(label) for label in explanation.subject.labels]
    label = labels[explanation.label]
    away = f"towards {labels[1 - explanation.label]}" if len(labels) == 2 else f"away from {label}"
    blue, orange = (" (blue)", " (orange)") if look.colours else ("", "")
    return f"+{blue} pushes towards {label}, -{orange} {away}; in log-odds"
