"""Optimizers over named arrays: Adam, AdamW and SGD, with sparse rows for embeddings.

An update is one pure function of weights, gradient and moments. A dense gradient passes through it whole; of a
sparse one only the rows that occur in the batch do, weights and moments alike ("lazy"): a row that does not occur is
not moved by its momentum and its moments do not decay, unlike in dense Adam. PyTorch's SparseAdam does the same.
"""

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


Gradient = Array | SparseRows


def global_norm(grads: dict[str, Gradient]) -> float:
    """Compute the Euclidean norm of all gradients together, sparse rows included.

    Parameters
    ----------
    grads : dict of name to gradient
        The gradients.

    Returns
    -------
    float
        The norm, added up in float64.
    """
    arrays = [grad.values if isinstance(grad, SparseRows) else grad for grad in grads.values()]
    return float(np.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays)))


def clip_by_global_norm(grads: dict[str, Gradient], limit: float | None) -> tuple[dict[str, Gradient], float]:
    """Scale all gradients down together where their norm exceeds a limit (Pascanu et al. 2013).

    Parameters
    ----------
    grads : dict of name to gradient
        Not changed.
    limit : float or None
        The largest norm to let through; None lets all through.

    Returns
    -------
    grads : dict of name to gradient
        The gradients to use.
    norm : float
        The norm before clipping.
    """
    norm = global_norm(grads)
    if limit is None or norm <= limit:
        return grads, norm
    factor = limit / norm

    def scaled(grad: Gradient) -> Gradient:
        return SparseRows(grad.rows, grad.values * factor) if isinstance(grad, SparseRows) else grad * factor

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
        m = self.beta1 * m + (1 - self.beta1) * dw
        v = self.beta2 * v + (1 - self.beta2) * dw * dw
        m_hat = m / (1 - self.beta1**step)
        v_hat = v / (1 - self.beta2**step)
        if self.weight_decay:
            w = w * (1 - lr * self.weight_decay)
        return w - lr * m_hat / (np.sqrt(v_hat) + self.eps), [m, v]


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
    """

    rule: UpdateRule
    step_count: int = 0
    state: dict[str, Array] = field(default_factory=dict)

    def step(self, params: dict[str, Array], grads: dict[str, Gradient], lr: float) -> None:
        """Move the parameters by one update.

        Parameters
        ----------
        params : dict of name to ndarray
            Changed in place.
        grads : dict of name to gradient
            One for every parameter that is to move.
        lr : float
            Learning rate.
        """
        self.step_count += 1
        for name, grad in grads.items():
            w = params[name]
            moments = [self.state.setdefault(f"{moment}/{name}", np.zeros_like(w)) for moment in self.rule.moments]
            where, dw = (grad.rows, grad.values) if isinstance(grad, SparseRows) else (slice(None), grad)
            new_w, new_moments = self.rule.update(w[where], dw, [m[where] for m in moments], self.step_count, lr)
            w[where] = new_w
            for moment, new in zip(moments, new_moments, strict=True):
                moment[where] = new
