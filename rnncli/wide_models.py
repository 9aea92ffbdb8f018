"""A linear model of n-grams beside the recurrent one: two branches that read the same text and add up what they say.

Which words and short phrases a text has is much of what there is to know of it, and a linear model learns that in
seconds (Wang and Manning 2012); a recurrent network sees their order and what they do to each other. Direct connections
from n-grams to the output go back to Mikolov et al. 2011, a "wide" part beside a "deep" one to Cheng et al. 2016.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from rnncli.data.batches import Batch
from rnncli.layers.bags import bag_backward_rows, bag_forward
from rnncli.layers.losses import binary_loss, softmax_loss
from rnncli.models import Model
from rnncli.ngram_inputs import looked_up
from rnncli.ngrams import Bag, bag_of, kept_by_dropout, occurrences, packed_endings
from rnncli.optim import Gradient, SparseRows
from rnncli.packing import Array, IntArray
from rnncli.profiling import stage

KEYS, RATIOS, TABLE, BIAS = "ngrams.keys", "ngrams.ratios", "ngrams.W", "ngrams.b"
SCALE = "ngrams.scale"  # what the ratios that the layers read are divided by
FIXED = (KEYS, RATIOS, SCALE)  # these are not trained


class Wide(NamedTuple):
    """How the wide branch is trained, and what it has to do with the other.

    Attributes
    ----------
    orders : int
        The longest n-gram, in tokens.
    dropout : float
        Fraction of a text's n-grams left out.
    own_loss : bool
        Whether each branch has its own loss, or the sum of their scores has one.
    share : float
        With losses of their own, what part of the scores is the n-grams'.
    weighted : bool
        Whether the ratios multiply the weights.
    inputs : bool
        Whether the recurrent layers read the ratios too; see :mod:`rnncli.ngram_inputs`.
    """

    orders: int
    dropout: float
    own_loss: bool
    share: float
    weighted: bool
    inputs: bool


@dataclass
class WideModel(Model):
    """A recurrent classifier with a linear one beside it.

    Its logits are those of both branches side by side: the recurrent one's, then K of the n-grams, which of two classes
    is a single one, that of the second class.

    Attributes
    ----------
    wide : Wide
        How the wide branch is trained.
    """

    wide: Wide = field(kw_only=True)

    @property
    def sparse(self) -> tuple[str, ...]:
        """The weights whose gradients are ``SparseRows``."""
        return (*super().sparse, TABLE)

    @property
    def logits(self) -> int:
        """How many logits a text has, of both branches together."""
        return super().logits + len(self.params[BIAS])

    @property
    def keys(self) -> NDArray[np.int32]:
        """The numbers of the n-grams that have a row; see :class:`rnncli.ngram_counts.NgramCounts`."""
        return cast(NDArray[np.int32], self.params[KEYS])

    @property
    def recurrent(self) -> Model:
        """The recurrent branch by itself, with these weights. It takes what stands beside a token for embedded."""
        own = {name: value for name, value in vars(self).items() if name != "wide"}
        return Model(**own)

    def forward(self, batch: Batch, rng: np.random.Generator | None = None, *, keep: bool = True) -> tuple[Array, Any]:
        """Compute the logits of both branches; see :meth:`rnncli.models.Model.forward`."""
        logits, cache = super().forward(batch, rng, keep=keep)
        with stage("n-grams"):
            bag, scale = bag_of(batch.ids, batch.packing, self.wide.orders, self.keys), 1.0
            if rng is not None and self.wide.dropout:
                whole = bag if batch.part is None else bag._replace(sequences=batch.part.sequences[bag.sequences])
                kept = kept_by_dropout(whole, self.wide.dropout, int(rng.integers(2**63)))
                bag, scale = Bag(bag.rows[kept], bag.sequences[kept]), 1 / (1 - self.wide.dropout)
            values = self.params[RATIOS][bag.rows] if self.wide.weighted else None
            if scale != 1:
                K = self.params[TABLE].shape[1]
                factor = np.asarray(scale, logits.dtype)
                values = np.full((len(bag.rows), K), factor) if values is None else values * factor
            sums, bag_cache = bag_forward(*bag, len(batch.packing.order), values, self.params[TABLE])
        return np.concatenate([logits, sums + self.params[BIAS]], axis=1), (*cache, bag_cache)

    def backward(
        self, dlogits: Array, cache: Any, *, spend: bool = False, resting: Collection[str] = ()
    ) -> dict[str, Gradient]:
        """Compute the gradient of every parameter; see :meth:`rnncli.models.Model.backward`."""
        *own, bag_cache = cache
        dlogits, dsums = self.branches(dlogits)
        grads: dict[str, Gradient] = {}
        with stage("n-grams"):
            grads[TABLE] = SparseRows(*bag_backward_rows(dsums, bag_cache))
            grads[BIAS] = dsums.sum(axis=0)
        wide = {name: grad for name, grad in grads.items() if name not in resting}
        return wide | super().backward(dlogits, tuple(own), spend=spend, resting=resting)

    def beside(self, batch: Batch) -> Array | None:
        """Return the ratios of the n-grams that end at each token, scaled, (R, E), if the layers read them."""
        if not self.wide.inputs:
            return None
        given = batch.inputs
        if given is None:
            given = self.ratios_at(packed_endings(batch.ids, batch.packing, self.wide.orders, self.keys))
        inputs: Array = given / self.params[SCALE]
        return inputs

    def ratios_at(self, rows: NDArray[np.integer]) -> Array:
        """Return the ratios (R, E) of the n-grams that :func:`rnncli.ngrams.endings` found."""
        return looked_up(rows, self.params[RATIOS])

    def loss(
        self, logits: Array, y: IntArray, class_weights: Array | None = None, smoothing: float = 0.0
    ) -> tuple[float, Array]:
        """Compute the loss of a batch and its gradient; see :meth:`rnncli.models.Model.loss`.

        It is the mean of the branches' own losses, or that of the sum of their scores.
        """
        weights = None if class_weights is None else class_weights[y]
        if not self.wide.own_loss:
            loss, dscores = softmax_loss(self.class_scores(logits), y, weights=weights, smoothing=smoothing)
            return loss, self.class_scores_backward(dscores)
        recurrent, sums = self.branches(logits)
        first, drecurrent = super().loss(recurrent, y, class_weights, smoothing)
        of_sums = binary_loss if sums.shape[1] == 1 else softmax_loss
        second, dsums = of_sums(sums, y, weights=weights, smoothing=smoothing)
        half = np.asarray(0.5, logits.dtype)
        return (first + second) / 2, np.concatenate([drecurrent, dsums], axis=1) * half

    def class_scores(self, logits: Array) -> Array:
        """Return one score a class, shape (N, C), whose softmax is the model's probabilities.

        Where each branch has its own loss, each gives whole probabilities, and the mean of their scores is taken, in
        which the n-grams have their share (the normalized geometric mean of the probabilities); otherwise they are
        parts of a sum.
        """
        recurrent, sums = self.branches(logits)
        return self.combined(super().class_scores(recurrent), sums)

    def class_scores_backward(self, dscores: Array) -> Array:
        """Return the gradient of the logits, of the shape of the logits, from that of the scores."""
        first, second = self.combined_backward(dscores)
        return np.concatenate([first[:, 1:] if self.loss_name == "binary" else first, second], axis=1)

    def combined(self, scores: Array, sums: Array) -> Array:
        """Return the scores (N, C) of both branches together, from those of the recurrent one and the sums (N, K)."""
        if sums.shape[1] == 1:
            sums = np.concatenate([np.zeros_like(sums), sums], axis=1)
        recurrent, wide = self._parts
        both: Array = scores * np.asarray(recurrent, scores.dtype) + sums * np.asarray(wide, sums.dtype)
        return both

    def combined_backward(self, dscores: Array) -> tuple[Array, Array]:
        """Return the gradients of what :meth:`combined` was given."""
        recurrent, wide = (dscores * np.asarray(part, dscores.dtype) for part in self._parts)
        return recurrent, wide[:, 1:] if self.params[TABLE].shape[1] == 1 else wide

    def shares(self, ids: IntArray) -> Array:
        """Share what the n-grams of a text say among its tokens.

        Parameters
        ----------
        ids : ndarray of int, shape (T,)
            The tokens of one text.

        Returns
        -------
        ndarray of shape (T, K)
            What each n-gram adds to the logits, in equal parts for each of its tokens and, where the text has it more
            than once, for each place. All add up to the logits without the bias.
        """
        found = list(occurrences(ids, self.wide.orders, self.keys))
        _, number, times = np.unique(
            np.concatenate([rows for _, _, rows in found]), return_inverse=True, return_counts=True
        )
        shares, start = np.zeros((len(ids), self.params[TABLE].shape[1])), 0
        for order, places, rows in found:
            worth = self.worth(rows) / (order * times[number[start : start + len(rows)]])[:, None]
            start += len(rows)
            for later in range(order):
                shares[places + later] += worth  # a place begins one n-gram of this length
        return shares.astype(self.params[TABLE].dtype)

    def phrases(self, ids: IntArray) -> tuple[list[tuple[int, int]], Array]:
        """Return the n-grams of a text that have a weight, and what each adds to its scores.

        Parameters
        ----------
        ids : ndarray of int, shape (T,)
            The tokens of one text.

        Returns
        -------
        spans : list of (first, end)
            The tokens of each, where it stands first.
        scores : ndarray of shape (F, C)
            What the scores would lack without it.
        """
        found = [
            (row, (place, place + order))
            for order, places, rows in occurrences(ids, self.wide.orders, self.keys)
            for place, row in zip(places.tolist(), rows.tolist(), strict=True)
        ]
        first = dict(reversed(found))  # of several places the first
        sums = self.worth(np.array(sorted(first), np.int64))
        C = max(2, sums.shape[1])
        return [first[row] for row in sorted(first)], self.combined(np.zeros((len(first), C), sums.dtype), sums)

    def worth(self, rows: IntArray) -> Array:
        """Return what n-grams add to the logits of a text that has them, (F, K)."""
        W = self.params[TABLE][rows]
        return W * self.params[RATIOS][rows] if self.wide.weighted else W

    def branches(self, logits: Array) -> tuple[Array, Array]:
        """Return the logits of the recurrent branch and those of the n-grams."""
        count = super().logits
        return logits[:, :count], logits[:, count:]

    @property
    def _parts(self) -> tuple[float, float]:
        """What the scores of each branch are multiplied by."""
        return (1 - self.wide.share, self.wide.share) if self.wide.own_loss else (1.0, 1.0)
