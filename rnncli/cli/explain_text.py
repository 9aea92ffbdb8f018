"""An explanation as lines for a terminal: the text in colours, then the words that pushed the most."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import click
import numpy as np

from rnncli.cli.tables import columns, table
from rnncli.coloured_words import Piece, largest
from rnncli.data.rows import short_label
from rnncli.errors import shown_on_one_line
from rnncli.explaining import BASELINES, Explanation
from rnncli.gate_traces import OPEN, SHUT, Trace
from rnncli.packing import Array

MOST_UNKNOWN = 12  # unknown words that are named
WORD_WIDTH = 28
AROUND = 3  # lines: blank ones, and the prompt
LEAST_TEXT = 4  # lines that the text gets on however small a terminal
BAR = 30
_LEVELS = (0.6, 0.25, 0.08)  # of the largest push
# Background and letters of each level, from the 256 colours that terminals have; readable on light and on dark.
_FOR = ((25, 231), (75, 16), (153, 16))
_AGAINST = ((166, 231), (215, 16), (223, 16))
_FOR_INK, _AGAINST_INK = 33, 166
_TICKS = "▁▂▃▄▅▆▇█"


class Look(NamedTuple):
    """What there is to print on.

    Attributes
    ----------
    width : int
        Columns.
    height : int or None
        Lines; None for as many as it takes.
    colours : bool
        Whether colours are shown.
    top : int
        Words in the table.
    """

    width: int
    height: int | None
    colours: bool
    top: int


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
    summary = [line for fact in _summary(explanation) for line in _fitted(fact, look.width)]
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
    lines.append(f"pushes      {explanation.scores.sum():+.2f} together, {start}")
    if method.name == "integrated":
        enough = "" if abs(found.error) <= method.tolerance else f", more than {method.tolerance:g}: give more --steps"
        lines.append(f"method      integrated gradients at {found.steps} points, off by {abs(found.error):.1g}{enough}")
    else:
        lines.append(f"method      gradient times input, which need not add up: off by {abs(found.error):.2g}")
    if explanation.leave_one_out is not None:
        rho = explanation.rank_correlation
        agreement = "not defined" if rho is None else f"{rho:+.2f}"
        lines.append(f"left out    rank correlation of pushes with leaving each {subject.noun} out: {agreement}")
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


def _fitted(line: str, width: int, indent: int = 12) -> list[str]:
    """Wrap a line, with what is wrapped under what it belongs to."""
    return textwrap.wrap(line, max(width, 40), subsequent_indent=" " * indent, break_on_hyphens=False)


def percent(p: float) -> str:
    """Return a probability; one that is not quite 0 or 1 does not look as if it were."""
    shown = f"{p:.1%}"
    return {"100.0%": ">99.9%", "0.0%": "<0.1%"}.get(shown, shown) if 0 < p < 1 else shown


def counted(count: int, noun: str) -> str:
    """Return ``1 word``, ``2,000 words``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def text_lines(pieces: Sequence[Piece], look: Look, *, mark: float = 0.0) -> list[str]:
    """Lay out a text in pieces, each word with the colour of its push.

    Parameters
    ----------
    pieces : sequence of Piece
        The text.
    look : Look
        Where the height does not suffice, the lines with the strongest words are shown.
    mark : float
        Where there are no colours, pushes from this on stand in brackets behind their words.

    Returns
    -------
    list of str
        Lines that fit the width.
    """
    full = largest(pieces)
    lines: list[str] = []
    peaks: list[float] = []  # the strongest push of each line
    line, used, peak, blanks = "", 0, 0.0, 0
    for chunk in _chunks(pieces):
        if chunk is None:
            lines.append(line)
            peaks.append(peak)
            line, used, peak, blanks = "", 0, 0.0, 0
            continue
        styled = "".join(_styled(piece, full, mark, look) for piece in chunk)
        size = columns(styled)
        if used and used + blanks + size > look.width:
            lines.append(line)
            peaks.append(peak)
            line, used, peak, blanks = "", 0, 0.0, 0
        line += " " * blanks + styled
        used, blanks = used + blanks + size, 0 if _is_blank(chunk[-1]) else 1
        peak = max(peak, *(abs(piece.push or 0) for piece in chunk))
    lines.append(line)
    peaks.append(peak)
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    return _shortened(lines, peaks, look.height)


def _chunks(pieces: Iterable[Piece]) -> Iterator[list[Piece] | None]:
    """Yield what stands between white space, and None for the end of a line; many empty lines are one."""
    chunk: list[Piece] = []
    ends = 2
    for piece in pieces:
        for number, part in enumerate(piece.text.split("\n")):
            if number:
                if chunk:
                    yield chunk
                    chunk, ends = [], 0
                if ends < 2:
                    yield None
                ends += 1
            if piece.push is not None:
                chunk.append(piece._replace(text=part))
                if part.isspace():  # a character of its own
                    yield chunk
                    chunk, ends = [], 0
                continue
            words = part.split()
            if chunk and (not words or part[0].isspace()):
                yield chunk
                chunk, ends = [], 0
            for place, word in enumerate(words):
                chunk.append(piece._replace(text=word))
                if place + 1 < len(words) or part[-1].isspace():
                    yield chunk
                    chunk, ends = [], 0
    if chunk:
        yield chunk


def _is_blank(piece: Piece) -> bool:
    return piece.push is not None and piece.text.isspace()


def _styled(piece: Piece, full: float, mark: float, look: Look) -> str:
    text = shown_on_one_line(piece.text)
    if len(text) > look.width:
        text = text[: look.width - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if piece.unread:
        return click.style(text, dim=True)
    if piece.push is None:
        return text
    size = abs(piece.push) / full
    if not look.colours:
        return f"{text}[{piece.push:+.2f}]" if abs(piece.push) >= mark else text
    level = next((number for number, least in enumerate(_LEVELS) if size >= least), None)
    underline = True if piece.unknown else None
    if level is None:
        return click.style(text, underline=underline) if underline else text
    background, ink = (_FOR if piece.push > 0 else _AGAINST)[level]
    return click.style(text, bg=background, fg=ink, bold=True if level == 0 else None, underline=underline)


def _weakest_shown(explanation: Explanation, look: Look) -> float:
    """Return the size of the last push of the table."""
    return abs(float(explanation.scores[explanation.strongest(look.top)[-1]]))


def _shortened(lines: list[str], peaks: list[float], height: int | None) -> list[str]:
    """Keep the lines with the strongest words, in order, where there are more than fit."""
    if height is None or len(lines) <= height:
        return lines
    by_peak = np.argsort(-np.array(peaks), kind="stable").tolist()
    for count in range(height - 1, 0, -1):
        kept = sorted(by_peak[:count])
        left = counted(len(lines) - count, "line")
        out = [f"({left} with weaker words left out; --html FILE has the whole text)"]
        after = len(lines)
        for number in reversed(kept):
            out = [lines[number], *(["\N{HORIZONTAL ELLIPSIS}"] if number + 1 < after else []), *out]
            after = number
        out = [*(["\N{HORIZONTAL ELLIPSIS}"] if after else []), *out]
        if len(out) <= height:
            break
    return out


def _strongest(explanation: Explanation, look: Look) -> list[str]:
    scores, left_out = explanation.scores, explanation.leave_one_out
    places = explanation.strongest(look.top)
    full = float(np.abs(scores).max()) or 1.0
    noun = explanation.subject.noun
    heads = [noun, "no.", "push"] + ([] if left_out is None else ["left out"])
    rows = []
    for place in places:
        name = short_label(explanation.shown(place), WORD_WIDTH)
        row = [name + ("" if explanation.subject.known[place] else " (unknown)"), str(place + 1)]
        row.append(f"{scores[place]:+.2f}")
        if left_out is not None:
            row.append("-" if np.isnan(left_out[place]) else f"{left_out[place]:+.2f}")
        rows.append(row)
    head, *lines = table(heads, rows)
    room = max(8, min(BAR, look.width - columns(head) - 4))
    out = [head]
    for line, place in zip(lines, places, strict=True):
        sign, ink = ("+", _FOR_INK) if scores[place] > 0 else ("-", _AGAINST_INK)
        out.append(f"{line}  {click.style(sign * round(room * abs(scores[place]) / full), fg=ink)}".rstrip())
    rest = len(scores) - len(places)
    if rest:
        others = float(scores.sum() - scores[places].sum())
        out.append(f"the other {counted(rest, noun)}: {others:+.2f} together")
    return [*out, *_fitted(_legend(explanation), look.width, 2)]


def _legend(explanation: Explanation) -> str:
    labels = [short_label(label) for label in explanation.subject.labels]
    label = labels[explanation.label]
    away = f"towards {labels[1 - explanation.label]}" if len(labels) == 2 else f"away from {label}"
    return f"+ (blue) pushes towards {label}, - (orange) {away}; in log-odds"


def trace_lines(trace: Trace, probability: float, look: Look) -> list[str]:
    """Lay out what happens inside a model: gradients by step, and how far the gates are open.

    Parameters
    ----------
    trace : Trace
        What to show.
    probability : float
        Of the label that is explained.
    look : Look
        On what.

    Returns
    -------
    list of str
        A curve for each layer, on a logarithmic scale of its own; and a table of gates.
    """
    T = len(trace.dx)
    curves = [("input |dx|", trace.input_gradient_norms)]
    curves += [(f"{layer.name} |dh|", layer.gradient_norms) for layer in trace.layers]
    names = max(len(name) for name, _ in curves)
    room = max(8, min(T, look.width - names - 24))
    of_loss = f"the loss's: {1 - probability:.2g} of it"
    lines = _fitted(f"gradient of the log-odds, step 1 to {T:,}, logarithmic ({of_loss})", look.width, 2)
    for name, norms in curves:
        lines.append(f"{name:{names}}  {norms[0]:8.1e}  {sparkline(norms, room)}  {norms[-1]:8.1e}")
    rows = []
    for layer in trace.layers:
        for gate in layer.sigmoids:
            values = layer.values[gate]
            shut, opened = np.mean(values < SHUT), np.mean(values > OPEN)
            rows.append([f"{layer.name} {gate}", f"{values.mean():.2f}", f"{shut:.0%}", f"{opened:.0%}"])
    if rows:
        lines += ["", *table([f"gate, {counted(T, 'step')}", "mean", f"below {SHUT}", f"above {OPEN}"], rows)]
    return lines


def sparkline(values: Array, width: int) -> str:
    """Return a curve of positive values as one line of text, on a logarithmic scale.

    Parameters
    ----------
    values : ndarray of shape (T,)
        Zero is drawn as a blank.
    width : int
        Most characters; of more values each character is the geometric mean of its share.

    Returns
    -------
    str
        From the lowest bar, the smallest, to the full one, the largest.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    bins = np.array_split(logs, min(width, len(logs)))
    means = np.array([part.mean() for part in bins])
    finite = means[np.isfinite(means)]
    if not len(finite):
        return " " * len(means)
    low, span = finite.min(), float(np.ptp(finite)) or 1.0
    places = np.where(np.isfinite(means), (means - low) / span * (len(_TICKS) - 1), -1).round().astype(int)
    return "".join(_TICKS[place] if place >= 0 else " " for place in places)
