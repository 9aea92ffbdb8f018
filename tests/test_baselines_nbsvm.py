"""NB-SVM and the features it sees."""

import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from rnncli.baselines.nbsvm import log_count_ratio, nbsvm_log_probabilities
from rnncli.baselines.ngrams import feature_matrix, find_features
from rnncli.errors import RnncliError

# Three words: 1 2 3; 0 is unknown.
TEXTS = [[1, 2, 1, 2], [3], [2, 1], [1, 0, 3]]


def arrays(texts):
    return np.concatenate(texts).astype(np.int32), np.cumsum([0, *map(len, texts)])


def test_words_and_pairs_are_counted_once_a_text_and_not_across_texts():
    features = find_features(*arrays(TEXTS), 4)
    assert features.pairs.tolist() == [1 * 4 + 2, 2 * 4 + 1]  # not 2 3, which are of two texts, nor any with 0
    assert features.columns == 5
    assert feature_matrix(features, *arrays(TEXTS)).toarray().tolist() == [
        [1, 1, 0, 1, 1],
        [0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1],
        [1, 0, 1, 0, 0],
    ]


def test_what_training_has_not_seen_has_no_column():
    features = find_features(*arrays(TEXTS), 4)
    assert feature_matrix(features, *arrays([[3, 3, 1], [0]])).toarray().tolist() == [[1, 0, 1, 0, 0], [0] * 5]
    assert feature_matrix(features, *arrays([[1, 1]])).toarray().tolist() == [[1, 0, 0, 0, 0]]
    single = find_features(*arrays([[1], [2]]), 3)
    assert feature_matrix(single, *arrays([[1, 2]])).toarray().tolist() == [[1, 1]]


def test_the_ratio_by_hand():
    train = feature_matrix(find_features(*arrays([[1], [1, 2], [2]]), 3), *arrays([[1], [1, 2], [2]]))
    # Columns 1, 2 and the pair; positive texts have them 2, 1, 1 times, the other 0, 1, 0 times; 1 is added.
    p, q = np.array([3, 2, 2]) / 7, np.array([1, 2, 1]) / 4
    assert log_count_ratio(train, np.array([True, True, False]), 1.0) == pytest.approx(np.log(p / q))


@pytest.fixture(scope="module")
def reviews():
    """Return texts of made-up words, some of which tell the class, as features of 300 to learn and 100 to judge."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 400)
    texts = [np.where(rng.random(12) < 0.3, 1 + rng.integers(0, 4, 12) + 4 * k, rng.integers(13, 40, 12)) for k in y]
    features = find_features(*arrays(texts[:300]), 40)
    return (
        feature_matrix(features, *arrays(texts[:300])),
        y[:300],
        feature_matrix(features, *arrays(texts[300:])),
        y[300:],
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_it_learns_and_gives_probabilities(reviews, classes):
    train, y, texts, true = reviews
    y, true = np.minimum(y, classes - 1), np.minimum(true, classes - 1)
    logs = nbsvm_log_probabilities(train, y, classes, texts)
    assert np.exp(logs).sum(axis=1) == pytest.approx(np.ones(100))
    assert np.mean(logs.argmax(axis=1) == true) > 0.85
    assert logs.tobytes() == nbsvm_log_probabilities(train, y, classes, texts).tobytes()


def test_beta_goes_from_naive_bayes_to_the_linear_classifier(reviews):
    train, y, texts, _ = reviews
    y = np.minimum(y, 1)
    r = log_count_ratio(train, y == 1, 1.0)
    bayes = texts @ r + np.log((y == 1).sum() / (y == 0).sum())
    at = {beta: np.diff(nbsvm_log_probabilities(train, y, 2, texts, beta=beta))[:, 0] for beta in (0, 0.25, 1)}
    linear = LogisticRegression(C=1.0, solver="liblinear", tol=1e-9).fit(train.multiply(r).tocsr(), y)
    assert at[0] == pytest.approx(bayes * np.abs(linear.coef_).mean(), rel=1e-3)  # section 2.3 of the paper
    assert at[1] == pytest.approx(linear.decision_function(texts.multiply(r).tocsr()), abs=1e-3)
    assert at[0.25] == pytest.approx(0.75 * at[0] + 0.25 * at[1])


def test_of_several_classes_each_is_told_from_the_rest(reviews):
    train, y, texts, _ = reviews
    alone = [np.exp(nbsvm_log_probabilities(train, (y == k).astype(int), 2, texts)[:, 1]) for k in range(3)]
    expected = np.stack(alone, axis=1) / np.sum(alone, axis=0)[:, None]
    assert np.exp(nbsvm_log_probabilities(train, y, 3, texts)) == pytest.approx(expected)


def test_a_class_without_texts_is_never_likely(reviews):
    train, y, texts, _ = reviews
    logs = nbsvm_log_probabilities(train, y, 4, texts)
    assert np.isfinite(logs).all()
    assert (logs[:, 3] < -20).all()
    assert (nbsvm_log_probabilities(train, np.ones_like(y), 2, texts).argmax(axis=1) == 1).all()
    assert (nbsvm_log_probabilities(train, np.zeros_like(y), 2, texts).argmax(axis=1) == 0).all()


def test_without_scikit_learn_it_says_what_to_type(reviews, monkeypatch):
    train, y, texts, _ = reviews
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(RnncliError, match=r"pip install 'rnncli\[sklearn\]'"):
        nbsvm_log_probabilities(train, y, 3, texts)
