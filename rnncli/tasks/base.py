"""What every task has to say of itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rnncli.packing import Array
from rnncli.tasks.vectors import Words
from rnncli.tasks.weights import Taken
from rnncli.work import Network, Work
from rnncli.workers.exchange import Anything, Exchange


class Parcel(NamedTuple):
    """A task's data on its way to other processes.

    Attributes
    ----------
    facts : dict
        What JSON holds.
    arrays : dict of str to ndarray
        The rest.
    """

    facts: dict[str, Any]
    arrays: dict[str, Anything]


class Stored(NamedTuple):
    """What was learned from the training part besides weights, as a checkpoint keeps it.

    Attributes
    ----------
    metadata : dict
        What JSON holds.
    tokens : sequence of str
        Texts that are kept outside of it, since it may only be so large.
    """

    metadata: dict[str, Any]
    tokens: tuple[str, ...]


class Task(Protocol):
    """A task, of which there is one object each; config and data are of its own kinds."""

    def load(self, config: Any, cache: Path | None) -> Any:
        """Return the data of a config, encoded."""
        ...

    def build(self, config: Any, data: Any) -> Work:
        """Return the work of a config with fresh weights; ConfigError if it does not fit the data."""
        ...

    def ready(self, config: Any, data: Any) -> Any:
        """Return the data with what the config has to be worked out of it before it is shared; the same if nothing."""
        ...

    def pack(self, data: Any, exchange: Exchange) -> Parcel:
        """Return what other processes need of the data."""
        ...

    def unpack(self, config: Any, parcel: Parcel) -> Any:
        """Return the data that :meth:`pack` was given, as far as it is needed to compute."""
        ...

    def with_arrays(self, data: Any, arrays: dict[str, Anything]) -> Any:
        """Return data whose arrays are those of a parcel, which lie where all processes see them."""
        ...

    def join(self, config: Any, data: Any, params: dict[str, Array]) -> Work:
        """Return the work of a config with weights that are given."""
        ...

    def digest(self, data: Any) -> str:
        """Return a digest of all that a run trains on."""
        ...

    def store(self, data: Any) -> Stored:
        """Return what has to travel with the weights."""
        ...

    def restore(self, config: Any, metadata: Mapping[str, Any], tokens: tuple[str, ...]) -> Any:
        """Return what :meth:`store` was made of; KeyError, TypeError or ValueError if it is no such thing."""
        ...

    def shapes(self, config: Any, learned: Any) -> dict[str, tuple[int, ...]]:
        """Return the shape of every weight."""
        ...

    def network(self, config: Any, params: dict[str, Array]) -> Network:
        """Return the model of a config with weights that are given."""
        ...

    def words(self, data: Any) -> Words:
        """Return the words that the embedding has rows for, with how often they occur; not of characters."""
        ...

    def samples(self, config: Any, data: Any, network: Any, step: int) -> list[str]:
        """Return texts that the model makes up, if the config asks for some."""
        ...

    def take_weights(self, config: Any, network: Any, data: Any, source: Any, where: str) -> Taken:
        """Start a new model from another's weights (``init_from``).

        Parameters
        ----------
        config : RunConfig
            What the new model was made of.
        network : Network
            Changed in place.
        data
            What it will be trained on.
        source : Source
            A checkpoint of the same task or of a language model: ``model``, ``config`` and ``learned``.
        where : str
            The checkpoint's name, for messages.

        Returns
        -------
        Taken
            What was taken.

        Raises
        ------
        ConfigError
            If the two models do not fit.
        """
        ...
