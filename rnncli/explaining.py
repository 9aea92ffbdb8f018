"""Which words of a text pushed a prediction, and how far."""

from difflib import get_close_matches
from typing import Any

import numpy as np

from rnncli.attributions import gradient_times_input, integrated_gradients, log_odds
from rnncli.data.rows import short_label
from rnncli.errors import ConfigError, RnncliError
from rnncli.explanations import INTEGRATED, BaselineName, Explanation, Method
from rnncli.layers.activations import softmax
from rnncli.packing import Array
from rnncli.score_functions import score_function, scores_without
from rnncli.subjects import Subject, shown_token, subject_of
from rnncli.trained import Trained

GROWTH = 64  # by how much the points may become more


def explain(
    trained: Trained,
    text: str,
    *,
    label: str | None = None,
    word: int | None = None,
    method: Method = INTEGRATED,
    leave_one_out: bool = False,
) -> Explanation:
    """Work out how far each word of a text pushed a model's prediction.

    Parameters
    ----------
    trained : Trained
        A loaded checkpoint of any task.
    text : str
        Any text; see :func:`rnncli.subjects.subject_of`.
    label : str, optional
        What is explained: a label, a tag, a token that could come next; what is predicted when not given.
    word : int, optional
        Of a tagger, the word whose tag is explained, from 1.
    method : Method
        How.
    leave_one_out : bool
        Also score the text without each of its words.

    Returns
    -------
    Explanation
        Pushes in log-odds: the natural logarithm of how much likelier the label is than all others together. Of two
        labels one has the pushes of the other with the sign turned.

    Raises
    ------
    ConfigError
        If the model does not have that label, word or baseline.
    RnncliError
        If the model's score of the text, or of the baseline in its place, is not finite.
    """
    subject = subject_of(trained, text, word)
    return explain_subject(subject, label=label, method=method, leave_one_out=leave_one_out)


def explain_subject(
    subject: Subject, *, label: str | None = None, method: Method = INTEGRATED, leave_one_out: bool = False
) -> Explanation:
    """Work out how far each token of a subject pushed a prediction; see :func:`explain`."""
    _refuse_not_finite(subject.scores)
    predicted = int(subject.scores.argmax())
    chosen = predicted if label is None else _place(label, subject.labels)
    x = subject.inputs
    method = method._replace(baseline=_baseline(subject, method.baseline))
    baseline = np.broadcast_to(subject.baselines[method.baseline], x.shape)
    f = score_function(subject.read, chosen)
    if method.name == "gradient":
        found = gradient_times_input(f, x, baseline)
    else:
        found = integrated_gradients(
            f, x, baseline, steps=method.steps, tolerance=method.tolerance, most_steps=GROWTH * method.steps
        )
    _refuse_not_finite(np.append(found.pushes, found.baseline_score))
    without = None
    if leave_one_out:
        whole = log_odds(subject.scores[None].astype(np.float64), chosen)[0][0]
        nothing = subject.baselines.get("unknown", np.zeros_like(x[0]))[None]
        without = whole - scores_without(x, subject.reader_without, chosen, nothing, subject.inputs_without)
    return Explanation(subject, chosen, predicted, softmax(subject.scores), method, found, without)


def _refuse_not_finite(numbers: Array) -> None:
    if not np.isfinite(numbers).all():
        raise RnncliError("the model's scores are not finite", remedy="Use a checkpoint of an earlier step")


def _place(label: str, labels: tuple[str, ...]) -> int:
    if label not in labels:  # a language model's labels may be in quotes
        label = shown_token(label)
    if label not in labels:
        known = ", ".join(map(short_label, labels[:20])) + (", ..." if len(labels) > 20 else "")
        close = get_close_matches(label, labels, 1)
        remedy = f"Did you mean {short_label(close[0])!r}?" if close else f"Give one of {known}"
        raise ConfigError(f"{short_label(label)!r} is not a label of the model", where="--label", remedy=remedy)
    return labels.index(label)


def _baseline(subject: Subject, wanted: BaselineName) -> Any:
    """Return the name of the baseline to use."""
    names = list(subject.baselines)
    if wanted == "even":
        T = len(subject.inputs)
        texts = np.stack([np.broadcast_to(vector, (T, len(vector))) for vector in subject.baselines.values()])
        p = softmax(subject.read(texts).scores.astype(np.float64))
        entropy = -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)
        return names[int(entropy.argmax())]
    if wanted not in names:
        raise ConfigError(
            f"{wanted!r} is not there for this model", where="--baseline", remedy=f"Give one of {', '.join(names)}"
        )
    return wanted
