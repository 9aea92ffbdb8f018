"""What ``rnncli init`` recommends: the settings of each task, in tables of plain values to be edited.

What they gave, and what else was tried, is in docs/recipes.md. :mod:`rnncli.start_choices` fits them to data,
:mod:`rnncli.budgets` to the time there is.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Settings that were found to train well.

    Attributes
    ----------
    name : str
        What it is called.
    data, model, optim : dict
        Those sections of a config, or what they have besides where the data is.
    why : dict
        What the comment says beside a key, such as ``model.pooling``.
    epochs : int
        The fewest that it should have.
    steps : int
        With few texts as many epochs as make about so many steps.
    limits : tuple of int or None
        Tokens that may be kept of a text, the most first; None for whole texts.
    """

    name: str
    data: dict[str, Any]
    model: dict[str, Any]
    optim: dict[str, Any]
    why: dict[str, str] = field(default_factory=dict)
    epochs: int = 3
    steps: int = 1050
    limits: tuple[int | None, ...] = (None,)


# From the cheapest to the dearest: the last one that the budget allows is taken.
CLASSIFIERS = (
    Recipe(
        name="quick",
        data={"tokenizer": {"max_vocab": 60000, "min_count": 1}},
        model={
            "embedding": {"dim": 128, "dropout": 0.3},
            "rnn": {"cell": "gru", "hidden": 128},
            "pooling": "mean",
            "ngrams": {"share": 0.7},
        },
        optim={"name": "adam", "lr": 0.002},
        why={
            "model.rnn": "one direction: half the time of two",
            "model.pooling": "over all steps; last would have it all carried to the end",
            "model.ngrams": "words and phrases in a linear model beside it, which learns in one epoch",
        },
        epochs=2,
        steps=700,
        limits=(400, 200, 100),
    ),
    Recipe(
        name="best",
        data={"tokenizer": {"max_vocab": 60000, "min_count": 1}},
        model={
            "embedding": {"dim": 32, "dropout": 0.5},
            "rnn": {"cell": "lstm", "hidden": 64, "bidirectional": True},
            "pooling": ["mean", "max"],
            "dropout": 0.5,
            "ngrams": {"inputs": True, "share": 0.4},
        },
        optim={"name": "adam", "lr": 0.002, "schedule": {"name": "linear"}},
        why={
            "model.embedding": "small: the phrases below say most of what a word is worth",
            "model.rnn": "larger ones did not do better",
            "model.pooling": "the tone of all of it, and the strongest sign anywhere",
            "model.ngrams": "a linear model of phrases; the LSTM reads at each word what it knows of them",
        },
        limits=(None, 1000, 400),
    ),
)

TAGGER = Recipe(
    name="words and their characters",
    data={"words": {"lowercase": True, "min_count": 2}, "spelling": {"kind": "characters"}},
    model={
        "embedding": {"dim": 100, "word_dropout": 0.1},
        "spelling": {"dim": 32, "hidden": 64},
        "input_dropout": 0.3,
        "rnn": {"cell": "lstm", "hidden": 128, "bidirectional": True},
        "dropout": 0.3,
    },
    optim={"name": "adam", "lr": 0.003, "schedule": {"name": "cosine", "warmup_steps": 50}},
    why={"data.spelling": "such words are known by their characters"},
    epochs=1,
    steps=2350,
)


@dataclass(frozen=True)
class LanguageRecipe:
    """A language model for texts of some size.

    Attributes
    ----------
    name : str
        What it is called.
    most : float
        Characters of the largest text that it is for.
    cell, hidden, dim : str, int, int
        Of its layer and its embedding.
    dropout, forget, lr : float
        As in the config.
    batch_size, steps : int
        Parts that are read side by side; steps that it takes to learn.
    grows : bool
        Whether more steps help: no more than reads the text once.
    """

    name: str
    most: float
    cell: str
    hidden: int
    dim: int
    dropout: float
    forget: float
    lr: float
    batch_size: int
    steps: int
    grows: bool = False


LANGUAGE_MODELS = (
    LanguageRecipe("a small text", 5e5, "gru", 192, 32, 0.4, 0.05, 0.005, 16, 2300),
    LanguageRecipe("a text of some megabytes", 5e6, "lstm", 256, 64, 0.25, 0.02, 0.006, 32, 5900),
    LanguageRecipe(
        "a large text, which cannot be learned by heart",
        *(float("inf"), "lstm", 320, 64, 0.0, 0.0, 0.004, 32, 6000),
        grows=True,
    ),
)
