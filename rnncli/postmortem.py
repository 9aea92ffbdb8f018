"""Where a batch first went wrong when its loss or gradient is not finite."""

from typing import Any

import numpy as np

from rnncli.data.batches import Batch
from rnncli.models import Model
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray


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
    for name, array in model.params.items():
        if not np.isfinite(array).all():
            return f"the weights {name} were not finite before it"
    packing = batch.packing
    texts = rows[packing.order]
    _, runs, *_ = cache
    for number, run in enumerate(runs):
        layer, direction = divmod(number, len(model.directions))
        bad = np.flatnonzero(~np.isfinite(run.gates).all(axis=(0, 2)))
        if len(bad):
            row = bad[-1] if run.reverse else bad[0]  # rows are in the order of time
            time, text = packing.times[row], texts[packing.sequences[row]]
            name = f"rnn{layer}.{model.directions[direction]}"
            texts_bad = len(np.unique(packing.sequences[bad]))
            return (
                f"the gates of {name} are not finite, first at step {time} of training text {text}, "
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
