"""A text to be continued, as work for the training loop."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from rnncli.data.language.encoding import EncodedText
from rnncli.data.language.steps import make_steps, masks_for
from rnncli.data.language.windows import Window, count_windows, document_starts, lm_windows
from rnncli.figures import FIGURES
from rnncli.language_metrics import bits_per_character, perplexity
from rnncli.language_models import LanguageModel
from rnncli.language_scoring import score_text
from rnncli.layers.sampled import Candidates, draw_classes
from rnncli.packing import Array, IntArray
from rnncli.postmortem import explain_plainly
from rnncli.profiling import stage
from rnncli.stacks import State
from rnncli.work import Amount, Part
from rnncli.workers.exchange import Exchange


@dataclass
class LanguageWork:
    """What it takes to train a language model; see :class:`rnncli.work.Work`.

    The text is read as N streams side by side (:mod:`rnncli.data.language.windows`), each rank some of them; the state
    that they end a window with, they begin the next with.

    Attributes
    ----------
    model : LanguageModel
        The network.
    train, valid : EncodedText
        The two parts.
    end_of_text : int or None
        The token before which the state is set to zero.
    streams, steps : int
        N, and T of a window.
    forget : float
        How likely a stream is to begin a window with a state of zero, as texts to be scored or continued do.
    smoothing : float
        Of what comes next, in the training loss.
    sampled : int or None
        How many tokens that do not come in a window are scored in training; None: all are.
    weights : ndarray of shape (V,) or None
        What the probability of these to be drawn is in proportion to.
    carried : dict of str to ndarray
        The streams' state: ``h0`` and, for a cell that has it, ``c0`` of the first layer, (N, H), and so on. A rank
        has that of its own streams up to date.
    """

    model: LanguageModel
    train: EncodedText
    valid: EncodedText
    end_of_text: int | None
    streams: int
    steps: int
    forget: float = 0.0
    smoothing: float = 0.0
    sampled: int | None = None
    weights: Array | None = None
    carried: dict[str, Array] = field(default_factory=dict)
    figures: ClassVar = FIGURES["language_model"]
    _after: tuple[slice, list[State]] | None = None
    _windows: tuple[int, Iterator[Window]] | None = None

    def __post_init__(self) -> None:
        """Begin with a state of zero."""
        if not self.carried:
            for layer, (h, c) in enumerate(self.model.fresh_state(self.streams)):
                self.carried[f"h{layer}"] = h
                if c is not None:
                    self.carried[f"c{layer}"] = c

    def summary(self) -> str:
        """Say in a line what there is to train on."""
        return (
            f"{len(self.train):,} tokens to train on, {len(self.valid):,} to validate; "
            f"{len(self.model.params['output.b']):,} different ones"
        )

    @property
    def steps_per_epoch(self) -> int:
        """Windows of the training part."""
        return count_windows(len(self.train), self.streams, self.steps)

    def order(self, epoch: int) -> Sequence[IntArray]:
        """Return the number of each window, for a window is all there is in a step."""
        return np.arange(self.steps_per_epoch)[:, None]  # type: ignore[return-value]

    def amount(self, items: IntArray) -> Amount:
        """Return how much there is in a window, of which the last is shorter."""
        length = (len(self.train) - 1) // self.streams
        tokens = self.streams * min(self.steps, length - int(items[0]) * self.steps)
        return Amount(self.streams, tokens, tokens)

    def compute(
        self, items: IntArray, rng: np.random.Generator, rank: int, size: int, resting: Collection[str] = ()
    ) -> Part | None:
        """Compute a window of a rank's streams."""
        self._after = None
        first, end = (self.streams * r // size for r in (rank, rank + 1))
        with stage("data"):
            window = self._window(int(items[0]))
        if first == end:  # fewer streams than ranks
            return None
        _, cache, loss, after = self._pass(window, first, end, rng)
        self._after = (slice(first, end), after)
        return Part(loss.loss, loss.hits, self.model.backward(loss, cache, spend=True, resting=resting))

    def moved(self) -> None:
        """Carry the state on to the next window."""
        if self._after is None:
            return
        mine, after = self._after
        for layer, (h, c) in enumerate(after):
            self.carried[f"h{layer}"][mine] = h
            if c is not None:
                self.carried[f"c{layer}"][mine] = c

    def collect(self, exchange: Exchange) -> None:
        """Bring the streams' state to rank 0."""
        if exchange.shares_memory:
            return
        rank, size = exchange.rank, exchange.size
        first, end = (self.streams * r // size for r in (rank, rank + 1))
        names = sorted(self.carried)
        parcel = [self.carried[name][first:end] for name in names]
        received = exchange.all_to_all([parcel, *([] for _ in range(size - 1))])
        if rank == 0:
            for other, theirs in enumerate(received):
                start = self.streams * other // size
                for name, array in zip(names, theirs, strict=True):
                    self.carried[name][start : start + len(array)] = array

    def evaluate(self, exchange: Exchange) -> dict[str, Any]:
        """Read the validation part from beginning to end."""
        scored = score_text(self.model, self.valid.tokens, self.end_of_text, exchange)
        loss = scored.nats / scored.tokens
        return {
            "loss": loss,
            "perplexity": perplexity(loss),
            "bits_per_character": bits_per_character(scored.nats, self.valid.characters),
            "accuracy": scored.hits / scored.tokens,
        }

    def explain(self, items: IntArray, rng: np.random.Generator) -> str:
        """Say where a window went wrong."""
        out, cache, loss, _ = self._pass(self._window(int(items[0])), 0, self.streams, rng)
        return explain_plainly(self.model.params, out, self.model.backward(loss, cache))

    def draw(self, targets: IntArray, rng: np.random.Generator) -> Candidates | None:
        """Return the tokens that are scored in a window with these to come; None stands for all."""
        if self.sampled is None or self.weights is None:
            return None
        return draw_classes(np.unique(targets), self.weights, self.sampled, rng)

    def _pass(self, window: Window, first: int, end: int, rng: np.random.Generator) -> Any:
        """Read a window of some streams, and compute their share in its mean loss."""
        inputs, targets = window.inputs[first:end], window.targets[first:end]
        fresh = np.full(self.streams, window.number == 0)
        if self.forget:
            fresh |= rng.random(self.streams) < self.forget
        steps = make_steps(inputs, targets, document_starts(inputs, self.end_of_text), fresh=fresh[first:end])
        masks = masks_for(steps, first, window.inputs.shape, np.unique(window.inputs))
        state = [
            (self.carried[f"h{layer}"][first:end], self.carried[f"c{layer}"][first:end] if cell else None)
            for layer, cell in enumerate([self.model.cell.has_cell_state] * self.model.layers)
        ]
        candidates = self.draw(window.targets, rng)  # of all streams: the same on every rank
        out, after, cache = self.model.forward(steps, state, rng, masks)
        with stage("output"):
            loss = self.model.loss(out, steps.y, window.inputs.size, self.smoothing, candidates)
            loss = loss._replace(loss=loss.loss + self.model.penalty(cache))
        return out, cache, loss, after

    def _window(self, number: int) -> Window:
        """Return a window; those that come one after the other are read as they come."""
        if self._windows is None or self._windows[0] != number:
            self._windows = (number, lm_windows(self.train.tokens, self.streams, self.steps, number))
        found = next(self._windows[1])
        self._windows = (number + 1, self._windows[1])
        return found
