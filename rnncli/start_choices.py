"""What could be recommended for some data: recipes fitted to it, in order of preference and with what each costs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnncli.budgets import Start
from rnncli.data.tagging.schemes import is_entity_tag
from rnncli.recipes import CLASSIFIERS, LANGUAGE_MODELS, TAGGER, LanguageRecipe
from rnncli.start_classifiers import classifier_starts
from rnncli.start_facts import Facts
from rnncli.start_sizes import MOST_EPOCHS, batch_and_steps, counted, epochs_of, halves, sized, why_epochs

WINDOW = 64  # characters


def start_choices(facts: Facts) -> Iterator[Sequence[Start]]:
    """Fit the recipes of a task to data.

    Parameters
    ----------
    facts : Facts
        What is in the data.

    Yields
    ------
    sequence of Start
        Of each recipe what it could be, for :func:`rnncli.budgets.choose`.
    """
    if facts.task == "language_model":
        yield from _language_models(facts)
    elif facts.task == "tagging":
        yield _tagger(facts)
    else:
        yield from (classifier_starts(facts, recipe, recipe is CLASSIFIERS[0]) for recipe in reversed(CLASSIFIERS))


def _tagger(facts: Facts) -> list[Start]:
    """Return the recipe, then fewer epochs."""
    once = sum(count == 1 for count in facts.words.values())
    batch, per_epoch = batch_and_steps(facts, (32, 16, 8))
    train = {"best_metric": "entity_f1"} if all(map(is_entity_tag, facts.labels)) else {}
    why = {
        **TAGGER.why,
        "data.words": f"{once:,} of {len(facts.words):,} words are there once only",
        "train.best_metric": "the tags mark entities",
    }
    out = []
    for count in halves(epochs_of(TAGGER, per_epoch)):
        values = {
            "data": TAGGER.data,
            "model": TAGGER.model,
            "optim": TAGGER.optim,
            "train": {"epochs": count, "batch_size": batch, **train},
        }
        start = Start(TAGGER.name, counted(count), values, {**why, **why_epochs(count, per_epoch)})
        out.append(sized(facts, start, count, per_epoch, None))
    return out


def _language_models(facts: Facts) -> Iterator[list[Start]]:
    """Yield the recipe for the size of the text with more steps or fewer, then one of half its size."""
    size = facts.characters * 0.9
    recipe = next(recipe for recipe in LANGUAGE_MODELS if size < recipe.most)
    for hidden, name in [(recipe.hidden, recipe.name), (recipe.hidden // 2, "half the size, for the time there is")]:
        batch, window = recipe.batch_size, WINDOW
        while batch > 1 and size < 20 * batch * window:
            batch, window = batch // 2, max(window // 2, 16)
        per_epoch = max(1, int(size / (batch * window)))
        whole = hidden == recipe.hidden
        steps = [max(1, recipe.steps // part) for part in ((1, 2) if whole else (1, 2, 4, 8))]
        if whole and recipe.grows:
            most = min(per_epoch, 16 * recipe.steps)
            steps = [count for power in (4, 3, 2, 1) if (count := 2**power * recipe.steps) <= most] + steps
        starts = [
            _language_model(facts, replace(recipe, hidden=hidden), name, batch, window, count, per_epoch)
            for count in steps
        ]
        # A short text has no more than the most epochs, however many steps it could do with.
        yield list({start.steps: start for start in starts}.values())


def _language_model(
    facts: Facts, recipe: LanguageRecipe, name: str, batch: int, window: int, steps: int, per_epoch: int
) -> Start:
    epochs = min(max(round(steps / per_epoch), 1), MOST_EPOCHS)
    cut = per_epoch > steps
    total = steps if cut else epochs * per_epoch
    train = {"epochs": epochs, **({"max_steps": steps} if cut else {}), "batch_size": batch, "window": window}
    forget = {"forget": recipe.forget} if recipe.forget else {}
    why = {
        "data.document_boundary": "each file is read from a fresh state",
        "data.tokenizer": "word and bpe are others; see docs/data.md",
        "model.rnn": name,
        **why_epochs(epochs, per_epoch),
        "train.max_steps": f"some {_rounded(total * batch * window)} characters; null reads all",
        "train.batch_size": "parts of the text that are read side by side",
        "train.window": "characters of each a step",
        "train.forget": "now and then from a fresh state, as a sample begins",
        "train.samples": "to see at each validation what it writes",
    }
    folder = Path(facts.source["path"]).is_dir()
    values: dict[str, dict[str, Any]] = {
        "data": {**({"document_boundary": "file"} if folder else {}), "tokenizer": {"kind": "character"}},
        "model": {
            "embedding": {"dim": recipe.dim},
            "rnn": {"cell": recipe.cell, "hidden": recipe.hidden},
            **({"dropout": recipe.dropout} if recipe.dropout else {}),
        },
        "optim": {"name": "adam", "lr": recipe.lr, "schedule": {"name": "cosine", "warmup_steps": 20}},
        "train": {**train, **forget, "samples": 1, "sample_length": 200},
    }
    return Start(
        recipe=f"{recipe.cell} of {recipe.hidden}",
        length=f"{steps:,} steps" if cut else counted(epochs),
        values=values,
        why=why,
        steps=total,
        steps_per_epoch=per_epoch,
        train_tokens=0.9 * facts.characters,
        valid_tokens=0.1 * facts.characters,
        averages=False,
    )


def _rounded(number: float) -> str:
    return f"{number / 1e6:,.0f} million" if number >= 1e6 else f"{number:,.0f}"
