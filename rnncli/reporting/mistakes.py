"""What a model got most wrong: confident mistakes, tags it would not have given, lines it did not expect."""

from collections.abc import Sequence
from html import escape

import numpy as np

from rnncli.coloured_words import STYLE as WORDS_STYLE
from rnncli.coloured_words import Piece, largest, pieces_html
from rnncli.config import Config
from rnncli.data.rows import short_label
from rnncli.errors import shown_on_one_line
from rnncli.evaluation import Evaluation
from rnncli.explaining import explain
from rnncli.judging import Judged
from rnncli.language_evaluation import LineCost
from rnncli.reporting.markup import Section, note, table_html
from rnncli.tagger_evaluation import TaggerEvaluation

MOST = 10  # of one run; of several, half of that each
SHORTEST_LINE = 10  # characters, below which a line's mean says little
LONGEST_TEXT = 4000  # characters shown of one
_PALE = 0.1  # of the largest push, below which a word is left without

STYLE = WORDS_STYLE


def mistakes(runs: Sequence[Judged]) -> Section | None:
    """Show what each run got most wrong.

    Parameters
    ----------
    runs : sequence of Judged
        The runs.

    Returns
    -------
    Section or None
        None where nothing could be evaluated.
    """
    most = MOST if len(runs) == 1 else MOST // 2
    html, title = "", ""
    for run in runs:
        if run.outcome is None:
            continue
        html += f"<h3>{escape(run.record.name)}</h3>" if len(runs) > 1 else ""
        details = run.outcome.details
        if isinstance(details, Evaluation):
            title, found = "Most confident mistakes", _texts(run, details, most)
        elif isinstance(details, TaggerEvaluation):
            title, found = "Costliest tags", _tags(details, most)
        else:
            title, found = "Costliest lines", _lines(details, 2 * most)
        html += found or note("None.")
    if not html:
        return None
    return Section(title, _legend(title) + html)


def _legend(title: str) -> str:
    if title == "Most confident mistakes":
        return (
            '<p><span class="key" style="background: rgba(var(--for), 0.5); border-bottom: 2px solid rgb(var(--for))">'
            "blue, solid line</span> pushed towards what was predicted, "
            '<span class="key" style="background: rgba(var(--against), 0.5); border-bottom: 2px dashed '
            'rgb(var(--against))">orange, broken line</span> away from it (integrated gradients); <i>italic</i>: words '
            "the model does not know; pale: what it did not read.</p>\n"
        )
    if title == "Costliest tags":
        return note("Words whose right tag was given the lowest probability, in their sentences.")
    return note(f"By bits per character, of lines of {SHORTEST_LINE} characters at least.")


def _texts(run: Judged, found: Evaluation, most: int) -> str:
    assert run.outcome is not None
    assert run.outcome.right is not None
    labels = run.record.trained.learned.labels
    confidence = found.probabilities.max(axis=1)
    wrong = np.flatnonzero(~run.outcome.right)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    html = ""
    for place in worst.tolist():
        row = found.rows[place]
        predicted = labels[int(found.predicted[place])]
        html += (
            f'<div class="mistake"><p><b>{escape(short_label(row.label))}</b>, predicted '
            f"<b>{escape(short_label(predicted))}</b> at {confidence[place]:.1%} "
            f'<span class="faint">{escape(shown_on_one_line(row.where))}</span></p>'
            f'<div tabindex="0">{_coloured(run, row.text)}</div></div>\n'
        )
    return html


def _coloured(run: Judged, text: str) -> str:
    """Return a text with its words coloured by how far they pushed the prediction."""
    assert isinstance(run.record.trained.config, Config)
    pieces = explain(run.record.trained, text).pieces()
    scale = largest(pieces)
    shown: list[Piece] = []
    length = 0
    for piece in pieces:
        if length > LONGEST_TEXT:
            shown.append(Piece(" \N{HORIZONTAL ELLIPSIS}"))
            break
        length += len(piece.text)
        if piece.push is not None and abs(piece.push) < _PALE * scale and not piece.unknown:
            piece = Piece(piece.text)
        last = shown[-1] if shown else None
        if last is not None and last[1:] == piece[1:] and piece.push is None:
            shown[-1] = last._replace(text=last.text + piece.text)
        else:
            shown.append(piece)
    return pieces_html(shown, scale=scale)


def _tags(found: TaggerEvaluation, most: int) -> str:
    places = [(number, word) for number, sentence in enumerate(found.sentences) for word in range(len(sentence.words))]
    wrong = [
        place
        for place, (number, word) in enumerate(places)
        if found.sentences[number].tags[word] != found.predicted[number][word]
    ]
    # A tag that the model does not have cost more than any other.
    worst = sorted(wrong, key=lambda place: -np.nan_to_num(found.nats[place], nan=np.inf))[:most]
    html = ""
    for place in worst:
        number, word = places[place]
        sentence, nats = found.sentences[number], found.nats[place]
        likely = f"given probability {np.exp(-nats):.2g}" if np.isfinite(nats) else "a tag the model does not have"
        words = [
            f"<mark>{escape(shown_on_one_line(text))}</mark>" if other == word else escape(shown_on_one_line(text))
            for other, text in enumerate(sentence.words)
        ]
        html += (
            f'<div class="mistake"><p><b>{escape(short_label(sentence.tags[word]))}</b> ({likely}), predicted '
            f"<b>{escape(short_label(found.predicted[number][word]))}</b> "
            f'<span class="faint">{escape(shown_on_one_line(sentence.place(word)))}</span></p>'
            f"<p>{' '.join(words)}</p></div>\n"
        )
    return html


def _lines(lines: Sequence[LineCost], most: int) -> str:
    long = [line for line in lines if len(line.text) >= SHORTEST_LINE]
    worst = sorted(long, key=lambda line: -line.nats / (len(line.text) + 1))[:most]
    rows = [
        [f"{line.line:,}", f"{line.nats / np.log(2) / (len(line.text) + 1):.2f}", _excerpt(line.text)] for line in worst
    ]
    return table_html(["line", "bits/char", "text"], rows, words=(0, 2)) if rows else ""


def _excerpt(text: str) -> str:
    text = shown_on_one_line(text)
    return text if len(text) <= 200 else f"{text[:199]}\N{HORIZONTAL ELLIPSIS}"
