"""Facts of data that is not there, for what follows from them."""

from collections import Counter
from typing import Any

import numpy as np

from rnncli.data.rows import Row
from rnncli.start_facts import Facts

WORDS = [f"word{number}" for number in range(20)]
SOURCES = {
    "classification": {"format": "csv", "path": "a.csv"},
    "tagging": {"format": "conllu", "path": "a.conllu"},
    "language_model": {"format": "text", "path": "a.txt"},
}


def text_facts(texts: int, lengths: Any = 20, labels: Any = 2, **given: Any) -> Facts:
    """Return facts of texts that have these lengths by turns, and labels that are numbered or counted."""
    lengths = np.resize(np.array(lengths, np.int64), min(texts, 1000))
    counts = Counter(labels if isinstance(labels, dict) else {f"l{n}": -(-texts // labels) for n in range(labels)})
    rows = [Row(" ".join(WORDS), label, "a.csv:1") for label in list(counts) * 2]
    words = Counter(dict.fromkeys(WORDS, 5))
    facts = Facts("classification", SOURCES["classification"], texts, counts, lengths, words, rows=rows)
    return _with(facts, given)


def sentence_facts(texts: int, tags: Any = ("DET", "NOUN"), **given: Any) -> Facts:
    """Return facts of sentences of 15 words."""
    lengths = np.full(texts, 15, np.int64)
    facts = Facts("tagging", SOURCES["tagging"], texts, Counter(tags), lengths, Counter({"the": 9, "dog": 1}))
    return _with(facts, given)


def character_facts(characters: int, **given: Any) -> Facts:
    """Return facts of a text for a language model."""
    words = Counter("abc")
    return _with(Facts("language_model", SOURCES["language_model"], characters=characters, words=words), given)


def _with(facts: Facts, given: dict[str, Any]) -> Facts:
    for name, value in given.items():
        setattr(facts, name, value)
    return facts
