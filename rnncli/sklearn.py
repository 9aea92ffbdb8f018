"""A text classifier with scikit-learn's interface: for pipelines, cross-validation and grid searches.

    from rnncli.sklearn import RNNClassifier

    model = RNNClassifier(cell="gru", epochs=5, random_state=0).fit(texts, labels)
    model.predict(["What a film."])

It needs scikit-learn: ``pip install 'rnncli[sklearn]'``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rnncli.data.dataset import encode_parts
from rnncli.data.rows import Row
from rnncli.data.split import hold_back
from rnncli.errors import ConfigError, DataError, RnncliError, shown_on_one_line
from rnncli.estimator_config import DEFAULTS, KEYS, estimator_config, plain
from rnncli.extras import require
from rnncli.fitting import fit
from rnncli.packing import Array
from rnncli.predicting import in_blocks, probabilities
from rnncli.progress import ConsoleProgress

require("sklearn", extra="sklearn", purpose="rnncli.sklearn")

from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: E402
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets  # noqa: E402
from sklearn.utils.validation import check_consistent_length, check_is_fitted  # noqa: E402

__all__ = ["RNNClassifier", "TextError"]


class TextError(RnncliError, ValueError):
    """Parameters or texts that cannot be used; a ValueError too, as scikit-learn expects."""


class RNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A recurrent network that classifies texts.

    Parameters
    ----------
    cell : {"lstm", "gru", "rnn"}
        The kind of recurrent cell.
    hidden : int
        Numbers in its state, per direction.
    layers : int
        Recurrent layers, one on top of the other.
    bidirectional : bool
        Read each text in both directions.
    pooling : {"mean", "last", "max", "attention"} or list of these
        How the states of a text become one vector; a list puts several side by side.
    embedding_dim : int
        Numbers a token.
    embedding_dropout, dropout : float
        Fractions of the embedded numbers, and of the pooled vector, that are zeroed in training.
    tokenizer : {"word", "whitespace", "character"}
        What a token is.
    lowercase : bool
        Lower-case the texts first.
    max_vocab, min_count : int
        Most tokens with an id of their own; times a token must occur to get one.
    max_length : int or None
        Most tokens kept of a text, from its end; None keeps all.
    epochs, batch_size : int
        Passes over the texts, and texts a step.
    lr : float
        The learning rate.
    patience : int or None
        Validations without improvement before stopping; None makes all epochs.
    class_weight : "balanced", dict or None
        What a text of each class counts in the training loss; a class that a dict lacks counts 1.
    validation_fraction : float
        Part of the distinct texts that is held back; the model of the epoch that does best on them is kept. With 0 all
        texts are trained on, and the model of the last step is kept. Equal texts are all held back or none is, and each
        class keeps a text to train on.
    config : dict or None
        Any other keys of a config, such as ``{"optim": {"clip_norm": 1.0}, "train": {"workers": 2}}``.
    random_state : int, RandomState or None
        Decides first weights, order, dropout and what is held back. The same number gives the same bits, on the same
        machine with the same number of threads.
    verbose : bool
        Print what ``rnncli train`` prints, on standard error.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The classes, sorted; the columns of :meth:`predict_proba`.
    n_iter_ : int
        Epochs made.
    history_ : list of dict
        Step, epoch, loss, accuracy and macro F1 of each validation.
    model_ : Trained
        The network with its vocabulary and config, for the functions of the package.
    """

    def __init__(
        self,
        *,
        cell: str = DEFAULTS["cell"],
        hidden: int = DEFAULTS["hidden"],
        layers: int = DEFAULTS["layers"],
        bidirectional: bool = DEFAULTS["bidirectional"],
        pooling: str = DEFAULTS["pooling"],
        embedding_dim: int = DEFAULTS["embedding_dim"],
        embedding_dropout: float = DEFAULTS["embedding_dropout"],
        dropout: float = DEFAULTS["dropout"],
        tokenizer: str = DEFAULTS["tokenizer"],
        lowercase: bool = DEFAULTS["lowercase"],
        max_vocab: int = DEFAULTS["max_vocab"],
        min_count: int = DEFAULTS["min_count"],
        max_length: int | None = DEFAULTS["max_length"],
        epochs: int = DEFAULTS["epochs"],
        batch_size: int = DEFAULTS["batch_size"],
        lr: float = DEFAULTS["lr"],
        patience: int | None = DEFAULTS["patience"],
        class_weight: str | dict[Any, float] | None = DEFAULTS["class_weight"],
        validation_fraction: float = 0.1,
        config: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.cell = cell
        self.hidden = hidden
        self.layers = layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.embedding_dim = embedding_dim
        self.embedding_dropout = embedding_dropout
        self.dropout = dropout
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.max_vocab = max_vocab
        self.min_count = min_count
        self.max_length = max_length
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.patience = patience
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.config = config
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Sequence[str], y: Any) -> "RNNClassifier":
        """Train on texts.

        Parameters
        ----------
        X : sequence of str
            The texts.
        y : array-like of shape (texts,)
            The class of each: numbers or strings.

        Returns
        -------
        RNNClassifier
            This one.

        Raises
        ------
        TextError
            If texts, classes or parameters cannot be used.
        """
        texts = _texts(X)
        if y is None:
            raise TextError("RNNClassifier requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(texts, y)
        try:
            check_classification_targets(y)
            self.classes_, classes = np.unique(y, return_inverse=True)
        except TypeError as error:  # of objects that have no order
            raise TextError(f"the classes of y cannot be sorted ({error})", remedy="Give numbers or strings") from None
        if len(self.classes_) < 2:
            raise TextError(f"y has one class, {self.classes_.tolist()[0]!r}; a classifier needs two or more classes")
        names = _label_names(self.classes_.tolist())
        rows = [Row(text, names[c], f"text {n}") for n, (text, c) in enumerate(zip(texts, classes, strict=True))]
        with _value_errors():
            given = {name: getattr(self, name) for name in KEYS}
            if isinstance(self.class_weight, dict):  # a class that y lacks is left for the training to refuse
                known = dict(zip(self.classes_.tolist(), names, strict=True))
                weights = {known.get(c, str(c)): w for c, w in self.class_weight.items()}
                given["class_weight"] = dict.fromkeys(names, 1.0) | {name: plain(w) for name, w in weights.items()}
            config = estimator_config(given, self.config, _seed(self.random_state))
            data = encode_parts(config.data, *hold_back(rows, self.validation_fraction, config.split_seed))
            fitted = fit(config, data, ConsoleProgress(config.train.log_every) if self.verbose else None)
        self.model_, self.history_, self.n_iter_ = fitted
        self._columns = [data.labels.index(name) for name in names]
        return self

    def predict_proba(self, X: Sequence[str]) -> Array:
        """Return how likely each class is for each text.

        Parameters
        ----------
        X : sequence of str
            The texts.

        Returns
        -------
        ndarray of shape (texts, C), float64
            Each row adds up to 1; the columns are ``classes_``.
        """
        check_is_fitted(self)
        found = np.concatenate([probabilities(self.model_, block) for block in in_blocks(_texts(X))])
        found = found[:, self._columns].astype(np.float64)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def predict(self, X: Sequence[str]) -> Any:
        """Return the likeliest class of each text.

        Parameters
        ----------
        X : sequence of str
            The texts.

        Returns
        -------
        ndarray of shape (texts,)
            Of ``classes_``.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def __sklearn_tags__(self) -> Any:
        """Say that texts are wanted, in one dimension."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _texts(X: Any) -> list[str]:
    """Return texts as a list, or say what is wrong with them."""
    remedy = 'Give a list of strings, such as ["a text", "another"]'
    if isinstance(X, str | bytes):
        raise TextError("one string was given where texts are expected", remedy=remedy)
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) != 1:
        kind = "sparse data" if hasattr(X, "tocsr") else "an array"
        raise TextError(f"{kind} of shape {tuple(shape)} was given where texts are expected", remedy=remedy)
    try:
        texts = list(X)
    except TypeError:
        raise TextError(f"{type(X).__name__} was given where texts are expected", remedy=remedy) from None
    if not texts:
        raise TextError("there are no texts: 0 sample(s), and a minimum of 1 is required")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TextError(f"is {type(text).__name__}, not a string", where=f"text {number}", remedy=remedy)
    return texts


def _label_names(classes: Sequence[Any]) -> list[str]:
    """Return a name for each class: itself as text where that will do, else its number."""
    names = [str(label) for label in classes]
    usable = all(name.strip() == name != "" and shown_on_one_line(name) == name for name in names)
    return names if usable and len(set(names)) == len(names) else [f"class {number}" for number in range(len(names))]


@contextmanager
def _value_errors() -> Iterator[None]:
    """Raise what is wrong with texts or parameters as a ValueError."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise TextError(str(error)) from error
