"""The config that the parameters of the scikit-learn estimator make."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from rnncli.config import Config, parse_config
from rnncli.errors import ConfigError

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


def estimator_config(parameters: Mapping[str, Any], config: Mapping[str, Any] | None, seed: int) -> Config:
    """Return the config that parameters make.

    Parameters
    ----------
    parameters : mapping
        A value for each of ``KEYS``; the keys of ``class_weight`` are labels.
    config : mapping or None
        Other keys.
    seed : int
        The seed.

    Returns
    -------
    Config
        Of a classifier, whose data is elsewhere.

    Raises
    ------
    ConfigError
        If a value cannot be used, or ``config`` has a key that is not its business.
    """
    values = _checked_copy(config)
    for name, key in KEYS.items():
        value = parameters[name]
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = plain(value)
    values["data"]["train"] = _SOURCE
    values["seed"] = seed
    parsed = parse_config(values, _NAME)
    assert isinstance(parsed, Config)
    return parsed


def plain(value: Any) -> Any:
    """Return a number of NumPy, as a grid of an array has them, as one of Python; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def _checked_copy(given: Mapping[str, Any] | None) -> dict[str, Any]:
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


def _defaults() -> dict[str, Any]:
    """Return the default of each parameter: that of its config key."""
    config = parse_config({"data": {"train": _SOURCE}}, _NAME)
    return {name: reduce(getattr, key.split("."), config) for name, key in KEYS.items()}


DEFAULTS = _defaults()
