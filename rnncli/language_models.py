"""The language model: embedding, recurrent layers, and a probability of every token to come next.

Parameters are a flat dict of named arrays: ``embedding.W``, ``rnn0.fwd.Wx``, ``output.b`` and, unless the output layer
has the embedding's weights, ``output.w``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.config import LanguageModelConfig
from rnncli.data.language.steps import Masks, Steps
from rnncli.embedded import embed, embed_backward
from rnncli.layer_groups import lowest_layer
from rnncli.layers.dropping import draw_state_masks, drop, drop_state_weights, undrop, undrop_state_weights
from rnncli.layers.output import OutputLoss, affine_softmax_loss, affine_softmax_nats
from rnncli.layers.recurrent import Cell
from rnncli.layers.sampled import Candidates, sampled_softmax_loss
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray
from rnncli.penalized import Penalties, penalize, penalize_backward
from rnncli.profiling import stage
from rnncli.stacks import (
    State,
    cell_of,
    fresh_weights,
    layer_names,
    layer_shapes,
    stack_backward,
    stack_forward,
)


@dataclass
class LanguageModel:
    """A model that says what comes next.

    Attributes
    ----------
    cell : Cell
        The cell of every layer.
    layers : int
        Recurrent layers.
    embedding_dropout, between_dropout, output_dropout : float
        Rates: of the embedded tokens, between layers, of the last states.
    state_dropout, recurrent_dropout : float
        Rates: of the weights from state to state, and of the state on its way to the next step; of both the same is
        dropped all through a window.
    variational : bool
        Whether what is dropped of a stream's vectors stays so for the window. Otherwise a mask is drawn for each
        step, and for embeddings one for each distinct token. The weights' mask always holds for a window.
    penalties : Penalties
        What the last layer's states add to the loss in training: their size, after dropout, and how they change.
    params : dict of str to ndarray
        The weights; without ``output.w`` the output layer has those of the embedding.
    frozen : tuple of str
        Those that training leaves alone: none, or the embedding, if the output layer does not have its weights.
    sampled : bool
        Whether the training loss is over some of the tokens each step.
    """

    cell: Cell
    layers: int
    embedding_dropout: float
    between_dropout: float
    output_dropout: float
    state_dropout: float
    recurrent_dropout: float
    variational: bool
    penalties: Penalties
    params: dict[str, Array]
    frozen: tuple[str, ...] = ()
    sampled: bool = False

    @property
    def tied(self) -> bool:
        """Whether the output layer has the embedding's weights."""
        return "output.w" not in self.params

    @property
    def sparse(self) -> tuple[str, ...]:
        """The weights whose gradients are ``SparseRows``: the embedding, unless every token's row gets a gradient."""
        every = self.tied and not self.sampled
        return () if every or "embedding.W" in self.frozen else ("embedding.W",)

    @property
    def sizes(self) -> list[int]:
        """The size of each layer's state."""
        return [len(self.params[f"rnn{layer}.fwd.Wh"]) for layer in range(self.layers)]

    def fresh_state(self, N: int) -> list[State]:
        """Return the state of N streams before any token."""
        dtype = self.params["embedding.W"].dtype
        return [
            (np.zeros((N, H), dtype), np.zeros((N, H), dtype) if self.cell.has_cell_state else None) for H in self.sizes
        ]

    def forward(
        self,
        steps: Steps,
        state: Sequence[State],
        rng: np.random.Generator | None = None,
        masks: Masks | None = None,
        *,
        keep: bool = True,
    ) -> tuple[Array, list[State], Any]:
        """Read some steps.

        Parameters
        ----------
        steps : Steps
            The tokens.
        state : sequence of (h, c)
            Of each layer, (N, H), before these steps; not changed.
        rng : numpy.random.Generator, optional
            For dropout; without it nothing is dropped (evaluation).
        masks : Masks, optional
            Where the steps lie; with ``rng``.
        keep : bool
            Keep what :meth:`backward` needs.

        Returns
        -------
        out : ndarray of shape (R, H)
            What the output layer gets, for :meth:`loss` or :meth:`nats`.
        state : list of (h, c)
            After these steps.
        cache
            For :meth:`backward`.
        """
        rnn = rng if masks is not None else None
        cells = None if masks is None else masks.streams if self.variational else masks.cells
        with stage("embedding"):
            tokens, streams = (None, None) if masks is None else (masks.tokens, masks.streams)
            x, groups, embedded = embed(
                self.params["embedding.W"],
                steps.ids,
                self.embedding_dropout,
                rnn,
                tokens=tokens,
                streams=streams if self.variational else None,
            )
        weights, weight_masks = drop_state_weights(self._weights(), self.state_dropout, rnn)
        initial = [(_begin(h, steps), None if c is None else _begin(c, steps)) for h, c in state]
        state_masks = None
        if masks is not None:  # the rows of the first step stand in the order of the sequences
            own = masks.streams._replace(rows=masks.streams.rows[: len(steps.streams)])
            state_masks = draw_state_masks(weights, self.recurrent_dropout, rnn, own)
        h, finals, run = stack_forward(
            self.cell,
            weights,
            x,
            steps.packing,
            groups=groups,
            initial=initial,
            between=None if rnn is None else lambda x: drop(x, self.between_dropout, rnn, cells),
            state_masks=state_masks,
            keep=keep,
        )
        after = [(h_[steps.last], None if c_ is None else c_[steps.last]) for h_, c_ in finals]
        with stage("output"):
            out, mask = drop(h, self.output_dropout, rnn, cells)
            penalties = self._penalties(h, out, steps, masks if rnn is not None else None)
        return out, after, (embedded, weight_masks, run, mask, penalties)

    def loss(
        self,
        out: Array,
        y: IntArray,
        count: int | None = None,
        smoothing: float = 0.0,
        candidates: Candidates | None = None,
    ) -> OutputLoss:
        """Compute the loss and its gradients by what :meth:`forward` gave and by the output layer's weights.

        Parameters
        ----------
        out : ndarray of shape (R, H)
            From :meth:`forward`.
        y : ndarray of int, shape (R,)
            The token that comes after each.
        count : int, optional
            Tokens to take the mean over; R when not given.
        smoothing : float
            Of what comes next; see :mod:`rnncli.layers.losses`.
        candidates : Candidates, optional
            The tokens that are scored, if not all are; without smoothing.

        Returns
        -------
        OutputLoss
            In nats.
        """
        if candidates is not None:
            return sampled_softmax_loss(out, *self.output(), y, candidates, count)
        return affine_softmax_loss(out, *self.output(), y, count, smoothing=smoothing)

    def nats(self, out: Array, y: IntArray) -> tuple[Array, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Return what each token costs, and whether it was the likeliest."""
        return affine_softmax_nats(out, *self.output(), y)

    def backward(
        self, loss: OutputLoss, cache: Any, *, spend: bool = False, resting: Collection[str] = ()
    ) -> dict[str, Gradient]:
        """Compute the gradient of every parameter, by the loss and by :meth:`penalty`; the first state is given.

        Parameters
        ----------
        loss : OutputLoss
            From :meth:`loss`.
        cache
            From :meth:`forward`.
        spend : bool
            Use the cache up, which saves memory.
        resting : collection of str
            Parameters to leave out; what only they would need is not computed.

        Returns
        -------
        dict of str to ndarray or SparseRows
            One gradient for every parameter that is trained.
        """
        embedded, weight_masks, run, mask, ((_, of_out), (_, of_states)) = cache
        with stage("output"):
            grads: dict[str, Gradient] = self._output_gradients(loss)
            more = penalize_backward(of_out)
            dh = undrop(loss.dx if more is None else loss.dx + more, mask)
            more = penalize_backward(of_states)
            dh = dh if more is None else dh + more
        wanted = self.params.keys() - {*self.frozen, *resting}
        lowest = lowest_layer(wanted, self.layers)
        dx, layers = stack_backward(dh, run, spend=spend, lowest=lowest)
        layers = undrop_state_weights(layers, weight_masks and weight_masks[lowest:])
        for layer, (own,) in enumerate(layers, start=lowest):
            grads |= dict(zip(layer_names(self.cell, f"rnn{layer}.fwd"), own, strict=True))
        if "embedding.W" in wanted:
            with stage("embedding"):
                tokens, rows = embed_backward(dx, embedded)
                if self.tied and loss.classes is not None:
                    grads["embedding.W"] = _joined(tokens, rows, loss.classes, loss.dw.T)
                elif self.tied:
                    dW = np.ascontiguousarray(loss.dw.T)
                    dW[tokens] += rows
                    grads["embedding.W"] = dW
                else:
                    grads["embedding.W"] = SparseRows(tokens, rows)
        return {name: grad for name, grad in grads.items() if name in wanted}

    def penalty(self, cache: Any) -> float:
        """Return what the states add to the loss in training, in nats; of some of the streams, their part."""
        value: float = sum(value for value, _ in cache[4])
        return value

    def output(self) -> tuple[Array, Array]:
        """Return the weights of the output layer, (H, V) and (V,)."""
        w = self.params["embedding.W"].T if self.tied else self.params["output.w"]
        return w, self.params["output.b"]

    def _output_gradients(self, loss: OutputLoss) -> dict[str, Gradient]:
        """Return the gradients of the output layer's own weights, in which tokens that were not scored have zeros."""
        dw, db = loss.dw, loss.db
        if loss.classes is not None:
            db = np.zeros_like(self.params["output.b"])
            db[loss.classes] = loss.db
        if loss.classes is not None and not self.tied:
            dw = np.zeros_like(self.params["output.w"])
            dw[:, loss.classes] = loss.dw
        return {"output.b": db} if self.tied else {"output.b": db, "output.w": dw}

    def _penalties(self, h: Array, out: Array, steps: Steps, masks: Masks | None) -> tuple[Any, Any]:
        """Return the penalty of what the output layer gets, and that of how states change, each with its cache."""
        if masks is None:
            return (0.0, None), (0.0, None)
        weights, rows, streams = self.penalties, masks.cells.total, masks.streams.total
        return (
            penalize(out, steps.packing, weights._replace(slowness=0), rows, streams),
            penalize(h, steps.packing, weights._replace(activation=0), rows, streams),
        )

    def _weights(self) -> list[list[list[Array]]]:
        return [[[self.params[name] for name in layer_names(self.cell, f"rnn{n}.fwd")]] for n in range(self.layers)]


def _joined(tokens: IntArray, rows: Array, others: IntArray, more: Array) -> SparseRows:
    """Return the sum of two gradients that come by rows; in neither a row is there twice."""
    every = np.union1d(tokens, others)
    values = np.zeros((len(every), rows.shape[1]), rows.dtype)
    values[np.searchsorted(every, others)] = more
    values[np.searchsorted(every, tokens)] += rows
    return SparseRows(every, values)


def _begin(state: Array, steps: Steps) -> Array:
    """Return the state that each packed sequence begins with."""
    out = state[steps.streams]
    out[steps.fresh] = 0
    return out


def language_shapes(config: LanguageModelConfig, tokens: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a language model.

    Parameters
    ----------
    config : LanguageModelConfig
        The ``model`` section of a config.
    tokens : int
        V.

    Returns
    -------
    dict of str to tuple of int
        In the order in which the first weights are drawn.
    """
    inputs = config.embedding.dim
    cell = cell_of(config.rnn.cell, getattr(config.rnn, "reset", None))
    shapes: dict[str, tuple[int, ...]] = {"embedding.W": (tokens, inputs)}
    for layer, H in enumerate(config.rnn.sizes):
        shapes |= layer_shapes(cell, f"rnn{layer}.fwd", inputs, H)
        inputs = H
    return shapes | ({} if config.tied else {"output.w": (inputs, tokens)}) | {"output.b": (tokens,)}


def build_language_model(
    config: LanguageModelConfig, tokens: int, rng: np.random.Generator, dtype: type = np.float32
) -> LanguageModel:
    """Build a language model with fresh weights.

    Parameters
    ----------
    config : LanguageModelConfig
        The ``model`` section of a config.
    tokens : int
        V.
    rng : numpy.random.Generator
        Draws the first weights.
    dtype : type
        float32 to train, float64 to check gradients.

    Returns
    -------
    LanguageModel
        The model.
    """
    shapes = language_shapes(config, tokens)
    return language_model_with(config, fresh_weights(shapes, rng, getattr(config.rnn, "forget_bias", None), dtype))


def language_model_with(config: LanguageModelConfig, params: dict[str, Array]) -> LanguageModel:
    """Build a language model of weights that there are, which are not copied."""
    return LanguageModel(
        cell=cell_of(config.rnn.cell, getattr(config.rnn, "reset", None)),
        layers=len(config.rnn.sizes),
        embedding_dropout=config.embedding.dropout,
        between_dropout=config.rnn.dropout,
        state_dropout=config.rnn.state_dropout,
        recurrent_dropout=config.rnn.recurrent_dropout,
        output_dropout=config.dropout,
        variational=config.variational,
        penalties=Penalties(config.activation_penalty, config.slowness_penalty),
        params=params,
        frozen=("embedding.W",) if config.embedding.frozen else (),
    )
