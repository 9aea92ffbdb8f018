"""What the training loop needs to know of a task, and nothing else: the same loop trains every kind of model."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rnncli.figures import Figure
from rnncli.optim import Gradient
from rnncli.packing import Array, IntArray
from rnncli.workers.exchange import Exchange


class Network(Protocol):
    """A model with weights.

    Attributes
    ----------
    params : dict of str to ndarray
        The weights.
    """

    params: dict[str, Array]

    @property
    def sparse(self) -> tuple[str, ...]:
        """The weights whose gradients are ``SparseRows``."""
        ...

    @property
    def frozen(self) -> tuple[str, ...]:
        """The weights that stay as they are: without gradient, moments or mean."""
        ...


def trained_weights(model: Network) -> dict[str, Array]:
    """Return the weights of a model that training moves."""
    return {name: array for name, array in model.params.items() if name not in model.frozen}


class Amount(NamedTuple):
    """How much there is in a step.

    Attributes
    ----------
    texts : int
        Texts, sentences or streams.
    tokens : int
        Real tokens.
    counted : int
        What loss and accuracy are means over: the texts of a classifier, else tokens.
    """

    texts: int
    tokens: int
    counted: int


class Part(NamedTuple):
    """What one rank has computed of a step.

    Attributes
    ----------
    loss : float
        Its share in the mean loss, in nats.
    hits : int
        How much of what is counted it got right.
    grads : dict of str to gradient
        Its share in the gradient of the loss, for every parameter that is to move.
    """

    loss: float
    hits: int
    grads: dict[str, Gradient]


class Work(Protocol):
    """A task: its model, its data, and how a step is computed.

    The items of a step, an array of whole numbers, say what is in it: rows of the training part, or the number of a
    window. They are all that goes from rank 0 to the others.

    Attributes
    ----------
    carried : dict of str to ndarray
        What goes from step to step besides weights and moments; empty for most tasks. Complete on rank 0 after
        :meth:`collect`; it is saved in checkpoints and given to every rank at the start.
    """

    carried: dict[str, Array]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What is shown of a validation besides its loss."""
        ...

    def summary(self) -> str:
        """Say in a line what there is to train on."""
        ...

    @property
    def model(self) -> Network:
        """The model."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps that an epoch has."""
        ...

    def order(self, epoch: int) -> Sequence[IntArray]:
        """Return the items of each step of an epoch, counted from 0."""
        ...

    def amount(self, items: IntArray) -> Amount:
        """Return how much there is in a step."""
        ...

    def compute(
        self, items: IntArray, rng: np.random.Generator, rank: int, size: int, resting: Collection[str] = ()
    ) -> Part | None:
        """Compute a rank's part of a step.

        Parameters
        ----------
        items : ndarray of int
            From :meth:`order`.
        rng : numpy.random.Generator
            For dropout; in the same state on every rank.
        rank, size : int
            Which part, of how many.
        resting : collection of str
            Weights that sit this step out: without gradient.

        Returns
        -------
        Part or None
            None if there is nothing for this rank.
        """
        ...

    def moved(self) -> None:
        """Take note that the weights were moved by what was computed last; not called when it was not finite."""
        ...

    def evaluate(self, exchange: Exchange) -> dict[str, Any]:
        """Score the validation part together with the other ranks.

        Returns
        -------
        dict of str to float
            ``loss`` and the other figures of the task, on rank 0.

        Raises
        ------
        GradientError
            On rank 0, if the model's outputs are not finite.
        """
        ...

    def collect(self, exchange: Exchange) -> None:
        """Bring what the ranks carry to rank 0."""
        ...

    def explain(self, items: IntArray, rng: np.random.Generator) -> str:
        """Compute a step that was not finite once more, whole, and say where it went wrong."""
        ...
