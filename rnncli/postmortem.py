"""Where a batch first went wrong when its loss or gradient is not finite."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnncli.data.batches import Batch
from rnncli.models import Model
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray


def not_finite(arrays: Mapping[str, Array]) -> str | None:
    """Return the name of the first array that is not finite, None if all are."""
    return next((name for name, array in arrays.items() if not np.isfinite(array).all()), None)


def explain(model: Model, batch: Batch, rows: IntArray, cache: Any, logits: Array, grads: dict[str, Gradient]) -> str:
    """Name the first tensor of a step that is not finite, in the order in which they were computed.

    Parameters
    ----------
    model : Model
        With the weights of before the step.
    batch : Batch
        What was trained on.
    rows : ndarray of int, shape (N,)
        The rows of the training part that the batch was made of.
    cache
        From the model's forward pass.
    logits : ndarray of shape (N, C)
        From the same.
    grads : dict of name to gradient
        From the backward pass, in its order.

    Returns
    -------
    str
        Such as ``the states of rnn0.fwd are not finite, first at step 12 of training text 381``.
    """
    packing = batch.packing
    texts = rows[packing.order]

    def place(row: int) -> str:
        return f"step {packing.times[row]} of training text {texts[packing.sequences[row]]}"

    bad = np.flatnonzero(~np.isfinite(model.params["embedding.W"][batch.ids]).all(axis=1))
    if len(bad):
        token = batch.ids[bad[0]]
        return f"the weights embedding.W of token {token} were not finite before it, first read at {place(bad[0])}"
    broken = not_finite({name: array for name, array in model.params.items() if name != "embedding.W"})
    if broken:
        return f"the weights {broken} were not finite before it"
    _, _, (runs, _), *_ = cache
    for number, run in enumerate(runs):
        layer, direction = divmod(number, len(model.directions))
        bad = np.flatnonzero(~np.isfinite(run.h).all(axis=1))
        if len(bad):
            row = bad[-1] if run.reverse else bad[0]  # rows are in the order of time
            name = f"rnn{layer}.{model.directions[direction]}"
            texts_bad = len(np.unique(packing.sequences[bad]))
            return (
                f"the states of {name} are not finite, first at {place(row)}, "
                f"in {texts_bad} of the batch's {len(texts)} texts"
            )
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        return f"the logits are not finite, first of training text {texts[bad[0]]}, in {len(bad)} of {len(texts)} texts"
    for name, grad in grads.items():
        values = grad.values if isinstance(grad, SparseRows) else grad
        if not np.isfinite(values).all():
            return f"the gradient of {name} is the first that is not finite"
    return "every tensor is finite, their sum is not"


def explain_plainly(params: Mapping[str, Array], outputs: Array, grads: Mapping[str, Gradient]) -> str:
    """Name the first thing of a step that is not finite: a weight, the outputs, a gradient.

    Parameters
    ----------
    params : mapping of str to ndarray
        The weights of before the step.
    outputs : ndarray
        What the forward pass gave.
    grads : mapping of str to gradient
        From the backward pass, in its order.

    Returns
    -------
    str
        Such as ``the gradient of rnn0.fwd.Wh is the first that is not finite``.
    """
    broken = not_finite(params)
    if broken:
        return f"the weights {broken} were not finite before it"
    if not np.isfinite(outputs).all():
        return "the outputs are not finite"
    for name, grad in grads.items():
        if not np.isfinite(grad.values if isinstance(grad, SparseRows) else grad).all():
            return f"the gradient of {name} is the first that is not finite"
    return "every tensor is finite, their sum is not"
