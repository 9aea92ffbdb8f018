"""The estimator: scikit-learn's own checks, pipelines, searches, pickles, and what it refuses."""

import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data
from tiny_runs import ADJECTIVES, NOUNS

from rnncli.errors import RnncliError
from rnncli.estimator_config import KEYS
from rnncli.sklearn import RNNClassifier, TextError

TEXTS = [f"{noun} {word} {'and ' * n}" for n, noun in enumerate(NOUNS) for word in ADJECTIVES]
Y = np.array([label for _ in NOUNS for label in ADJECTIVES.values()])


def small(**parameters) -> RNNClassifier:
    values = {"hidden": 8, "embedding_dim": 8, "min_count": 1, "epochs": 12, "batch_size": 4, "lr": 0.01}
    return RNNClassifier(**{**values, "random_state": 0, **parameters})


class OnNumbers(RNNClassifier):
    """Reads tables of numbers, each as a word that says its column and its size: for checks that give nothing else."""

    def fit(self, X, y):
        return super().fit(self._words(validate_data(self, X), y), y)

    def predict_proba(self, X):
        check_is_fitted(self)
        return super().predict_proba(self._words(validate_data(self, X, reset=False)))

    def _words(self, X, y=None):
        sizes = np.clip(np.round(2 * X), -9, 9).astype(int)
        return [" ".join(f"x{column}is{size}" for column, size in enumerate(row)) for row in sizes.tolist()]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def quick() -> OnNumbers:
    # With everything trained on: the checks compare models of a few rows.
    return OnNumbers(
        cell="gru", hidden=8, embedding_dim=8, min_count=1, epochs=8, lr=0.02, batch_size=16,
        tokenizer="whitespace", validation_fraction=0, random_state=0,
    )  # fmt: skip


# All of them, none expected to fail; on texts scikit-learn would run none, as the test below shows.
@parametrize_with_checks([quick()])
def test_scikit_learns_checks_hold_for_the_estimator(estimator, check):
    check(estimator)


def test_scikit_learn_knows_that_it_reads_texts():
    tags = small().__sklearn_tags__()
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.estimator_type == "classifier"
    assert tags.target_tags.required
    with pytest.warns(UserWarning, match="Can't test estimator"):  # it has no texts to check with
        check_estimator(small(), on_skip=None)


def test_texts_are_learned_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = small().fit(TEXTS, Y)
    assert model.score(TEXTS, Y) == 1
    assert model.classes_.tolist() == ["neg", "pos"]
    assert model.predict(["good film", "dull end"]).tolist() == ["pos", "neg"]
    found = model.predict_proba(np.array(TEXTS))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    assert model.n_iter_ == len(model.history_) == 12
    best = [row for row in model.history_ if row["improved"]][-1]
    assert model.model_.progress["metrics"] == best != model.history_[-1]
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_the_same_state_gives_the_same_bits():
    one, same, other = (small(random_state=state).fit(TEXTS, Y).predict_proba(TEXTS) for state in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    drawn = [small(random_state=np.random.RandomState(3)).fit(TEXTS, Y).predict_proba(TEXTS) for _ in range(2)]
    np.testing.assert_array_equal(*drawn)
    one, other = (small(random_state=None).fit(TEXTS, Y).predict_proba(TEXTS) for _ in range(2))
    assert (one != other).any()


def test_several_processes_fit_to_the_same_figures():
    alone, together = (
        small(config={"train": {"workers": workers}}).fit(TEXTS, Y).predict_proba(TEXTS) for workers in (1, 2)
    )
    np.testing.assert_allclose(alone, together, atol=1e-4)


@pytest.mark.parametrize(
    "y",
    [
        np.where(Y == "pos", 3, -7),
        Y == "pos",
        np.where(Y == "pos", 1.0, 0.0),
        np.where(Y == "pos", "", " a\tb"),
        Y.astype(object),
        Y.tolist(),
    ],
    ids=["whole", "truth", "fractional", "unprintable", "objects", "list"],
)
def test_classes_come_back_as_they_were_given(y):
    model = small().fit(TEXTS, y)
    np.testing.assert_array_equal(model.classes_, np.unique(y))
    np.testing.assert_array_equal(model.predict(TEXTS), y)


def test_columns_are_the_classes_in_their_order():
    y = np.where(Y == "pos", 10, 9)  # as names "10" comes before "9"
    model = small().fit(TEXTS, y)
    assert model.classes_.tolist() == [9, 10]
    assert (model.predict_proba(TEXTS)[:, 1] > 0.5).tolist() == (y == 10).tolist()
    assert model.model_.learned.labels == ("10", "9")


def test_it_is_cloned_and_pickled():
    model = small(config={"optim": {"clip_norm": 0.5}}).fit(TEXTS, Y)
    again = clone(model)
    assert again.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        again.predict(TEXTS)
    np.testing.assert_array_equal(again.fit(TEXTS, Y).predict_proba(TEXTS), model.predict_proba(TEXTS))
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), model.predict_proba(TEXTS))
    assert len(pickle.dumps(model)) < 50_000  # without moments, without the texts
    assert repr(small()).startswith("RNNClassifier(batch_size=4,")


def test_it_works_in_a_pipeline_and_in_searches():
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, small(epochs=20, lr=0.02, validation_fraction=0))
    scores = cross_val_score(pipeline, TEXTS, Y, cv=3)
    assert scores.mean() > 0.8
    found = cross_val_predict(pipeline, TEXTS, Y, cv=3, method="predict_proba")
    assert found.shape == (24, 2)
    table = np.array([[text, "x"] for text in TEXTS], dtype=object)
    assert small().fit(table[:, 0], Y).score(table[:, 0], Y) == 1
    with pytest.raises(ValueError, match="shape"):  # a table of one column is no list
        small().fit(table[:, :1], Y)


def test_a_grid_is_searched_by_two_processes():
    grid = {"hidden": np.array([4, 8]), "lr": [1e-9, 0.02]}
    search = GridSearchCV(small(epochs=6), grid, cv=2, n_jobs=2).fit(TEXTS, Y)
    assert search.best_params_["lr"] == 0.02
    assert search.best_score_ > 0.7
    assert search.score(TEXTS, Y) > 0.9


def test_every_parameter_changes_the_model():
    long = [f"{'x ' * 8}{text}" for text in TEXTS]
    base = small(epochs=2, max_length=8, validation_fraction=0)
    reference = base.fit(long, Y).predict_proba(long)
    changed = {
        "cell": "rnn", "hidden": 4, "layers": 2, "bidirectional": True, "pooling": "last", "embedding_dim": 4,
        "embedding_dropout": 0.5, "dropout": 0.5, "tokenizer": "character", "max_vocab": 4, "min_count": 5,
        "max_length": 5, "epochs": 1, "batch_size": 8, "lr": 0.1, "class_weight": {"pos": 3, "neg": 1},
        "validation_fraction": 0.5, "config": {"optim": {"clip_norm": 1e-3}}, "random_state": 5,
    }  # fmt: skip
    for name, value in changed.items():
        found = clone(base).set_params(**{name: value}).fit(long, Y).predict_proba(long)
        assert (found != reference).any(), name
    upper = [text.upper() for text in long]
    assert (base.predict_proba(upper) == reference).all()
    cased = clone(base).set_params(lowercase=False).fit(long, Y)
    assert (cased.predict_proba(upper) != cased.predict_proba(long)).any()
    assert set(KEYS) - set(changed) == {"lowercase", "patience"}
    assert small(epochs=40, patience=1).fit(TEXTS, Y).n_iter_ < 40
    balanced = small(class_weight="balanced", epochs=2).fit(TEXTS[:-3], Y[:-3]).predict_proba(TEXTS)
    assert (balanced != small(epochs=2).fit(TEXTS[:-3], Y[:-3]).predict_proba(TEXTS)).any()


def test_the_split_has_a_seed_of_its_own():
    held = [
        small(epochs=1, validation_fraction=0.4, random_state=state, config=config)
        .fit(TEXTS, Y)
        .model_.learned.vocabulary.tokens
        for state, config in ((1, {"data": {"split_seed": 3}}), (2, {"data": {"split_seed": 3}}), (1, None), (3, None))
    ]
    assert held[0] == held[1] == held[3] != held[2]


def test_a_class_without_a_weight_counts_one():
    expected = small(class_weight={"pos": 3, "neg": 1}, epochs=2).fit(TEXTS, Y).predict_proba(TEXTS)
    for weights in ({"pos": 3}, {np.str_("pos"): np.float32(3)}, {"neg": np.int64(1), "pos": 3.0}):
        found = small(class_weight=weights, epochs=2).fit(TEXTS, Y).predict_proba(TEXTS)
        np.testing.assert_array_equal(found, expected)


def test_it_says_what_it_does_when_asked(capsys):
    small(epochs=2, verbose=True).fit(TEXTS, Y)
    out, err = capsys.readouterr()
    assert out == ""
    assert "22 texts to train on" in err
    assert err.count("validation: ") == 2


def test_equal_texts_stay_together_and_every_class_is_trained_on():
    texts = ["a b"] * 30 + ["c d", "e f", "g  h", "g h"]
    y = ["x"] * 30 + ["y", "x", "x", "x"]
    for state in range(6):
        model = small(random_state=state, validation_fraction=0.99, epochs=1).fit(texts, y)
        assert model.model_.learned.labels == ("x", "y")
        assert "c" in model.model_.learned.vocabulary  # the only text of its class is not held back
        assert ("g" in model.model_.learned.vocabulary) == ("h" in model.model_.learned.vocabulary)


def test_without_a_validation_part_all_texts_are_trained_on():
    model = small(validation_fraction=0).fit(TEXTS, Y)
    assert model.history_ == []
    assert model.n_iter_ == 12
    assert model.score(TEXTS, Y) == 1
    averaged = small(validation_fraction=0, config={"train": {"average": 0.9}}).fit(TEXTS, Y)
    assert (averaged.predict_proba(TEXTS) != model.predict_proba(TEXTS)).any()


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"cell": "lsmt"}, "Did you mean 'lstm'"),
        ({"hidden": 0}, "model.rnn.hidden"),
        ({"hidden": 8.0}, "model.rnn.hidden: 8.0 is not allowed (a whole number"),
        ({"validation_fraction": 1}, "validation_fraction is 1"),
        ({"validation_fraction": "0.1"}, "validation_fraction is '0.1'"),
        ({"validation_fraction": 0, "patience": 2}, "train.patience: has no effect without a validation part"),
        ({"config": {"model": {"rnn": {"cell": "gru"}}}}, "config: model.rnn.cell: cannot be set here. Give the param"),
        ({"config": {"seed": 3}}, "Give the parameter random_state"),
        ({"config": {"data": {"train": {}}}}, "texts are in memory here"),
        ({"config": {"train": {"checkpoint_every_steps": 3}}}, "texts are in memory here"),
        ({"config": {"train": {"epoch": 3}}}, "train.epoch"),
        ({"config": [1]}, "config: is list, not a dict"),
        ({"class_weight": {"pos": 1, "other": 1}}, "class_weights"),
        ({"min_count": 99}, "no token occurs 99 times"),
        ({"random_state": -1}, "seed"),
    ],
)
def test_parameters_that_cannot_be_are_refused_when_it_fits(parameters, what):
    model = small(**parameters)
    with pytest.raises(TextError, match=re.escape(what)) as caught:
        model.fit(TEXTS, Y)
    assert isinstance(caught.value, RnncliError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("texts", "y", "what"),
    [
        ("one", Y, "one string was given"),
        ([], [], "there are no texts"),
        (3, Y, "int was given"),
        (np.zeros((24, 2)), Y, "of shape (24, 2)"),
        ([*TEXTS[:-1], None], Y, "text 23: is NoneType, not a string"),
        (TEXTS, None, "requires y to be passed"),
        (TEXTS, Y[:-1], "inconsistent numbers of samples"),
        (TEXTS, ["pos"] * 24, "needs two or more classes"),
        (TEXTS, [5] * 24, "y has one class, 5;"),
        (TEXTS, np.array(["pos", None] * 12, object), "cannot be sorted"),
        (TEXTS, np.linspace(0, 1, 24), "continuous"),
        (["a", "a"], ["x", "y"], "Set validation_fraction to 0"),
        ([""] * 24, Y, "Set validation_fraction to 0"),
    ],
)
def test_texts_that_cannot_be_are_refused(texts, y, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        small().fit(texts, y)


def test_what_is_asked_must_be_texts_too():
    model = small(epochs=1).fit(TEXTS, Y)
    for wrong in ("one", [], [1], np.zeros((2, 2))):
        with pytest.raises(TextError):
            model.predict(wrong)


def test_without_scikit_learn_it_says_what_to_type(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ModuleNotFoundError('no', name='sklearn')")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import rnncli.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=Path.cwd())
    assert "pip install 'rnncli[sklearn]'" in done.stderr.splitlines()[-1]
