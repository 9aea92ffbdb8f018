"""Language models and taggers: their loss differentiated by every parameter, with the dropout masks fixed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from rnncli.config import LanguageModelConfig, TaggerConfig
from rnncli.data.language.steps import Masks, Steps, make_steps, masks_for
from rnncli.data.tagging.batches import FormBatch, TaggedBatch
from rnncli.gradcheck.checks import Case, Check, GradientCheck, IdentityCheck, Inputs, Pairs
from rnncli.gradcheck.models import dense_gradient, unsettle
from rnncli.language_models import LanguageModel, build_language_model
from rnncli.layers.sampled import Candidates, draw_classes
from rnncli.packing import Array, IntArray, make_packing
from rnncli.stacks import State
from rnncli.taggers import Tagger, build_tagger, tagger_shapes

TOKENS = 7
STREAMS, STEPS = 3, 4
LENGTHS = (3, 1, 5, 2)
TAGS = 4
LIMIT = 6


@dataclass(frozen=True)
class LanguageCase:
    """A language model in float64, a window, and the state that it begins with."""

    model: LanguageModel
    inputs: IntArray
    targets: IntArray
    starts: Any
    state: list[State]
    dropout_seed: int
    smoothing: float = 0.0
    candidates: Candidates | None = None

    def steps(self) -> tuple[Steps, Masks]:
        """Return the window, packed."""
        steps = make_steps(self.inputs, self.targets, self.starts)
        return steps, masks_for(steps, 0, self.inputs.shape, np.unique(self.inputs))


@dataclass(frozen=True)
class TaggerCase:
    """A tagger in float64 and a batch."""

    model: Tagger
    batch: TaggedBatch
    dropout_seed: int
    smoothing: float = 0.0


def language_case(given: LanguageCase) -> Case:
    """Return the loss of a window, whose first state is given, as a case: the parameters are the inputs."""
    model = given.model
    steps, masks = given.steps()

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        assert inputs is model.params
        out, _, cache = model.forward(steps, given.state, np.random.default_rng(given.dropout_seed), masks)
        loss = model.loss(out, steps.y, smoothing=given.smoothing, candidates=given.candidates)
        return [np.array(loss.loss + model.penalty(cache))], (loss, cache)

    def backward(douts: Sequence[Array], cache: Any) -> Inputs:
        grads = model.backward(*cache)
        dense = {name: dense_gradient(name, grad, model.params[name].shape) for name, grad in grads.items()}
        return {name: douts[0] * grad for name, grad in dense.items()}

    read = np.unique(steps.ids)
    rows = {} if model.tied else {"embedding.W": read}
    if model.tied and given.candidates is not None:
        rows = {"embedding.W": np.union1d(read, given.candidates.classes)}
    return Case(model.params, forward, backward, rows)


def language_identities(given: LanguageCase) -> Pairs:
    """Compare a window with its halves, the state carried between; with its documents alone; and with scoring."""
    model = given.model
    steps, _ = given.steps()
    out, after, _ = model.forward(steps, given.state)
    whole = np.zeros((given.inputs.size, out.shape[1]))
    whole[steps.cells] = out
    whole = whole.reshape(*given.inputs.shape, -1)
    scored, _, _ = model.forward(steps, given.state, keep=False)
    yield "states, scoring", out, scored
    state, halves = given.state, []
    for piece in (slice(0, 2), slice(2, None)):
        half = make_steps(given.inputs[:, piece], given.targets[:, piece], given.starts[:, piece])
        found, state, _ = model.forward(half, state)
        dense = np.empty((given.inputs[:, piece].size, found.shape[1]))
        dense[half.cells] = found
        halves.append(dense.reshape(len(given.inputs), -1, found.shape[1]))
    yield "states, in two windows", whole, np.concatenate(halves, axis=1)
    for layer, ((h, c), (h2, c2)) in enumerate(zip(after, state, strict=True)):
        yield f"h{layer} after it, in two windows", h, h2
        if c is not None:
            yield f"c{layer} after it, in two windows", c, c2
    for row, column in np.argwhere(given.starts):
        end = given.inputs.shape[1]
        until = next((t for t in range(column + 1, end) if given.starts[row, t]), end)
        own = np.s_[row : row + 1, column:until]
        alone = make_steps(given.inputs[own], given.targets[own], given.starts[own])
        found, _, _ = model.forward(alone, model.fresh_state(1))
        yield f"states, document at {row}, {column} alone", whole[row, column:until], found
    loss = model.loss(out, steps.y)
    nats, right = model.nats(out, steps.y)
    yield "loss, by token", loss.loss, nats.mean()
    yield "hits", loss.hits, int(right.sum())
    in_blocks = [model.loss(out[rows], steps.y[rows], len(out)) for rows in (slice(0, 5), slice(5, None))]
    yield "dw, in two parts", loss.dw, in_blocks[0].dw + in_blocks[1].dw


def tagger_case(given: TaggerCase) -> Case:
    """Return a tagger's loss as a case: its parameters are the inputs."""
    model, batch = given.model, given.batch

    def forward(inputs: Inputs) -> tuple[list[Array], Any]:
        assert inputs is model.params
        logits, cache = model.forward(batch, np.random.default_rng(given.dropout_seed))
        loss, _, dlogits = model.loss(logits, batch.y, smoothing=given.smoothing)
        return [np.array(loss)], (dlogits, cache)

    def backward(douts: Sequence[Array], cache: Any) -> Inputs:
        dlogits, model_cache = cache
        grads = model.backward(douts[0] * dlogits, model_cache)
        return {name: dense_gradient(name, grad, model.params[name].shape) for name, grad in grads.items()}

    rows = {"embedding.W": np.unique(batch.ids)}
    if batch.forms is not None:
        rows["spelling.W"] = np.unique(batch.forms.pieces)
    if model.word_dropout:
        rows.pop("embedding.W")  # which words are shown as the unknown one is drawn
    return Case(model.params, forward, backward, rows)


def tagger_identities(given: TaggerCase) -> Pairs:
    """Compare a batch with scoring, and the loss with that of the words that have a tag the model knows."""
    model, batch = given.model, given.batch
    logits, _ = model.forward(batch)
    yield "logits, scoring", logits, model.forward(batch, keep=False)[0]
    loss, _, dlogits = model.loss(logits, batch.y)
    known = batch.y < logits.shape[1]
    kept, _, dkept = model.loss(logits[known], batch.y[known])
    yield "loss, known tags alone", loss, kept
    yield "dlogits, known tags alone", dlogits[known], dkept
    if not known.all():
        yield "dlogits, unknown tags", dlogits[~known], np.zeros_like(dlogits[~known])


def _language(rng: np.random.Generator, *, settings: dict[str, Any], documents: bool) -> LanguageCase:
    config = LanguageModelConfig.model_validate(settings)
    model = build_language_model(config, TOKENS, rng, dtype=np.float64)
    unsettle(model, rng)
    ids = rng.permutation(np.repeat([5, 2, 0, 6], [6, 5, 3, 1])).reshape(STREAMS, STEPS + 1)
    starts = np.zeros((STREAMS, STEPS), bool)
    if documents:
        starts[0, 2] = starts[1, 0] = starts[1, 3] = True
    state: list[State] = [
        (0.5 * rng.standard_normal(h.shape), None if c is None else rng.standard_normal(c.shape))
        for h, c in model.fresh_state(STREAMS)
    ]
    return LanguageCase(model, ids[:, :-1], ids[:, 1:], starts, state, int(rng.integers(2**32)))


def _sampled(rng: np.random.Generator, *, settings: dict[str, Any]) -> Case:
    case = _language(rng, settings=settings, documents=True)
    drawn = draw_classes(np.unique(case.targets), rng.uniform(1, 4, TOKENS), 2, rng)
    return language_case(replace(case, model=replace(case.model, sampled=True), candidates=drawn))


def _tagger(rng: np.random.Generator, *, settings: dict[str, Any], spelling: str | None) -> TaggerCase:
    config = TaggerConfig.model_validate(settings)
    pieces = None if spelling is None else 6
    model = build_tagger(
        config, tagger_shapes(config, TOKENS, pieces, spelling == "characters", TAGS), rng, dtype=np.float64
    )
    unsettle(model, rng)
    packing = make_packing(np.array(LENGTHS))
    ids = rng.permutation(np.repeat([5, 2, 0, 6], [5, 3, 2, 1]))
    y = rng.integers(0, TAGS, len(ids))
    y[4] = TAGS  # a tag that the model does not have
    forms = None
    if spelling is not None:
        of_word = rng.permutation([0, 1, 2, 3, 0, 0, 1, 2, 0, 3, 3])
        of_forms = make_packing(np.array([2, 4, 1, 3]))
        forms = FormBatch(rng.permutation([0, 1, 2, 3, 3, 3, 5, 1, 0, 3]), of_forms, of_word)
    return TaggerCase(model, TaggedBatch(ids, packing, y, forms), int(rng.integers(2**32)))


def language_rows(name: str, build: Callable[[np.random.Generator], LanguageCase], limit: int = LIMIT) -> list[Check]:
    """Return the two rows of a language model."""

    def identities(rng: np.random.Generator) -> Pairs:
        return language_identities(build(rng))

    return [
        GradientCheck(name, lambda rng: language_case(build(rng)), limit),
        IdentityCheck(f"{name}: same by other ways", identities),
    ]


def tagger_rows(name: str, build: Callable[[np.random.Generator], TaggerCase], limit: int = LIMIT) -> list[Check]:
    """Return the two rows of a tagger."""

    def identities(rng: np.random.Generator) -> Pairs:
        return tagger_identities(build(rng))

    return [
        GradientCheck(name, lambda rng: tagger_case(build(rng)), limit),
        IdentityCheck(f"{name}: same by other ways", identities),
    ]


def _language_settings() -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield (name, model section, whether documents begin in the window)."""
    cells = {"rnn": {}, "lstm": {}, "gru": {}, "gru reset after": {"reset": "after"}}
    for name, own in cells.items():
        rnn = {"cell": name.split()[0], "hidden": 3, **own}
        yield f"{name}, carried state", {"embedding": {"dim": 2}, "rnn": rnn}, False
        deep = {**rnn, "hidden": [3, 2], "dropout": 0.3, "state_dropout": 0.3, "recurrent_dropout": 0.3}
        section = {"embedding": {"dim": 2, "dropout": 0.3}, "rnn": deep, "dropout": 0.3}
        yield f"{name}, two sizes, every dropout, documents", section, True
    lstm = {"cell": "lstm", "hidden": [4, 3]}
    yield "lstm, tied", {"embedding": {"dim": 3}, "rnn": lstm, "tied": True}, True
    rates = {"embedding": {"dim": 3, "dropout": 0.3}, "rnn": {**lstm, "dropout": 0.3}, "dropout": 0.3}
    yield "lstm, tied, variational dropout", {**rates, "variational": True, "tied": True}, True
    yield "lstm, variational dropout", {**rates, "variational": True}, False
    yield "lstm, state dropout", {"embedding": {"dim": 3}, "rnn": {**lstm, "state_dropout": 0.5}}, False
    penalties = {"activation_penalty": 2.0, "slowness_penalty": 3.0}
    yield "lstm, penalties", {"embedding": {"dim": 3}, "rnn": lstm, "dropout": 0.3, **penalties}, True
    yield "gru, recurrent dropout", {"embedding": {"dim": 3}, "rnn": {"cell": "gru", "recurrent_dropout": 0.5}}, True


def _sampled_settings() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, model section) of those that are trained on some of the tokens."""
    lstm = {"cell": "lstm", "hidden": [4, 3]}
    yield "lstm, some tokens scored", {"embedding": {"dim": 2}, "rnn": lstm}
    yield "lstm, some tokens scored, tied", {"embedding": {"dim": 3}, "rnn": lstm, "tied": True}


def _tagger_settings() -> Iterator[tuple[str, dict[str, Any], str | None]]:
    """Yield (name, model section, kind of spelling)."""
    for spelling in (None, "characters", "ngrams"):
        sizes = None if spelling is None else {"dim": 2, "hidden": 3 if spelling == "characters" else None}
        for cell in ("lstm", "gru"):
            rnn = {"cell": cell, "hidden": 2, "bidirectional": True}
            section = {"embedding": {"dim": 3}, "spelling": sizes, "rnn": rnn}
            yield f"{cell}, bidirectional, {spelling or 'words alone'}", section, spelling
    deep = {"cell": "lstm", "hidden": 2, "layers": 2, "bidirectional": True, "dropout": 0.3}
    deep |= {"state_dropout": 0.3, "recurrent_dropout": 0.3}
    every: dict[str, Any] = {"embedding": {"dim": 3, "word_dropout": 0.3}, "spelling": {"dim": 2, "hidden": 2}}
    yield (
        "lstm, 2 layers, characters, every dropout",
        {**every, "input_dropout": 0.3, "rnn": deep, "dropout": 0.3},
        "characters",
    )


CHECKS: tuple[Check, ...] = (
    *(
        row
        for name, settings, documents in _language_settings()
        for row in language_rows(f"language model: {name}", partial(_language, settings=settings, documents=documents))
    ),
    *(
        GradientCheck(f"language model: {name}", partial(_sampled, settings=settings), LIMIT)
        for name, settings in _sampled_settings()
    ),
    *(
        row
        for name, settings, spelling in _tagger_settings()
        for row in tagger_rows(f"tagger: {name}", partial(_tagger, settings=settings, spelling=spelling))
    ),
)


def in_float64(model: Any, rng: np.random.Generator) -> Any:
    """Return a copy of a model in float64 with its weights where every term of a gradient counts."""
    params = {name: array.astype(np.float64) for name, array in model.params.items()}
    copy = replace(model, params=params, frozen=())
    unsettle(copy, rng)
    return copy
