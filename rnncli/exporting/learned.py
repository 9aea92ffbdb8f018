"""What travels with weights: the config, and what was learned from the training part besides them."""

import json
from types import SimpleNamespace
from typing import Any

from rnncli import __version__
from rnncli.data.rows import short_label
from rnncli.exporting import Fact
from rnncli.tasks import task_of
from rnncli.tasks.base import Stored
from rnncli.trained import Trained

MOST_SHOWN = 50  # columns of labels


def stored_of(trained: Trained) -> Stored:
    """Return vocabulary, labels and what else a checkpoint keeps besides weights."""
    learned = trained.learned
    # A task stores its data, of which a classifier's learned part has the names and the others' is the codec.
    data = learned if trained.config.task == "classification" else SimpleNamespace(codec=learned)
    return task_of(trained.config).store(data)


def travelling(trained: Trained) -> dict[str, Any]:
    """Return all there is to know of a model besides its weights.

    Parameters
    ----------
    trained : Trained
        Of any task.

    Returns
    -------
    dict
        Ready for JSON: ``rnncli_version``, ``step``, ``config``; of a classifier ``labels`` and ``vocabulary``, of
        the other tasks ``codec``, a text which is JSON itself.
    """
    stored = stored_of(trained)
    if trained.config.task == "classification":
        learned = {**stored.metadata, "vocabulary": list(stored.tokens)}
    else:
        learned = {**stored.metadata, "codec": stored.tokens[0]}
    return {
        "rnncli_version": __version__,
        "step": trained.progress["step"],
        "config": trained.config.model_dump(mode="json"),
        **learned,
    }


def lists_of(trained: Trained) -> dict[str, list[str]]:
    """Return the texts that a model's numbers stand for.

    Parameters
    ----------
    trained : Trained
        Of any task.

    Returns
    -------
    dict of str to list of str
        ``vocabulary``; of a classifier ``labels``; of a tagger ``tags`` and where it sees them ``characters``. Nothing
        for a language model of sub-words, whose vocabulary is part of a tokenizer.
    """
    learned = travelling(trained)
    if trained.config.task == "classification":
        return {key: learned[key] for key in ("vocabulary", "labels")}
    codec = json.loads(learned["codec"])
    names = {"words": "vocabulary", "tokens": "vocabulary", "tags": "tags", "characters": "characters"}
    return {name: codec[key] for key, name in names.items() if codec.get(key) is not None}


def facts_of(trained: Trained) -> list[Fact]:
    """Return how many tokens and labels travel, to be said of an export."""
    config, learned = trained.config, trained.learned
    if config.task == "classification":
        return [_count("vocabulary", learned.vocabulary, "tokens"), _labels("labels", learned.labels)]
    if config.task == "tagging":
        return [_count("vocabulary", learned.words, "words"), _labels("tags", learned.tags)]
    return [Fact("vocabulary", learned.size, f"{learned.size:,} tokens")]


def _count(name: str, items: Any, what: str) -> Fact:
    return Fact(name, len(items), f"{len(items):,} {what}")


def _labels(name: str, labels: tuple[str, ...]) -> Fact:
    """Return labels, of which the first are shown where all are too many."""
    shown = ", ".join(map(short_label, labels))
    if len(shown) > MOST_SHOWN:
        fits = shown[:MOST_SHOWN].rpartition(", ")[0]
        shown = f"{len(labels):,}: {fits}, ..."
    return Fact(name, list(labels), shown)
