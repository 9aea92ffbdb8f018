"""A new model that starts from another's weights (``init_from``)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rnncli.data.vocabulary import Vocabulary
from rnncli.errors import ConfigError
from rnncli.packing import Array, IntArray

Matched = tuple[IntArray, IntArray]  # ids of ours, and of theirs, that stand for the same token
ENOUGH = 0.5  # of the tokens: fewer are said to be few


class Source(Protocol):
    """A checkpoint: its model, its config, and what it learned besides."""

    @property
    def model(self) -> Any: ...  # noqa: D102
    @property
    def config(self) -> Any: ...  # noqa: D102
    @property
    def learned(self) -> Any: ...  # noqa: D102


@dataclass(frozen=True)
class Taken:
    """What a new model has from another one.

    Attributes
    ----------
    path : str
        The checkpoint.
    tokens, tokens_found : int
        Rows of the embedding, that of unknown tokens among them; those that are the other model's.
    taken, fresh : tuple of str
        The names of the arrays of which something was taken, and of those that are as they were drawn.
    """

    path: str
    tokens: int
    tokens_found: int
    taken: tuple[str, ...]
    fresh: tuple[str, ...]

    def __str__(self) -> str:
        """Return it in a line."""
        share = self.tokens_found / self.tokens
        found = f"{'only ' if share < ENOUGH else ''}{self.tokens_found:,} of {self.tokens:,} tokens ({share:.1%})"
        if self.tokens_found == self.tokens:
            found = f"all {self.tokens:,} tokens"
        names = (*self.taken, *self.fresh)
        taken = _parts(self.taken, names)
        fresh = [part for part in _parts(self.fresh, names) if part not in taken]
        said = ", ".join([found, *(part for part in taken if part != "embedding")])
        return f"started from {self.path}: {said}" + (f"; fresh: {', '.join(fresh)}" if fresh else "")


def take_arrays(
    network: Any,
    source: Source,
    where: str,
    by_token: Mapping[str, Matched],
    wanted: Callable[[str], bool] = lambda name: True,
) -> Taken:
    """Put another model's weights into a new one.

    Parameters
    ----------
    network : Network
        Changed in place.
    source : Source
        Whose weights to take.
    where : str
        Its name, for messages.
    by_token : mapping of str to (ndarray, ndarray)
        The arrays that have a row for each token, or as the output layer a column; and which of ours are which of
        theirs. Those are taken over, the others stay fresh.
    wanted : callable
        Says of the name of an array whether to take it; the others stay fresh and need not fit.

    Returns
    -------
    Taken
        What was taken.

    Raises
    ------
    ConfigError
        If a tensor has another shape in the two models, one has more of them, or the cells differ.
    """
    theirs: dict[str, Array] = source.model.params
    if source.model.cell is not network.cell:
        raise ConfigError(
            f"{where} has another cell ({source.config.model.rnn.cell}) than this config",
            where="init_from",
            remedy="Give model.rnn the cell of that checkpoint, a gru also its reset",
        )
    for name in theirs:
        if name not in network.params:
            raise ConfigError(
                f"{where} has the tensor {name}, which the model of this config does not",
                where="init_from",
                remedy="Give the model section the sizes of that checkpoint",
            )
    for name, array in network.params.items():
        if not wanted(name):
            continue
        given = theirs.get(name)
        axis = -1 if name.startswith("output.") else 0
        # Of what is matched by token, their number need not agree.
        fits = given is not None and (
            given.shape == array.shape
            or (name in by_token and np.delete(given.shape, axis).tolist() == np.delete(array.shape, axis).tolist())
        )
        if given is None or not fits:
            raise _does_not_fit(where, name, None if given is None else given.shape, array.shape)
        if name in by_token:
            ours, others = by_token[name]
            np.moveaxis(array, axis, 0)[ours] = np.moveaxis(given, axis, 0)[others]
        else:
            array[...] = given
    tokens = len(network.params["embedding.W"])
    found = len(by_token["embedding.W"][0]) if "embedding.W" in by_token else tokens
    taken, fresh = (tuple(name for name in network.params if wanted(name) is of) for of in (True, False))
    return Taken(where, tokens, found, taken, fresh)


def match_keys(ours: Array, theirs: Array) -> Matched:
    """Return the rows of the n-grams that two models have in common, in the one and in the other."""
    _, mine, others = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    return mine, others


def match_tokens(ours: Vocabulary, theirs: Vocabulary) -> Matched:
    """Return the ids of the tokens that two vocabularies have in common, in the one and in the other."""
    shared = [token for token in ours.tokens if token in theirs]
    return ours.encode(shared).astype(np.int64), theirs.encode(shared).astype(np.int64)


def _does_not_fit(where: str, name: str, theirs: tuple[int, ...] | None, ours: tuple[int, ...]) -> ConfigError:
    found = "does not have" if theirs is None else f"has, with shape {theirs},"
    return ConfigError(
        f"{where} {found} the tensor {name}, which this config makes of shape {ours}",
        where="init_from",
        remedy="Give the model section the sizes of that checkpoint",
    )


def _parts(names: tuple[str, ...], model: tuple[str, ...]) -> list[str]:
    """Return the parts that arrays belong to, of a model whose arrays have those names: ``rnn0`` or ``rnn0.fwd``."""
    directions = [{tuple(name.split(".")[:2]) for name in some} for some in (names, model)]
    parts = []
    for name in names:
        head, direction = name.split(".")[:2]
        here, whole = ([pair for pair in pairs if pair[0] == head] for pairs in directions)
        half = head.startswith("rnn") and len(here) < len(whole)
        parts.append(f"{head}.{direction}" if half else head)
    return list(dict.fromkeys(parts))
