"""NB-SVM: a linear classifier of words and pairs whose features are scaled as naive Bayes would weigh them.

S. Wang and C. Manning, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", ACL 2012, with the
paper's alpha, C and beta. Two things differ from the paper. The linear part is fitted by logistic regression instead
of an L2-SVM: on reviews it is as accurate, is fitted several times faster, and gives probabilities. And the
interpolation takes in the bias: that of the linear part alone would be too large beside the smaller weights.
"""

import warnings
from typing import Any

import numpy as np

from rnncli.extras import require
from rnncli.packing import Array, IntArray

ALPHA = 1.0  # counted in addition to each feature
BETA = 0.25  # weight of the linear classifier beside naive Bayes
C = 1.0  # of the linear classifier: the inverse of its regularization
_NEVER = -30.0  # log-odds of a class without training texts


def nbsvm_log_probabilities(
    train: Any, y: IntArray, classes: int, texts: Any, *, alpha: float = ALPHA, beta: float = BETA, c: float = C
) -> Array:
    """Train on some texts and classify others.

    Each class is told from the rest by weights of its own, which are not kept.

    Parameters
    ----------
    train : scipy.sparse.csr_matrix of shape (N, F)
        Which features the training texts have: ones.
    y : ndarray of int, shape (N,)
        Their classes, from 0 to ``classes`` - 1.
    classes : int
        Number of classes, at least two; some may be absent in ``y``.
    texts : scipy.sparse.csr_matrix of shape (M, F)
        Likewise of the texts to classify.
    alpha : float
        Smoothing of the counts.
    beta : float
        From 0 (naive Bayes alone) to 1 (the linear classifier alone).
    c : float
        Inverse strength of the linear classifier's regularization.

    Returns
    -------
    ndarray of shape (M, classes)
        Logarithms of probabilities that add up to 1 over the classes. The same bits every time.

    Raises
    ------
    RnncliError
        If scikit-learn is not installed.
    """
    settings = (alpha, beta, c)
    if classes == 2:
        z = _log_odds(train, y == 1, texts, *settings)
        return -np.stack([np.logaddexp(0, z), np.logaddexp(0, -z)], axis=1)
    odds = np.stack([_log_odds(train, y == k, texts, *settings) for k in range(classes)], axis=1)
    logs = -np.logaddexp(0, -odds)
    return np.asarray(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))


def log_count_ratio(train: Any, positive: Any, alpha: float) -> Array:
    """Return how much more frequent each feature is in the positive texts than in the others.

    Parameters
    ----------
    train : scipy.sparse.csr_matrix of shape (N, F)
        Ones.
    positive : ndarray of bool, shape (N,)
        Which texts are positive.
    alpha : float
        Counted in addition.

    Returns
    -------
    ndarray of shape (F,)
        r = log((p / |p|) / (q / |q|)), where p and q are alpha plus the counts in the two kinds of texts; section 2.1
        of the paper.
    """
    p, q = (alpha + train.T @ side.astype(np.float64) for side in (positive, ~positive))
    return np.asarray(np.log(p / p.sum()) - np.log(q / q.sum()))


def _log_odds(train: Any, positive: Any, texts: Any, alpha: float, beta: float, c: float) -> Array:
    """Return the log-odds of being positive for each of ``texts``."""
    count = int(positive.sum())
    if count in (0, len(positive)):
        return np.full(texts.shape[0], -_NEVER if count else _NEVER)
    linear_model = require("sklearn.linear_model", extra="sklearn", purpose="the baseline of words and pairs")
    r = log_count_ratio(train, positive, alpha)
    scaled = train.copy()
    scaled.data = r[train.indices]
    # Coordinate descent on the dual; its order is drawn, so that a seed is needed to get the same every time.
    model = linear_model.LogisticRegression(C=c, solver="liblinear", dual=True, max_iter=1000, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fit that is not quite at its end, which a baseline need not be
        model.fit(scaled, positive)
    w, b = model.coef_[0], float(model.intercept_[0])
    size = float(np.abs(w).mean())  # brings naive Bayes, whose weights are all 1 here, to the scale of w
    prior = float(np.log(count / (len(positive) - count)))
    weights = r * ((1 - beta) * size + beta * w)
    return np.asarray(texts @ weights + (1 - beta) * size * prior + beta * b)
