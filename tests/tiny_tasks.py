"""Runs of language models and taggers small enough for a test."""

import random
from pathlib import Path
from typing import Any

from tiny_runs import merged

from rnncli.assembly import build_trainer
from rnncli.config import parse_config
from rnncli.tasks import task_of
from rnncli.training import Trainer

DETERMINERS, NOUNS, VERBS = ["the", "a", "no"], ["dog", "cats", "Bird", "plan"], ["sees", "liked", "is", "wanted"]


def write_text(path: Path, sentences: int = 60) -> Path:
    """Write sentences of a small grammar, four to a paragraph."""
    rng = random.Random(1)
    lines = []
    for number in range(sentences):
        words = [rng.choice(DETERMINERS), rng.choice(NOUNS), rng.choice(VERBS), rng.choice(DETERMINERS)]
        lines.append(" ".join([*words, rng.choice(NOUNS)]) + ".")
        if number % 4 == 3:
            lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_conllu(path: Path, sentences: int = 40, seed: int = 1) -> Path:
    """Write sentences of the same grammar with their parts of speech; one noun in ten is made up."""
    rng = random.Random(seed)
    lines = []
    for _ in range(sentences):
        words = []
        for _ in range(rng.randint(1, 2)):
            noun = rng.choice(NOUNS) if rng.random() < 0.9 else f"{rng.choice('xyz')}{rng.randint(10, 99)}"
            words += [(rng.choice(DETERMINERS), "DET"), (noun, "NOUN"), (rng.choice(VERBS), "VERB")]
        words = words[: rng.randint(2, len(words))]
        lines += [f"{n}\t{word}\t_\t{tag}" + "\t_" * 6 for n, (word, tag) in enumerate(words, start=1)]
        lines.append("")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_columns(path: Path) -> Path:
    """Write sentences with names, as CoNLL-2003 has them: IOB1 tags in the last of three columns."""
    lines = ["-DOCSTART- -X- O", ""]
    for number in range(40):
        first, last = [("Ann", "Lee"), ("Bob", "Ray"), ("Cy", "Fox")][number % 3]
        lines += [f"{first} N I-PER", f"{last} N I-PER", "saw V O", f"Town{number % 4} N I-LOC", ". . O", ""]
    path.write_text("\n".join(lines) + "\n")
    return path


def language_values(path: Path | str, **changes: Any) -> dict[str, Any]:
    base = {
        "name": "tiny-lm",
        "task": "language_model",
        "data": {"train": {"format": "text", "path": str(path)}, "valid_fraction": 0.2},
        "model": {"embedding": {"dim": 6}, "rnn": {"cell": "lstm", "hidden": 8}},
        "optim": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 2, "batch_size": 4, "window": 16, "log_every": 5},
    }
    return merged(base, changes)


def tagging_values(path: Path | str, **changes: Any) -> dict[str, Any]:
    base = {
        "name": "tiny-tagger",
        "task": "tagging",
        "data": {
            "train": {"format": "conllu", "path": str(path)},
            "valid_fraction": 0.3,
            "spelling": {"kind": "characters"},
        },
        "model": {
            "embedding": {"dim": 4},
            "spelling": {"dim": 3, "hidden": 3},
            "rnn": {"cell": "lstm", "hidden": 4, "bidirectional": True},
        },
        "optim": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 2, "batch_size": 8, "log_every": 5},
    }
    return merged(base, changes)


def language_config(path: Path | str, **changes: Any) -> Any:
    return parse_config(language_values(path, **changes), "tiny")


def tagging_config(path: Path | str, **changes: Any) -> Any:
    return parse_config(tagging_values(path, **changes), "tiny")


def trainer_of(config: Any, cache: Path = Path("cache")) -> tuple[Trainer, Any]:
    data = task_of(config).load(config, cache)
    return build_trainer(config, data), data
