"""How good a tagger is: by word, by tag, by sentence and by entity. Everything is counted in whole numbers.

Where a ratio has nothing to divide by it is 0.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rnncli.data.tagging.schemes import Entity, Scheme, is_entity_tag, read_entities, read_strictly

Tags = Sequence[Sequence[str]]


class Score(NamedTuple):
    """How well a kind of thing is found.

    Parameters
    ----------
    precision, recall, f1 : float
        From 0 to 1.
    support : int
        How many there are.
    """

    precision: float
    recall: float
    f1: float
    support: int


class EntityScores(NamedTuple):
    """How well entities are found: both ends and the type have to be right.

    Parameters
    ----------
    kinds : dict of str to Score
        By type, sorted.
    micro : Score
        All entities alike.
    macro : Score
        The plain mean over the types.
    weighted : Score
        The mean over the types, each counting by its support.
    """

    kinds: dict[str, Score]
    micro: Score
    macro: Score
    weighted: Score


def token_accuracy(y_true: ArrayLike, y_pred: ArrayLike, only: ArrayLike | None = None) -> float | None:
    """Return the part of the words that are tagged rightly.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (total,)
        The tag of each word.
    only : array-like of bool, shape (total,), optional
        The words to count, such as those that training has not seen.

    Returns
    -------
    float or None
        From 0 to 1; None when there is no word to count.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    right = _right(y_true, y_pred)
    counted = right if only is None else right[np.asarray(only, dtype=bool)]
    return float(counted.mean()) if counted.size else None


def sentence_accuracy(y_true: ArrayLike, y_pred: ArrayLike, offsets: ArrayLike) -> float | None:
    """Return the part of the sentences in which every word is tagged rightly.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (total,)
        The tag of each word.
    offsets : array-like of shape (sentences + 1,)
        Where each sentence begins, and at the end the total; none of them is empty.

    Returns
    -------
    float or None
        From 0 to 1; None when there are no sentences.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    right, ends = _right(y_true, y_pred), np.asarray(offsets)
    if not len(ends) or ends[0] != 0 or ends[-1] != len(right) or (np.diff(ends) < 1).any():
        raise ValueError("offsets must begin at 0, rise and end at the number of words")
    return float(np.logical_and.reduceat(right, ends[:-1]).mean()) if len(ends) > 1 else None


def tag_scores(y_true: ArrayLike, y_pred: ArrayLike, tags: Sequence[str]) -> dict[str, Score]:
    """Return the scores of each tag that occurs or is predicted.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (total,)
        Places in ``tags``.
    tags : sequence of str
        The names.

    Returns
    -------
    dict of str to Score
        In the order of ``tags``.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    true, predicted = np.asarray(y_true, dtype=np.int64), np.asarray(y_pred, dtype=np.int64)
    right = true[_right(true, predicted)]
    found, made, there = (np.bincount(ids, minlength=len(tags)).tolist() for ids in (right, predicted, true))
    return {
        tag: _score(found[place], made[place], there[place])
        for place, tag in enumerate(tags)
        if made[place] or there[place]
    }


def entity_scores(true: Tags, predicted: Tags, scheme: Scheme | None = None) -> EntityScores:
    """Return how well entities are found, counted as the seqeval package counts them.

    Parameters
    ----------
    true, predicted : sequence of sequence of str
        The tags of each sentence: ``O``, ``B-PER`` and so on.
    scheme : {"iob1", "iob2", "iobes"}, optional
        None forgives tags that break the rules, as conlleval and seqeval's default do. With a scheme only what is
        marked by its letter counts, as in ``seqeval`` with ``mode="strict"``.

    Returns
    -------
    EntityScores
        By type and over all.

    Raises
    ------
    ValueError
        If the sentences do not pair up, a tag is none of an entity, or its letter is not the scheme's.
    """
    read: Callable[[Sequence[str]], list[Entity]] = read_entities
    if scheme is not None:
        chosen = scheme
        read = lambda tags: read_strictly(tags, chosen)  # noqa: E731 - one of two ways to read
    there: Counter[str] = Counter()
    made: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for gold, guess in zip(true, predicted, strict=True):
        if len(gold) != len(guess):
            raise ValueError(f"a sentence of {len(gold)} words has {len(guess)} predicted tags")
        if wrong := [tag for tag in {*gold, *guess} if not is_entity_tag(tag)]:
            raise ValueError(f"{min(wrong)!r} is not a tag of an entity")
        ours, theirs = set(read(gold)), set(read(guess))
        for counter, entities in ((there, ours), (made, theirs), (found, ours & theirs)):
            counter.update(entity.kind for entity in entities)
    kinds = {kind: _score(found[kind], made[kind], there[kind]) for kind in sorted({*there, *made})}
    support = there.total()
    return EntityScores(
        kinds=kinds,
        micro=_score(found.total(), made.total(), support),
        macro=_mean(kinds, dict.fromkeys(kinds, 1), support),
        weighted=_mean(kinds, there, support),
    )


def tagging_report(
    true: Tags, predicted: Tags, unseen: ArrayLike | None = None, scheme: Scheme | None = None
) -> dict[str, Any]:
    """Return every figure about a set of predictions, ready for JSON.

    Parameters
    ----------
    true, predicted : sequence of sequence of str
        The tags of each sentence, at least one sentence and none empty.
    unseen : array-like of bool, shape (total,), optional
        Which of the words, end to end, training has not seen.
    scheme : {"iob1", "iob2", "iobes"}, optional
        As for :func:`entity_scores`.

    Returns
    -------
    dict
        ``sentences``, ``tokens``, ``accuracy``, ``sentence_accuracy``, ``unseen_tokens`` and ``unseen_accuracy`` (None
        where there is nothing to count), ``macro_f1`` (over the tags that occur), ``tags`` (a list with ``tag``,
        ``precision``, ``recall``, ``f1``, ``support``) and ``entities``: None unless all tags are those of entities,
        else ``precision``, ``recall``, ``f1``, ``support`` over all, ``macro_f1``, ``weighted_f1`` and ``kinds``.

    Raises
    ------
    ValueError
        If the sentences do not pair up, or there are none.
    """
    if not true or [len(tags) for tags in true] != [len(tags) for tags in predicted]:
        raise ValueError("need as many predicted tags as words in each sentence, at least one sentence")
    names = sorted({tag for tags in (*true, *predicted) for tag in tags})
    numbers = {tag: place for place, tag in enumerate(names)}
    y_true, y_pred = (np.array([numbers[tag] for tags in part for tag in tags]) for part in (true, predicted))
    by_tag = tag_scores(y_true, y_pred, names)
    occurring = [score.f1 for score in by_tag.values() if score.support]
    entities = None
    if all(map(is_entity_tag, names)) and any(name != "O" for name in names):
        scores = entity_scores(true, predicted, scheme)
        entities = {
            **scores.micro._asdict(),
            "macro_f1": scores.macro.f1,
            "weighted_f1": scores.weighted.f1,
            "kinds": [{"kind": kind, **score._asdict()} for kind, score in scores.kinds.items()],
        }
    return {
        "sentences": len(true),
        "tokens": len(y_true),
        "accuracy": token_accuracy(y_true, y_pred),
        "sentence_accuracy": sentence_accuracy(y_true, y_pred, np.cumsum([0, *map(len, true)])),
        "unseen_tokens": None if unseen is None else int(np.count_nonzero(unseen)),
        "unseen_accuracy": None if unseen is None else token_accuracy(y_true, y_pred, unseen),
        "macro_f1": float(np.mean(occurring)),
        "tags": [{"tag": tag, **score._asdict()} for tag, score in by_tag.items()],
        "entities": entities,
    }


def _right(y_true: ArrayLike, y_pred: ArrayLike) -> Any:
    """Return which words are tagged rightly."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != predicted.shape or true.ndim != 1:
        raise ValueError(f"need as many predictions as words, got {predicted.shape} and {true.shape}")
    return np.asarray(true == predicted, dtype=bool)


def _score(found: int, made: int, there: int) -> Score:
    """Return the score of ``found`` right ones among those made and those there."""
    f1 = 2 * found / (made + there) if made + there else 0.0
    return Score(found / made if made else 0.0, found / there if there else 0.0, f1, there)


def _mean(kinds: dict[str, Score], weights: dict[str, int] | Counter[str], support: int) -> Score:
    """Return the weighted mean of scores."""
    total = sum(weights[kind] for kind in kinds)
    if not total:
        return Score(0.0, 0.0, 0.0, support)
    precision, recall, f1 = (
        sum(weights[kind] * getattr(score, name) for kind, score in kinds.items()) / total
        for name in ("precision", "recall", "f1")
    )
    return Score(precision, recall, f1, support)
