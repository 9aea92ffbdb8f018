"""A text classifier with scikit-learn's interface: for pipelines, cross-validation and grid searches.

    from rnncli.sklearn import RNNClassifier

    model = RNNClassifier(cell="gru", epochs=5, random_state=0).fit(texts, labels)
    model.predict(["What a film."])

It needs scikit-learn: ``pip install 'rnncli[sklearn]'``.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from hashlib import blake2b
from typing import Any

import numpy as np

from rnncli.config import Config, parse_config
from rnncli.data.dataset import encode_parts
from rnncli.data.rows import Row
from rnncli.data.split import text_key
from rnncli.errors import ConfigError, DataError, RnncliError, shown_on_one_line
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

# Where the texts of fit come from, as far as a config and its messages have to say it. No such file is opened.
_SOURCE = {"format": "csv", "path": "the texts given to fit"}
_NAME = "RNNClassifier"
# Each parameter and the config key that it stands for.
KEYS = {
    "cell": "model.rnn.cell",
    "hidden": "model.rnn.hidden",
    "layers": "model.rnn.layers",
    "bidirectional": "model.rnn.bidirectional",
    "pooling": "model.pooling",
    "embedding_dim": "model.embedding.dim",
    "embedding_dropout": "model.embedding.dropout",
    "dropout": "model.dropout",
    "tokenizer": "data.tokenizer.kind",
    "lowercase": "data.tokenizer.lowercase",
    "max_vocab": "data.tokenizer.max_vocab",
    "min_count": "data.tokenizer.min_count",
    "max_length": "data.max_length",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "lr": "optim.lr",
    "patience": "train.patience",
    "class_weight": "train.class_weights",
}
# What a config may not say here: what parameters of other names say, and what is about files.
_ELSEWHERE = {
    "seed": "random_state",
    "data.valid_fraction": "validation_fraction",
    **{key: name for name, key in KEYS.items()},
    **dict.fromkeys(
        (
            *("name", "task", "data.train", "data.valid", "data.test", "data.group_by"),
            *("train.tensorboard", "train.checkpoint_every_steps", "train.checkpoint_every_minutes"),
        )
    ),
}


class TextError(RnncliError, ValueError):
    """Parameters or texts that cannot be used; a ValueError too, as scikit-learn expects."""


def _defaults() -> dict[str, Any]:
    """Return the default of each parameter: that of its config key."""
    config = parse_config({"data": {"train": _SOURCE}}, _NAME)
    return {name: reduce(getattr, key.split("."), config) for name, key in KEYS.items()}


_DEFAULTS = _defaults()


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
    pooling : {"mean", "last", "max"}
        How the states of a text become one vector.
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
        What a text of each class counts in the training loss.
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
        cell: str = _DEFAULTS["cell"],
        hidden: int = _DEFAULTS["hidden"],
        layers: int = _DEFAULTS["layers"],
        bidirectional: bool = _DEFAULTS["bidirectional"],
        pooling: str = _DEFAULTS["pooling"],
        embedding_dim: int = _DEFAULTS["embedding_dim"],
        embedding_dropout: float = _DEFAULTS["embedding_dropout"],
        dropout: float = _DEFAULTS["dropout"],
        tokenizer: str = _DEFAULTS["tokenizer"],
        lowercase: bool = _DEFAULTS["lowercase"],
        max_vocab: int = _DEFAULTS["max_vocab"],
        min_count: int = _DEFAULTS["min_count"],
        max_length: int | None = _DEFAULTS["max_length"],
        epochs: int = _DEFAULTS["epochs"],
        batch_size: int = _DEFAULTS["batch_size"],
        lr: float = _DEFAULTS["lr"],
        patience: int | None = _DEFAULTS["patience"],
        class_weight: str | dict[Any, float] | None = _DEFAULTS["class_weight"],
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
            raise TextError(f"requires y to be passed, but the target y is None ({_NAME}.fit)")
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(texts, y)
        check_classification_targets(y)
        try:
            self.classes_, classes = np.unique(y, return_inverse=True)
        except TypeError as error:  # of objects that have no order
            raise TextError(f"the classes of y cannot be sorted ({error})", remedy="Give numbers or strings") from None
        if len(self.classes_) < 2:
            raise TextError(f"y has one class, {self.classes_[0]!r}; a classifier needs two or more classes")
        names = _label_names(self.classes_.tolist())
        rows = [Row(text, names[c], f"text {n}") for n, (text, c) in enumerate(zip(texts, classes, strict=True))]
        with _value_errors():
            config = self._config(dict(zip(self.classes_.tolist(), names, strict=True)))
            data = encode_parts(config.data, *_held_back(rows, self.validation_fraction, config.seed))
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

    def _config(self, names: Mapping[Any, str]) -> Config:
        """Return the config that the parameters make; ``names`` are the labels of the classes."""
        values = _merged(self.config)
        for name, key in KEYS.items():
            value = getattr(self, name)
            if name == "class_weight" and isinstance(value, dict):
                value = {names.get(label, str(label)): weight for label, weight in value.items()}
            *sections, last = key.split(".")
            place = values
            for section in sections:
                place = place.setdefault(section, {})
            place[last] = value.item() if isinstance(value, np.generic) else value  # as a grid of an array has them
        values["data"]["train"] = _SOURCE
        values["seed"] = _seed(self.random_state)
        config = parse_config(values, _NAME)
        assert isinstance(config, Config)
        return config


def _seed(random_state: Any) -> int:
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def _merged(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a copy of the keys of ``config``, none of which may be a parameter's."""

    def copied(section: Mapping[str, Any], before: str) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in section.items():
            path = f"{before}{key}"
            if path in _ELSEWHERE:
                instead = _ELSEWHERE[path]
                remedy = f"Give the parameter {instead}" if instead else "Leave it out: texts are in memory here"
                raise ConfigError("cannot be set here", where=f"config: {path}", remedy=remedy)
            out[key] = copied(value, f"{path}.") if isinstance(value, Mapping) else value
        return out

    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"is {type(given).__name__}, not a dict", where="config")
    return copied(given or {}, "")


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


def _held_back(rows: Sequence[Row], fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return the rows to train on and those to validate on, by a hash of their texts."""
    if isinstance(fraction, bool) or not isinstance(fraction, int | float | np.number) or not 0 <= fraction < 1:
        raise DataError(f"validation_fraction is {fraction!r}; it must be a number from 0 to below 1")
    if fraction == 0:
        return list(rows), []
    keys = [text_key(row.text) for row in rows]
    labels: dict[bytes, Counter[str]] = {}
    for row, key in zip(rows, keys, strict=True):
        labels.setdefault(key, Counter())[row.label] += 1
    left = Counter(row.label for row in rows)
    salt = (seed % 2**64).to_bytes(16, "little")
    held: set[bytes] = set()
    wanted = max(1, round(fraction * len(labels)))
    for key in sorted(labels, key=lambda key: blake2b(key, digest_size=16, salt=salt).digest()):
        if len(held) < wanted and all(left[label] > count for label, count in labels[key].items()):
            held.add(key)
            left -= labels[key]
    if not held:
        raise DataError(
            f"{len(labels):,} different texts are too few to hold some back", remedy="Set validation_fraction to 0"
        )
    train = [row for row, key in zip(rows, keys, strict=True) if key not in held]
    return train, [row for row, key in zip(rows, keys, strict=True) if key in held]


@contextmanager
def _value_errors() -> Iterator[None]:
    """Raise what is wrong with texts or parameters as a ValueError."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise TextError(str(error)) from error
