"""Optimizers over named arrays: Adam, AdamW and SGD, with sparse rows for embeddings.

An update is one pure function of weights, gradient and moments. A dense gradient passes through it whole; of a
sparse one only the rows that occur in the batch do, weights and moments alike ("lazy"): a row that does not occur is
not moved by its momentum and its moments do not decay, unlike in dense Adam. PyTorch's SparseAdam does the same.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from rnncli.packing import Array, IntArray


class SparseRows(NamedTuple):
    """A gradient that is zero but for some rows.

    Attributes
    ----------
    rows : ndarray of int, shape (U,)
        The rows, none twice.
    values : ndarray of shape (U, D)
        Their gradients.
    """

    rows: IntArray
    values: Array


class Piece(NamedTuple):
    """The gradient of a part of an array, whose rest is another process's to move.

    Attributes
    ----------
    start : int
        The first number of it, in the array laid out flat.
    values : ndarray of shape (count,)
        Their gradients.
    """

    start: int
    values: Array


Gradient = Array | SparseRows
PartialGradient = Gradient | Piece


def values_of(grad: PartialGradient) -> Array:
    """Return the numbers of a gradient."""
    return grad.values if isinstance(grad, SparseRows | Piece) else grad


def squared_norm(grads: Mapping[str, PartialGradient]) -> float:
    """Compute the squared Euclidean norm of all gradients together, sparse rows included.

    Parameters
    ----------
    grads : dict of name to gradient
        The gradients.

    Returns
    -------
    float
        The sum of their squares, added up in float64.
    """
    return sum(float(np.square(values_of(grad), dtype=np.float64).sum()) for grad in grads.values())


def clip_by_global_norm(
    grads: Mapping[str, PartialGradient], limit: float | None, square: float | None = None
) -> tuple[Mapping[str, PartialGradient], float]:
    """Scale all gradients down together where their norm exceeds a limit (Pascanu et al. 2013).

    Parameters
    ----------
    grads : dict of name to gradient
        Not changed.
    limit : float or None
        The largest norm to let through; None lets all through.
    square : float, optional
        The squared norm, where these gradients are a part of all there are.

    Returns
    -------
    grads : dict of name to gradient
        The gradients to use.
    norm : float
        The norm before clipping.
    """
    norm = math.sqrt(squared_norm(grads) if square is None else square)
    if limit is None or norm <= limit:
        return grads, norm
    factor = limit / norm

    def scaled(grad: PartialGradient) -> PartialGradient:
        return grad * factor if isinstance(grad, np.ndarray) else grad._replace(values=grad.values * factor)

    return {name: scaled(grad) for name, grad in grads.items()}, norm


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1), with decoupled weight decay if asked (AdamW, Loshchilov and Hutter 2019).

    Attributes
    ----------
    beta1, beta2 : float
        Decay of the first and second moment.
    eps : float
        Added outside the square root, as in the paper.
    weight_decay : float
        Each step first takes lr * weight_decay of the weights away.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    moments: ClassVar = ("m", "v")

    def update(self, w: Array, dw: Array, moments: list[Array], step: int, lr: float) -> tuple[Array, list[Array]]:
        """Move one array.

        Parameters
        ----------
        w, dw : ndarrays of one shape
            Weights and their gradient; not changed.
        moments : list of ndarray
            One of that shape for each of ``moments``; not changed.
        step : int
            Number of this update, from 1.
        lr : float
            Learning rate.

        Returns
        -------
        w : ndarray
            The new weights.
        moments : list of ndarray
            The new moments.
        """
        m, v = moments
        # Memory is written anew as rarely as may be: half the time of one expression a line.
        m = self.beta1 * m
        m += (1 - self.beta1) * dw
        squares = np.square(dw)
        squares *= 1 - self.beta2
        v = self.beta2 * v
        v += squares
        # lr * m_hat / (sqrt(v_hat) + eps), the moments' corrections for their start at zero taken as numbers
        root = np.sqrt(v, out=squares)
        root *= 1 / math.sqrt(1 - self.beta2**step)
        root += self.eps
        move = np.divide(m, root, out=root)
        move *= lr / (1 - self.beta1**step)
        if self.weight_decay:
            w = w * (1 - lr * self.weight_decay)
        return w - move, [m, v]


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013, in the form that frameworks use).

    Attributes
    ----------
    momentum : float
        Decay of the velocity; 0 is plain gradient descent.
    """

    momentum: float = 0.9
    moments: ClassVar = ("velocity",)

    def update(self, w: Array, dw: Array, moments: list[Array], step: int, lr: float) -> tuple[Array, list[Array]]:
        """Move one array; see :meth:`Adam.update`."""
        velocity = self.momentum * moments[0] + dw
        return w - lr * velocity, [velocity]


UpdateRule = Adam | SGD


@dataclass
class Optimizer:
    """A rule with the moments of every array.

    Attributes
    ----------
    rule : Adam or SGD
        How one array moves.
    step_count : int
        Updates made.
    state : dict of str to ndarray
        Moments as ``"m/embedding.W"``; zero until an array's first update.
    factors : dict of str to float
        What the learning rate is multiplied by for arrays that have one of their own; 1 for the others.
    delays : dict of str to int
        Updates that arrays sit out; 0 for the others. Those of an array are numbered from its first: Adam's correction
        for moments that start at zero would else do nothing for it, and its first steps be 3.2 lr long instead of lr.
    """

    rule: UpdateRule
    step_count: int = 0
    state: dict[str, Array] = field(default_factory=dict)
    factors: dict[str, float] = field(default_factory=dict)
    delays: dict[str, int] = field(default_factory=dict)

    @property
    def resting(self) -> frozenset[str]:
        """The arrays that sit out the next update."""
        return frozenset(name for name, delay in self.delays.items() if self.step_count < delay)

    def prepare(self, params: dict[str, Array]) -> None:
        """Make the moments of parameters that have none yet."""
        for name, w in params.items():
            for key in (f"{moment}/{name}" for moment in self.rule.moments):
                if key not in self.state:
                    self.state[key] = np.zeros_like(w)

    def step(self, params: dict[str, Array], grads: Mapping[str, PartialGradient], lr: float) -> None:
        """Move the parameters by one update.

        Parameters
        ----------
        params : dict of name to ndarray
            Changed in place.
        grads : dict of name to gradient
            One for every parameter, or part of one, that is to move; none for one that is resting.
        lr : float
            Learning rate.
        """
        self.step_count += 1
        self.prepare({name: params[name] for name in grads})
        for name, grad in grads.items():
            arrays = [params[name], *(self.state[f"{moment}/{name}"] for moment in self.rule.moments)]
            where: IntArray | slice = slice(None)
            if isinstance(grad, SparseRows):
                where = grad.rows
            elif isinstance(grad, Piece):
                where = slice(grad.start, grad.start + len(grad.values))
                arrays = [array.reshape(-1) for array in arrays]
            w, *moments = (array[where] for array in arrays)
            own = lr * self.factors.get(name, 1.0)
            number = self.step_count - self.delays.get(name, 0)
            new_w, new_moments = self.rule.update(w, values_of(grad), moments, number, own)
            for array, new in zip(arrays, [new_w, *new_moments], strict=True):
                array[where] = new
