"""The tagger: words and their spelling, recurrent layers, a score of every tag for every word.

Parameters are a flat dict of named arrays: ``embedding.W``, ``spelling.W``, ``spelling.fwd.Wx`` and so on where words
are seen through their characters, ``rnn0.fwd.Wx``, ``output.w``.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli.config import TaggerConfig
from rnncli.data.tagging.batches import FormBatch, TaggedBatch
from rnncli.data.vocabulary import UNKNOWN_ID
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
from rnncli.layers.losses import masked_softmax_loss
from rnncli.layers.pooling import (
    last_pooling_backward,
    last_pooling_forward,
    mean_pooling_backward,
    mean_pooling_forward,
)
from rnncli.layers.recurrent import Cell
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray, group_rows, sum_by_group
from rnncli.profiling import stage
from rnncli.stacks import (
    cell_of,
    fresh_weights,
    layer_names,
    layer_shapes,
    stack_backward,
    stack_forward,
)

SPELLING_HIDDEN = 64


@dataclass
class Tagger:
    """A model that gives every word a tag.

    Attributes
    ----------
    cell : Cell
        The cell of every recurrent layer.
    layers : int
        Recurrent layers over words.
    directions : tuple of str
        ``("fwd",)`` or ``("fwd", "bwd")``.
    word_dropout, input_dropout, between_dropout, output_dropout : float
        Rates: of words that are shown as the unknown one, of a word's numbers, between layers, of the last states.
    state_dropout, recurrent_dropout : float
        Rates, of the layers over words: of the weights from state to state, and of the state on its way to the next
        step; of the latter the same is dropped all through a sentence.
    params : dict of str to ndarray
        The weights; what of a word's spelling is seen shows in which there are.
    frozen : tuple of str
        Those that training leaves alone: none, or the words' embedding.
    """

    cell: Cell
    layers: int
    directions: tuple[str, ...]
    word_dropout: float
    input_dropout: float
    between_dropout: float
    output_dropout: float
    state_dropout: float
    recurrent_dropout: float
    params: dict[str, Array]
    frozen: tuple[str, ...] = ()

    @property
    def sparse(self) -> tuple[str, ...]:
        """The weights whose gradients are ``SparseRows``."""
        tables = ("embedding.W", "spelling.W")
        return tuple(name for name in tables if name in self.params and name not in self.frozen)

    def forward(
        self,
        batch: TaggedBatch,
        rng: np.random.Generator | None = None,
        *,
        places: Places | None = None,
        total: int | None = None,
        keep: bool = True,
    ) -> tuple[Array, Any]:
        """Compute the scores of every tag for every word.

        Parameters
        ----------
        batch : TaggedBatch
            The sentences.
        rng : numpy.random.Generator, optional
            For dropout; without it nothing is dropped (evaluation).
        places : Places, optional
            Which words of a larger batch these are.
        total : int, optional
            Sentences of that batch.
        keep : bool
            Keep what :meth:`backward` needs.

        Returns
        -------
        logits : ndarray of shape (R, C)
            In packed order.
        cache
            For :meth:`backward`.
        """
        packing, ids = batch.packing, batch.ids
        with stage("embedding"):
            ids = hide_words(ids, UNKNOWN_ID, self.word_dropout, rng, places)
            groups = group_rows(ids)
            x = self.params["embedding.W"][ids]
            spelled = None
            if batch.forms is not None:
                seen, spelled = self._spell(batch.forms, keep)
                x = np.concatenate([x, seen[batch.forms.of_word]], axis=1)
            x, dropped = drop(x, self.input_dropout, rng, places)
        between = None if rng is None else lambda x: drop(x, self.between_dropout, rng, places)
        weights, weight_masks = drop_state_weights(self._weights("rnn"), self.state_dropout, rng)
        N = len(packing.order)
        # The words of step 0 stand in the order of the sentences, in a part as in the whole.
        own = Places(np.arange(N), N) if places is None or total is None else Places(places.rows[:N], total)
        masks = draw_state_masks(weights, self.recurrent_dropout, rng, own)
        h, _, run = stack_forward(self.cell, weights, x, packing, between=between, state_masks=masks, keep=keep)
        with stage("output"):
            h, mask = drop(h, self.output_dropout, rng, places)
            logits, affine_cache = affine_forward(h, self.params["output.w"], self.params["output.b"])
        return logits, (groups, batch.forms, spelled, dropped, run, mask, affine_cache, weight_masks)

    def backward(
        self, dlogits: Array, cache: Any, *, spend: bool = False, resting: Collection[str] = ()
    ) -> dict[str, Gradient]:
        """Compute the gradient of every parameter.

        Parameters
        ----------
        dlogits : ndarray of shape (R, C)
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
            One gradient for every parameter that is trained.
        """
        groups, forms, spelled, dropped, run, mask, affine_cache, weight_masks = cache
        grads: dict[str, Gradient] = {}
        with stage("output"):
            dh, grads["output.w"], grads["output.b"] = affine_backward(dlogits, affine_cache)
        wanted = self.params.keys() - {*self.frozen, *resting}
        lowest = lowest_layer(wanted, self.layers)
        dx, layers = stack_backward(undrop(dh, mask), run, spend=spend, lowest=lowest)
        layers = undrop_state_weights(layers, weight_masks and weight_masks[lowest:])
        names_of = self._names("rnn")[lowest * len(self.directions) :]
        for names, own in zip(names_of, [own for layer in layers for own in layer], strict=True):
            grads |= dict(zip(names, own, strict=True))
        if wanted & {"embedding.W", "spelling.W"}:
            with stage("embedding"):
                dx = undrop(dx, dropped)
                D = self.params["embedding.W"].shape[1]
                if "embedding.W" in wanted:
                    grads["embedding.W"] = SparseRows(groups.values, sum_by_group(dx[:, :D], groups))
                if forms is not None:
                    grads |= self._unspell(dx[:, D:], forms, spelled, spend)
        return {name: grad for name, grad in grads.items() if name in wanted}

    def loss(
        self, logits: Array, y: IntArray, total: int | None = None, smoothing: float = 0.0
    ) -> tuple[float, int, Array]:
        """Compute the loss of a batch and its gradient.

        Parameters
        ----------
        logits : ndarray of shape (R, C)
            From :meth:`forward`.
        y : ndarray of int, shape (R,)
            The tag of each word; one that the model does not have does not count.
        total : int, optional
            Words to take the mean over; those that count when not given.
        smoothing : float
            Of the tags; see :mod:`rnncli.layers.losses`.

        Returns
        -------
        loss : float
            In nats.
        hits : int
            Words whose best tag is theirs.
        dlogits : ndarray of shape (R, C)
            Gradient of the loss.
        """
        loss, dlogits = masked_softmax_loss(logits, y, y < logits.shape[1], total, smoothing=smoothing)
        return loss, int(np.count_nonzero(logits.argmax(axis=1) == y)), dlogits

    def inputs(self, batch: TaggedBatch) -> Array:
        """Return what the layers over words read, (R, D) in packed order: each word's numbers, then its spelling's."""
        x = self.params["embedding.W"][batch.ids]
        if batch.forms is None:
            return x
        seen, _ = self._spell(batch.forms, keep=False)
        return np.concatenate([x, seen[batch.forms.of_word]], axis=1)

    def _names(self, prefix: str) -> list[list[str]]:
        if prefix == "rnn":
            return [
                layer_names(self.cell, f"rnn{layer}.{direction}")
                for layer in range(self.layers)
                for direction in self.directions
            ]
        return [layer_names(self.cell, f"spelling.{direction}") for direction in ("fwd", "bwd")]

    def _weights(self, prefix: str) -> list[list[list[Array]]]:
        names = self._names(prefix)
        count = len(self.directions) if prefix == "rnn" else 2
        weights = [[self.params[name] for name in own] for own in names]
        return [weights[start : start + count] for start in range(0, len(weights), count)]

    def _spell(self, forms: FormBatch, keep: bool) -> tuple[Array, Any]:
        """Return what is seen of each form's spelling, in packed order."""
        groups = group_rows(forms.pieces)
        W = self.params["spelling.W"]
        if "spelling.fwd.Wx" not in self.params:
            out, cache = mean_pooling_forward(W[forms.pieces], forms.packing)
            return out, (groups, cache)
        # Only the distinct characters pass through the layer's weights.
        weights = self._weights("spelling")
        h, _, run = stack_forward(self.cell, weights, W[groups.values], forms.packing, groups=groups, keep=keep)
        H = h.shape[1] // 2
        left, left_cache = last_pooling_forward(h[:, :H], forms.packing)
        right, right_cache = last_pooling_forward(h[:, H:], forms.packing, reverse=True)
        return np.concatenate([left, right], axis=1), (groups, (run, left_cache, right_cache))

    def _unspell(self, dseen: Array, forms: FormBatch, cache: Any, spend: bool) -> dict[str, Gradient]:
        groups, inner = cache
        words = group_rows(forms.of_word)
        dout = np.empty((len(forms.packing.order), dseen.shape[1]), dseen.dtype)
        dout[words.values] = sum_by_group(np.ascontiguousarray(dseen), words)  # every form is of some word
        if "spelling.fwd.Wx" not in self.params:
            drows = mean_pooling_backward(dout, inner)
            return {"spelling.W": SparseRows(groups.values, sum_by_group(drows, groups))}
        run, left_cache, right_cache = inner
        H = dout.shape[1] // 2
        dh = np.concatenate(
            [last_pooling_backward(dout[:, :H], left_cache), last_pooling_backward(dout[:, H:], right_cache)], axis=1
        )
        dx, layers = stack_backward(dh, run, spend=spend)
        grads: dict[str, Gradient] = {"spelling.W": SparseRows(groups.values, dx)}
        for names, own in zip(self._names("spelling"), layers[0], strict=True):
            grads |= dict(zip(names, own, strict=True))
        return grads


def tagger_shapes(
    config: TaggerConfig, words: int, pieces: int | None, characters: bool, tags: int
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a tagger.

    Parameters
    ----------
    config : TaggerConfig
        The ``model`` section of a config.
    words, tags : int
        Ids of words, and C.
    pieces : int or None
        Ids of characters, or buckets of n-grams; None where the spelling is not seen.
    characters : bool
        Whether the pieces are characters.

    Returns
    -------
    dict of str to tuple of int
        In the order in which the first weights are drawn.
    """
    rnn = config.rnn
    cell = cell_of(rnn.cell, getattr(rnn, "reset", None))
    directions = ("fwd", "bwd") if rnn.bidirectional else ("fwd",)
    inputs = config.embedding.dim
    shapes: dict[str, tuple[int, ...]] = {"embedding.W": (words, inputs)}
    if pieces is not None:
        spelling = config.spelling
        dim = spelling.dim if spelling else 32
        shapes["spelling.W"] = (pieces, dim)
        if characters:
            H = (spelling.hidden if spelling else None) or SPELLING_HIDDEN
            for direction in ("fwd", "bwd"):
                shapes |= layer_shapes(cell, f"spelling.{direction}", dim, H)
        inputs += 2 * H if characters else dim
    for layer in range(rnn.layers):
        for direction in directions:
            shapes |= layer_shapes(cell, f"rnn{layer}.{direction}", inputs, rnn.hidden)
        inputs = len(directions) * rnn.hidden
    return shapes | {"output.w": (inputs, tags), "output.b": (tags,)}


def build_tagger(
    config: TaggerConfig, shapes: dict[str, tuple[int, ...]], rng: np.random.Generator, dtype: type = np.float32
) -> Tagger:
    """Build a tagger with fresh weights.

    Parameters
    ----------
    config : TaggerConfig
        The ``model`` section of a config.
    shapes : dict of str to tuple of int
        From :func:`tagger_shapes`.
    rng : numpy.random.Generator
        Draws the first weights.
    dtype : type
        float32 to train, float64 to check gradients.

    Returns
    -------
    Tagger
        The model.
    """
    return tagger_with(config, fresh_weights(shapes, rng, getattr(config.rnn, "forget_bias", None), dtype))


def tagger_with(config: TaggerConfig, params: dict[str, Array]) -> Tagger:
    """Build a tagger of weights that there are, which are not copied."""
    return Tagger(
        cell=cell_of(config.rnn.cell, getattr(config.rnn, "reset", None)),
        layers=config.rnn.layers,
        directions=("fwd", "bwd") if config.rnn.bidirectional else ("fwd",),
        word_dropout=config.embedding.word_dropout,
        input_dropout=config.input_dropout,
        state_dropout=config.rnn.state_dropout,
        recurrent_dropout=config.rnn.recurrent_dropout,
        between_dropout=config.rnn.dropout,
        output_dropout=config.dropout,
        params=params,
        frozen=("embedding.W",) if config.embedding.frozen else (),
    )
