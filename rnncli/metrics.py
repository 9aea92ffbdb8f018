"""How good predictions are: the figures of ``rnncli eval``, computed in float64.

Letters: N rows, C classes. Where a ratio has nothing to divide by (a class never predicted, or never there) it is 0.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rnncli.errors import GradientError
from rnncli.layers.losses import softmax_loss

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class ClassScores(NamedTuple):
    """Scores of each class.

    Parameters
    ----------
    precision : ndarray of shape (C,)
        Part of the rows predicted to be the class that are.
    recall : ndarray of shape (C,)
        Part of the rows of the class that are predicted to be.
    f1 : ndarray of shape (C,)
        Harmonic mean of the two.
    support : ndarray of shape (C,)
        Rows of the class.
    """

    precision: Floats
    recall: Floats
    f1: Floats
    support: Ints


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the part of the rows that are predicted rightly.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,)
        Class ids.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    ValueError
        If there are no rows or the shapes differ.
    """
    true, predicted = _pair(y_true, y_pred)
    return float(np.mean(true == predicted))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, classes: int) -> Ints:
    """Count the rows of each true class by predicted class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (N,)
        Class ids from 0 to ``classes`` - 1.
    classes : int
        Number of classes, C.

    Returns
    -------
    ndarray of shape (C, C)
        Rows are true classes, columns predicted ones.

    Raises
    ------
    ValueError
        If there are no rows, the shapes differ or an id is out of range.
    """
    true, predicted = _pair(y_true, y_pred)
    for ids in (true, predicted):
        if ids.min() < 0 or ids.max() >= classes:
            raise ValueError(f"class ids must be from 0 to {classes - 1}, got {ids.min()} to {ids.max()}")
    return np.bincount(true * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def class_scores(confusion: Ints) -> ClassScores:
    """Return precision, recall and F1 of each class; a macro average is the mean of one of them.

    Parameters
    ----------
    confusion : ndarray of shape (C, C)
        What :func:`confusion_matrix` gives.

    Returns
    -------
    ClassScores
        Four arrays of shape (C,).
    """
    right = np.diagonal(confusion)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassScores(
        precision=_ratio(right, predicted),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, support + predicted),
        support=support,
    )


def macro_f1(confusion: Ints) -> float:
    """Return the mean of the classes' F1, each class counting alike.

    Parameters
    ----------
    confusion : ndarray of shape (C, C)
        What :func:`confusion_matrix` gives.

    Returns
    -------
    float
        From 0 to 1.
    """
    return float(class_scores(confusion).f1.mean())


def roc_auc(y_true: ArrayLike, scores: ArrayLike) -> float | None:
    """Return the chance that a row of class 1 scores above one of class 0, a tie counting half.

    Parameters
    ----------
    y_true : array-like of shape (N,)
        Class ids, 0 or 1.
    scores : array-like of shape (N,)
        Higher for class 1; only their order matters.

    Returns
    -------
    float or None
        From 0 to 1; None when only one class is there.

    Raises
    ------
    ValueError
        If there are no rows, the shapes differ or an id is neither 0 nor 1.
    """
    true = np.asarray(y_true)
    values = np.asarray(scores)
    if true.shape != values.shape or true.ndim != 1 or not true.size:
        raise ValueError(f"need as many scores as class ids, at least one, got {values.shape} and {true.shape}")
    if not np.isin(true, (0, 1)).all():
        raise ValueError("class ids must be 0 or 1")
    positive = int(np.count_nonzero(true))
    negative = len(true) - positive
    if not positive or not negative:
        return None
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2  # tied scores share the mean of their places, counted from 1
    above = ranks[group][true == 1].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def classification_report(
    y_true: ArrayLike, logits: ArrayLike, labels: Sequence[str], predicted: ArrayLike | None = None
) -> dict[str, Any]:
    """Return every figure about a set of predictions, ready for JSON.

    Parameters
    ----------
    y_true : array-like of shape (N,)
        Class ids.
    logits : array-like of shape (N, C)
        Scores before softmax.
    labels : sequence of str
        Names of the C classes, by id.
    predicted : array-like of shape (N,), optional
        Class ids that were decided on otherwise than by the best score.

    Returns
    -------
    dict
        ``rows``, ``loss`` (nats), ``accuracy``, ``macro_precision``, ``macro_recall``, ``macro_f1``, ``roc_auc`` (None
        unless there are two classes and both occur), ``classes`` (a list with ``label``, ``precision``, ``recall``,
        ``f1``, ``support``) and ``confusion`` (C lists of C counts, a true class each).

    Raises
    ------
    ValueError
        If the shapes do not fit or there are no rows.
    GradientError
        If a logit is not finite.
    """
    values = np.asarray(logits, dtype=np.float64)
    true = np.asarray(y_true)
    if values.shape != (len(true), len(labels)):
        raise ValueError(f"logits must have the shape {(len(true), len(labels))}, got {values.shape}")
    if not np.isfinite(values).all():
        raise GradientError("the model's outputs are not finite numbers", remedy="Train again with a lower optim.lr")
    if predicted is None:
        predicted = values.argmax(axis=1) if len(true) else np.zeros(0, dtype=np.int64)
    confusion = confusion_matrix(true, predicted, len(labels))
    scores = class_scores(confusion)
    return {
        "rows": len(true),
        "loss": softmax_loss(values, true)[0],
        "accuracy": accuracy(true, predicted),
        "macro_precision": float(scores.precision.mean()),
        "macro_recall": float(scores.recall.mean()),
        "macro_f1": macro_f1(confusion),
        "roc_auc": roc_auc(true, values[:, 1] - values[:, 0]) if len(labels) == 2 else None,
        "classes": [
            {
                "label": label,
                "precision": float(scores.precision[index]),
                "recall": float(scores.recall[index]),
                "f1": float(scores.f1[index]),
                "support": int(scores.support[index]),
            }
            for index, label in enumerate(labels)
        ],
        "confusion": confusion.tolist(),
    }


def _pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Ints, Ints]:
    """Return both as arrays of class ids after checking that they fit."""
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != predicted.shape or true.ndim != 1 or not true.size:
        raise ValueError(f"need as many predictions as class ids, at least one, got {predicted.shape} and {true.shape}")
    return true.astype(np.int64), predicted.astype(np.int64)


def _ratio(part: Ints, whole: Ints) -> Floats:
    """Divide, 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)
