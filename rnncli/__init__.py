"""rnncli: train RNN, LSTM and GRU text models from one YAML file, in NumPy.

``rnncli.load`` and ``rnncli.train`` are those of :mod:`rnncli.api`, imported when they are first asked for, so that
``import rnncli`` costs nothing; :class:`rnncli.sklearn.RNNClassifier` is an estimator of scikit-learn's kind.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.api import load, train

__version__ = "0.1.0"
__all__ = ["__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in ("load", "train"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rnncli import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
