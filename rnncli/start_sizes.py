"""How many texts a step, steps an epoch and epochs a run should have, and how much work that is."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from rnncli.budgets import Start
from rnncli.recipes import CLASSIFIERS, TAGGER, Recipe
from rnncli.start_facts import Facts

MOST_EPOCHS = 30
FEW_TEXTS = 1000
MOST_VALID = 20_000  # texts: enough to tell models apart, and soon scored


def valid_fraction(facts: Facts) -> float:
    """Return which part of the data is to be held back for validation; 0 if there is a file for that."""
    if "valid" in facts.others:
        return 0.0
    if facts.task == "language_model":
        return 0.1
    if facts.texts < FEW_TEXTS:
        return 0.2
    return min(0.1, float(f"{MOST_VALID / facts.texts:.1g}"))


def batch_and_steps(facts: Facts, sizes: tuple[int, int, int]) -> tuple[int, int]:
    """Return texts of a step, and steps of an epoch."""
    texts = facts.texts * (1 - valid_fraction(facts))
    batch = sizes[0] if texts >= 2000 else sizes[1] if texts >= 500 else sizes[2]
    return batch, max(1, math.ceil(texts / batch))


def epochs_of(recipe: Recipe, per_epoch: int) -> int:
    """Return how many epochs make the steps that a recipe takes."""
    return min(max(round(recipe.steps / per_epoch), recipe.epochs), MOST_EPOCHS)


def halves(epochs: int) -> Iterator[int]:
    """Yield numbers of epochs, down to 1."""
    while epochs > 1:
        yield epochs
        epochs = -(-epochs // 2)
    yield 1


def tokens_of(facts: Facts, limit: int | None) -> float:
    """Return how many tokens are kept of all texts."""
    kept = facts.lengths if limit is None else np.minimum(facts.lengths, limit)
    return float(kept.mean()) * facts.texts


def sized(facts: Facts, start: Start, epochs: int, per_epoch: int, limit: int | None) -> Start:
    """Return a start with what it costs; an epoch that is long is validated within."""
    tokens, part = tokens_of(facts, limit), valid_fraction(facts)
    start = replace(
        start,
        steps=epochs * per_epoch,
        steps_per_epoch=per_epoch,
        train_tokens=tokens * (1 - part),
        valid_tokens=tokens * (part or 0.1),  # of a file of its own it is not known
    )
    usual = TAGGER.steps if facts.task == "tagging" else CLASSIFIERS[-1].steps
    if per_epoch <= 2 * usual:
        return start
    every = max(usual, per_epoch // 4)
    return start.with_values("train", {"train.validate_every": "steps; an epoch is long"}, validate_every=every)


def why_epochs(epochs: int, per_epoch: int) -> dict[str, str]:
    """Return the comment beside the number of epochs."""
    return {"train.epochs": f"of some {per_epoch:,} steps{f', {epochs * per_epoch:,} in all' if epochs > 1 else ''}"}


def counted(epochs: int) -> str:
    """Return a number of epochs in words."""
    return f"{epochs} epoch{'s' * (epochs != 1)}"
