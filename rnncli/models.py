"""The text classifier: embedding, recurrent layers, pooling, affine map, loss.

Parameters are a flat dict of named arrays (``embedding.W``, ``rnn0.fwd.Wx``, ``rnn0.bwd.Wh``, ``output.w``);
gradients, optimizer moments and checkpoints share its keys.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.data.batches import Batch
from rnncli.data.vocabulary import UNKNOWN_ID
from rnncli.embedded import embed, embed_backward
from rnncli.layer_groups import lowest_layer
from rnncli.layers.affine import affine_backward, affine_forward
from rnncli.layers.dropping import (
    Places,
    draw_state_masks,
    drop,
    drop_state_weights,
    hide_words,
    undrop,
    undrop_state_weights,
)
from rnncli.layers.losses import binary_loss, softmax_loss
from rnncli.layers.recurrent import Cell
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray
from rnncli.penalized import NO_PENALTIES, Penalties, penalize, penalize_backward
from rnncli.pooled import pool_backward, pool_forward
from rnncli.profiling import stage
from rnncli.stacks import (
    layer_names,
    stack_backward,
    stack_forward,
)


@dataclass
class Model:
    """A classifier of token sequences.

    Attributes
    ----------
    cell : Cell
        The cell of every recurrent layer.
    layers : int
        Recurrent layers.
    directions : tuple of str
        ``("fwd",)`` or ``("fwd", "bwd")``.
    poolings : tuple of {"last", "mean", "max", "attention"}
        How the states of a text become one vector: by each of these, side by side.
    loss_name : {"softmax", "binary"}
        "binary" has one logit, for two classes.
    word_dropout, embedding_dropout, between_dropout, pooled_dropout : float
        Rates: of words that are shown as the unknown one, of the embedded tokens, between layers, of the pooled vector.
    state_dropout, recurrent_dropout : float
        Rates: of the weights from state to state, and of the state on its way to the next step; of the latter the same
        is dropped all through a text.
    variational : bool
        Whether what is dropped of a text's vectors stays so for all of it. Otherwise a mask is drawn for each distinct
        token of the batch and, between layers, for each step.
    penalties : Penalties
        What the last layer's states add to the loss in training.
    params : dict of str to ndarray
        The weights.
    frozen : tuple of str
        Those that training leaves alone: none, or the embedding.
    """

    cell: Cell
    layers: int
    directions: tuple[str, ...]
    poolings: tuple[str, ...]
    loss_name: str
    word_dropout: float
    embedding_dropout: float
    between_dropout: float
    pooled_dropout: float
    state_dropout: float
    recurrent_dropout: float
    variational: bool
    penalties: Penalties
    params: dict[str, Array]
    frozen: tuple[str, ...] = ()

    @property
    def sparse(self) -> tuple[str, ...]:
        """The weights whose gradients are ``SparseRows``."""
        return () if "embedding.W" in self.frozen else ("embedding.W",)

    @property
    def logits(self) -> int:
        """How many logits a text has."""
        return len(self.params["output.b"])

    def forward(self, batch: Batch, rng: np.random.Generator | None = None, *, keep: bool = True) -> tuple[Array, Any]:
        """Compute the logits of a batch.

        Parameters
        ----------
        batch : Batch
            The texts.
        rng : numpy.random.Generator, optional
            Draws the dropout masks; without it nothing is dropped (evaluation).
        keep : bool
            Keep what :meth:`backward` needs.

        Returns
        -------
        logits : ndarray of shape (N, C), or (N, 1) for the binary loss
            In packed order.
        cache
            For :meth:`backward`.
        """
        packing, part = batch.packing, batch.part
        N = len(packing.order) if part is None else len(part.packing.order)
        rows = None if part is None else Places(part.rows, part.packing.rows)
        sequences = np.arange(N) if part is None else part.sequences  # of the whole batch
        streams = Places(sequences[packing.sequences], N) if self.variational and rng is not None else None
        with stage("embedding"):
            # Only the distinct tokens pass through the first layer's weights: x is (U, D).
            ids = hide_words(batch.ids, UNKNOWN_ID, self.word_dropout, rng, rows)
            tokens = None if rng is None or not self.embedding_dropout else self._tokens(batch)
            W = self.params["embedding.W"]
            beside = self.beside(batch)
            rate = self.embedding_dropout
            x, groups, embedded = embed(W, ids, rate, rng, tokens=tokens, streams=streams, beside=beside)

        def between(x: Array) -> tuple[Array, Array | None]:
            return drop(x, self.between_dropout, rng, rows if streams is None else streams)

        weights, weight_masks = drop_state_weights(self._weights(), self.state_dropout, rng)
        masks = draw_state_masks(weights, self.recurrent_dropout, rng, Places(sequences, N))
        h, _, run = stack_forward(
            self.cell, weights, x, packing, groups=groups, between=between, state_masks=masks, keep=keep
        )
        with stage("output"):
            penalties = NO_PENALTIES if rng is None else self.penalties
            penalty = penalize(h, packing, penalties, packing.rows if part is None else part.packing.rows, N)
            w = self.params.get("attention.w")
            pooled, pooling_cache = pool_forward(self.poolings, h, packing, len(self.directions), w)
            pooled, pooled_drop = drop(pooled, self.pooled_dropout, rng, None if part is None else Places(sequences, N))
            logits, affine_cache = affine_forward(pooled, self.params["output.w"], self.params["output.b"])
        return logits, (embedded, weight_masks, run, pooling_cache, pooled_drop, affine_cache, penalty)

    def backward(
        self, dlogits: Array, cache: Any, *, spend: bool = False, resting: Collection[str] = ()
    ) -> dict[str, Gradient]:
        """Compute the gradient of every parameter, by the logits and by :meth:`penalty`.

        Parameters
        ----------
        dlogits : ndarray of the shape of the logits
            Gradient of the logits.
        cache
            From :meth:`forward`.
        spend : bool
            Use the cache up, which saves memory.
        resting : collection of str
            Parameters to leave out; what only they would need is not computed.

        Returns
        -------
        dict of str to ndarray or SparseRows
            One gradient for every parameter that is trained; that of the embedding has only the batch's tokens.
        """
        embedded, weight_masks, run, pooling_cache, pooled_drop, affine_cache, penalty = cache
        grads: dict[str, Gradient] = {}
        with stage("output"):
            dpooled, grads["output.w"], grads["output.b"] = affine_backward(dlogits, affine_cache)
            dh, dattention = pool_backward(undrop(dpooled, pooled_drop), pooling_cache)
            if dattention is not None:
                grads["attention.w"] = dattention
            more = penalize_backward(penalty[1])
            dh = dh if more is None else np.add(dh, more, out=dh)
        wanted = self.params.keys() - {*self.frozen, *resting}
        lowest = lowest_layer(wanted, self.layers)
        dx, layers = stack_backward(dh, run, spend=spend, lowest=lowest)
        layers = undrop_state_weights(layers, weight_masks and weight_masks[lowest:])
        for layer in reversed(range(lowest, self.layers)):  # in the order in which they are computed
            for direction, own in zip(self.directions, layers[layer - lowest], strict=True):
                grads |= dict(zip(self._names(layer, direction), own, strict=True))
        if "embedding.W" in wanted:
            grads["embedding.W"] = SparseRows(*embed_backward(dx, embedded))
        return {name: grad for name, grad in grads.items() if name in wanted}

    def loss(
        self, logits: Array, y: IntArray, class_weights: Array | None = None, smoothing: float = 0.0
    ) -> tuple[float, Array]:
        """Compute the loss of a batch and its gradient.

        Parameters
        ----------
        logits : ndarray of shape (N, C) or (N, 1)
            From :meth:`forward`.
        y : ndarray of int, shape (N,)
            Class ids, in the order of the logits.
        class_weights : ndarray of shape (C,), optional
            What a text of each class counts.
        smoothing : float
            Of the labels; see :mod:`rnncli.layers.losses`.

        Returns
        -------
        loss : float
            Weighted mean over the texts, in nats.
        dlogits : ndarray of the shape of the logits
            Its gradient.
        """
        weights = None if class_weights is None else class_weights[y]
        loss = binary_loss if self.loss_name == "binary" else softmax_loss
        return loss(logits, y, weights=weights, smoothing=smoothing)

    def beside(self, batch: Batch) -> Array | None:
        """Return what the first layer reads beside each row's token, (R, E); here nothing."""
        return None

    def penalty(self, cache: Any) -> float:
        """Return what the states add to the loss in training, in nats; of a part of a batch, its part."""
        value: float = cache[6][0]
        return value

    def class_scores(self, logits: Array) -> Array:
        """Return one score a class, shape (N, C), whose softmax is the model's probabilities."""
        if self.loss_name == "binary":  # sigmoid(z) is the softmax of 0 and z
            return np.concatenate([np.zeros_like(logits), logits], axis=1)
        return logits

    def _names(self, layer: int, direction: str) -> list[str]:
        return layer_names(self.cell, f"rnn{layer}.{direction}")

    def _weights(self) -> list[list[list[Array]]]:
        return [
            [[self.params[name] for name in self._names(layer, direction)] for direction in self.directions]
            for layer in range(self.layers)
        ]

    def _tokens(self, batch: Batch) -> IntArray:
        """Return the distinct tokens of the whole batch, with the unknown one where words are hidden."""
        tokens = np.unique(batch.ids) if batch.part is None else batch.part.tokens
        return np.union1d(tokens, [UNKNOWN_ID]) if self.word_dropout else tokens
