"""What an explanation says: how far each word of a text pushed, and how that was worked out."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from rnncli.attributions import Attribution, log_odds, rank_correlation
from rnncli.coloured_words import Piece
from rnncli.data.tokenizers import LINE_BREAK
from rnncli.gate_traces import Trace
from rnncli.packing import Array
from rnncli.score_functions import trace_of
from rnncli.subjects import Subject, shown_token

MethodName = Literal["integrated", "gradient"]
BaselineName = Literal["even", "zero", "mean", "common", "unknown"]
BASELINES = {"zero": "zeros", "mean": "the mean word", "common": "a common word", "unknown": "the unknown word"}


class Method(NamedTuple):
    """How pushes are worked out.

    Attributes
    ----------
    name : {"integrated", "gradient"}
        Integrated gradients, or gradient times input.
    baseline : {"even", "zero", "mean", "common", "unknown"}
        What stands in every word's place where nothing is said; see :func:`rnncli.subjects.word_baselines`. "even" is
        the one of them for which the model's prediction is the most even, at the length of this text: a recurrent
        network can read a row of zeros as strong words (an IMDB model gave 400 of them log-odds of -4.5).
    steps, tolerance
        As for :func:`rnncli.attributions.integrated_gradients`; there may come to be 64 times as many steps.
    """

    name: MethodName = "integrated"
    baseline: BaselineName = "even"
    steps: int = 16
    tolerance: float = 0.01


INTEGRATED = Method()
MOST_PHRASES = 5  # n-grams that are named
PHRASE_WIDTH = 40  # characters of one
MOST_LABELS = 20  # whose probabilities the JSON has


@dataclass(frozen=True)
class Explanation:
    """How far each word of a text pushed the log-odds of a label.

    Attributes
    ----------
    subject : Subject
        The text, its tokens, where they lie in it and which the model knows.
    label : int
        What is explained, a place in ``subject.labels``.
    predicted : int
        What the model predicts.
    probabilities : ndarray of shape (C,)
        Of each label.
    method : Method
        How the pushes were worked out; with the baseline that was used.
    attribution : Attribution
        The pushes, and the log-odds they explain.
    leave_one_out : ndarray of shape (T,) or None
        By how much the log-odds are higher with each word than without it; NaN for the word that a tag is of.
    """

    subject: Subject
    label: int
    predicted: int
    probabilities: Array
    method: Method
    attribution: Attribution
    leave_one_out: Array | None = None

    @property
    def tokens(self) -> list[str]:
        """What the model read, T tokens."""
        return self.subject.tokens

    @property
    def scores(self) -> Array:
        """How far each token pushed, (T,); positive for the label."""
        return self.attribution.pushes

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's rank correlation of the pushes with leaving one out, where that was asked for."""
        if self.leave_one_out is None:
            return None
        there = ~np.isnan(self.leave_one_out)
        return rank_correlation(self.scores[there], self.leave_one_out[there])

    def trace(self) -> Trace:
        """Return gates, states and gradients of the log-odds at each step."""
        return trace_of(self.subject.read, self.subject.inputs, self.label, self.subject.layers)

    def strongest(self, count: int | None = None) -> list[int]:
        """Return the places of the tokens that pushed the most, in either direction, the strongest first."""
        order: list[int] = np.argsort(-np.abs(self.scores), kind="stable").tolist()
        return order[:count]

    def attended(self) -> tuple[int, list[int]]:
        """Return on how many tokens half of the attention lies, and the places of all from the most attended on."""
        weights = self.subject.attention
        assert weights is not None
        order = np.argsort(-weights, kind="stable")
        half = int(np.searchsorted(np.cumsum(weights[order], dtype=np.float64), 0.5)) + 1
        return min(half, len(order)), order.tolist()

    def phrases(self) -> list[tuple[str, float]]:
        """Return the n-grams of the text, each with what it adds to the log-odds; the strongest first."""
        if self.subject.phrases is None:
            return []
        spans, scores = self.subject.phrases
        without = self.subject.scores.astype(np.float64) - scores
        effects = self.attribution.score - log_odds(without, self.label)[0]
        order = np.argsort(-np.abs(effects), kind="stable").tolist()
        names = [" ".join(self.subject.tokens[slice(*span)]) for span in spans]
        return [(names[n], float(effects[n])) for n in order]

    def shown(self, place: int) -> str:
        """Return a token as the text has it, where that can be read, else as the model does."""
        subject = self.subject
        start, end = (0, 0) if subject.spans is None else subject.spans[place]
        return shown_token(subject.text[start:end] or subject.tokens[place])

    def pieces(self) -> list[Piece]:
        """Return the text as its author wrote it, with the push of each word; or its tokens where they are not found.

        What ``max_length`` cuts off is there as unread, an HTML line break as the end of a line.
        """
        subject = self.subject
        attention: list[Any] = [None] * len(subject.tokens) if subject.attention is None else subject.attention.tolist()
        pushes = zip(subject.tokens, self.scores.tolist(), subject.known, attention, strict=True)
        if subject.spans is None:
            pieces = []
            for token, push, known, weight in pushes:
                pieces += [Piece(token, push, not known, attention=weight), Piece(" ")]
            return pieces[:-1]
        text, pieces, place = subject.text, [], 0
        first, last = subject.spans[0][0], subject.spans[-1][1]
        for (start, end), (_, push, known, weight) in zip(subject.spans, pushes, strict=True):
            if start > place:
                pieces.append(_between(text[place:start], cut_off=start == first))
            if end > place:  # of two tokens made from one character the first one gets it
                pieces.append(Piece(text[max(start, place) : end], push, not known, attention=weight))
            place = end
        if text[last:]:
            pieces.append(_between(text[last:], cut_off=True))
        return pieces

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON holds it; numbers are not rounded."""
        subject, found = self.subject, self.attribution
        words = [
            {"word": token, "known": known, "push": push}
            for token, known, push in zip(subject.tokens, subject.known, self.scores.tolist(), strict=True)
        ]
        for number, word in enumerate(words):
            if subject.spans is not None:
                word["start"], word["end"] = subject.spans[number]
            if subject.attention is not None:
                word["attention"] = float(subject.attention[number])
            if self.leave_one_out is not None:
                effect = float(self.leave_one_out[number])
                word["leave_one_out"] = None if np.isnan(effect) else effect
        likeliest = np.argsort(-self.probabilities, kind="stable")[:MOST_LABELS].tolist()
        out: dict[str, Any] = {
            "text": subject.text,
            "asked": subject.asked or None,
            "label": subject.labels[self.label],
            "predicted": subject.labels[self.predicted],
            "probabilities": {subject.labels[place]: float(self.probabilities[place]) for place in likeliest},
            "log_odds": found.score,
            "method": self.method.name,
            "baseline": self.method.baseline,
            "baseline_log_odds": found.baseline_score,
            "points": found.steps,
            "sum": float(self.scores.sum()),
            "error": found.error,
            "unread": subject.unread,
            "words": words,
        }
        if subject.phrases is not None:
            out["ngrams"] = [{"text": name, "effect": effect} for name, effect in self.phrases()]
        if self.leave_one_out is not None:
            out["rank_correlation"] = self.rank_correlation
        return out


def _between(text: str, *, cut_off: bool) -> Piece:
    """Return what lies between two words, or before the first or after the last that was read."""
    shown = LINE_BREAK.sub("\n", text)
    return Piece(shown, unread=cut_off and not shown.isspace())
