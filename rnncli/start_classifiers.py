"""What could be recommended for a classifier: how much of each text, how many epochs, n-grams as labels allow."""

from typing import Any

import numpy as np

from rnncli.budgets import Start
from rnncli.data.tokenizers import make_tokenizer
from rnncli.recipes import Recipe
from rnncli.start_facts import MOST_OF_A_TEXT, Facts
from rnncli.start_sizes import batch_and_steps, counted, epochs_of, halves, sized, tokens_of, why_epochs

UNEVEN = 5  # times as many texts of the most frequent label as of the rarest
UNEVEN_WHY = {"train.best_metric": "labels are uneven: accuracy hides how the rare ones fare"}
LONG_BATCH = 130_000  # tokens of the longest texts together: as IMDB has, in some 500 MB
TABLE_NUMBERS = 2**23  # of n-grams times labels: some 500 MB, with all that goes with them in training
INPUT_NUMBERS = 2**27  # that the layers read beside the words: 512 MB
REPEATED = 10  # words that are in several texts
ORDERS, NGRAMS = 3, 1_000_000  # defaults of model.ngrams


def classifier_starts(facts: Facts, recipe: Recipe, last: bool) -> list[Start]:
    """Fit a recipe to texts.

    Parameters
    ----------
    facts : Facts
        What is in the data.
    recipe : Recipe
        Of a classifier.
    last : bool
        Whether no recipe is cheaper, so that there have to be fewer epochs where there is no time.

    Returns
    -------
    list of Start
        The first with as much of each text as the recipe has, the others with less work each.
    """
    tokenizer = {"kind": facts.tokenizer, "lowercase": True, **recipe.data["tokenizer"]}
    model, why = _model_for(facts, recipe)
    batch, per_epoch = batch_and_steps(facts, (64, 32, 16))
    train, limits = _uneven(facts), _limits(facts, recipe, batch)
    epochs = epochs_of(recipe, per_epoch)
    if last:
        variants = [*((count, limits[0]) for count in halves(epochs)), *((1, limit) for limit in limits[1:])]
    else:
        variants = [(epochs, limit) for limit in limits]
    out = []
    for count, limit in variants:
        start = Start(
            recipe=recipe.name,
            length=counted(count),
            kept=" of whole texts" if limit is None else f" of {limit:,} {facts.unit} a text",
            values={
                "data": {"tokenizer": tokenizer, "max_length": limit, **({"truncate": "tail"} if limit else {})},
                "model": model,
                "optim": recipe.optim,
                "train": {"epochs": count, "batch_size": batch, **train},
            },
            why={**recipe.why, **why, **_why_cut(facts, limit), **why_epochs(count, per_epoch), **UNEVEN_WHY},
        )
        out.append(sized(facts, start, count, per_epoch, limit))
    return out


def _model_for(facts: Facts, recipe: Recipe) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the model as the number of labels has it, and why: n-grams have numbers for each label."""
    classes = len(facts.labels)
    loss = {"loss": "binary"} if classes == 2 else {}
    if not _repeats_words(facts):
        model = {key: value for key, value in recipe.model.items() if key != "ngrams"}
        return {**model, **loss}, {"model.embedding": ""}
    ngrams = dict(recipe.model["ngrams"])
    columns = 1 if classes == 2 else classes
    why = []
    numbers = ORDERS * columns * tokens_of(facts, None)
    if ngrams.get("inputs") and numbers > INPUT_NUMBERS:
        del ngrams["inputs"]
        why.append(f"inputs: true would take {4e-9 * numbers:.1f} GB")
    if columns * NGRAMS > TABLE_NUMBERS:
        ngrams["max_ngrams"] = max(1, TABLE_NUMBERS // columns)
        why.append(f"each has {classes:,} numbers")
    comment = {"model.ngrams": f"a linear model of phrases; {', and '.join(why)}"} if why else {}
    return {**recipe.model, "ngrams": ngrams, **loss}, comment


def _repeats_words(facts: Facts) -> bool:
    """Return whether some words are in several texts, without which there are no n-grams to count."""
    tokenize = make_tokenizer(facts.tokenizer, True)
    seen: set[str] = set()
    repeated: set[str] = set()
    for row in facts.rows:
        words = set(tokenize(row.text[-MOST_OF_A_TEXT:]))
        repeated |= seen & words
        seen |= words
        if len(repeated) >= REPEATED:
            return True
    return False


def _limits(facts: Facts, recipe: Recipe, batch: int) -> list[int | None]:
    """Return the limits of a recipe that differ on this data, the most first."""
    longest = np.sort(facts.lengths)[::-1]
    first = recipe.limits[0]
    if first is None and longest[:batch].sum() > LONG_BATCH:
        first = recipe.limits[1]
    later = [limit for limit in recipe.limits if limit is not None and (first is None or limit < first)]
    return [first, *(limit for limit in later if longest[0] > limit)]


def _uneven(facts: Facts) -> dict[str, Any]:
    counts = facts.labels.values()
    return {"best_metric": "macro_f1"} if max(counts) > UNEVEN * min(counts) else {}


def _why_cut(facts: Facts, limit: int | None) -> dict[str, str]:
    if limit is None:
        return {"data.max_length": f"null keeps whole texts; the longest seen has {facts.lengths.max():,} {facts.unit}"}
    share = float(np.mean(facts.lengths > limit))
    longer = f"{share:.1%} of the texts are longer" if share else "no text is longer"
    return {"data.max_length": f"{facts.unit}; {longer}", "data.truncate": "the end is kept; head keeps the beginning"}
