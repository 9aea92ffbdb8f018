"""Models of any kind with weights that show where each is used, without training."""

import json
from typing import Any

import numpy as np
from tiny_runs import tiny_values
from tiny_tasks import language_values, tagging_values

from rnncli.config import parse_config
from rnncli.data.encoding import frozen_texts
from rnncli.evaluation import softmax
from rnncli.scoring import score
from rnncli.tasks import task_of
from rnncli.tasks.base import Stored
from rnncli.trained import Trained

CELLS = [{"cell": "rnn"}, {"cell": "lstm"}, {"cell": "gru", "reset": "before"}, {"cell": "gru", "reset": "after"}]
WORDS = ["<unk>", "film", "good", "bad", "n't", "is", "!!", "3.5", "caf\u00e9", "\u0939\u093f", "."]
TAGS = ["DET", "NOUN", "VERB"]


def made(values: dict[str, Any], stored: Stored, seed: int = 3, step: int = 7) -> Trained:
    """Return a model of a config; its biases are not zero either."""
    config = parse_config(values, "made")
    task, rng = task_of(config), np.random.default_rng(seed)
    learned = task.restore(config, stored.metadata, stored.tokens)
    shapes = task.shapes(config, learned)
    params = {name: rng.normal(0, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}
    return Trained(task.network(config, params), learned, config, {"step": step}, {})


def classifier(cell: dict[str, Any], directions: int = 1, layers: int = 1, **changes: Any) -> Trained:
    """Return a classifier; ``changes`` are pooling, loss and sections beside the model's."""
    model = {key: changes.pop(key) for key in ("pooling", "loss") if key in changes}
    rnn = {**cell, "hidden": 5, "layers": layers, "bidirectional": directions == 2}
    values = tiny_values("texts.csv", **changes)
    values["model"] = {"embedding": {"dim": 4}, "rnn": rnn, **model}
    labels = ["neg", "pos"] if model.get("loss") == "binary" else ["bad", "fine", "good"]
    return made(values, Stored({"labels": labels}, tuple(WORDS)))


def tagger(cell: dict[str, Any], spelling: dict[str, Any] | None, lowercase: bool = True) -> Trained:
    """Return a tagger of two layers in two directions."""
    values = tagging_values("sentences.conllu", data={"spelling": spelling, "words": {"lowercase": lowercase}})
    values["model"]["rnn"] = {**cell, "hidden": 5, "layers": 2, "bidirectional": True}
    if spelling is None:
        del values["model"]["spelling"]
    elif spelling["kind"] == "ngrams":
        values["model"]["spelling"] = {"dim": 3}
    characters = ["<unk>", *"abdfgilmno"] if spelling and spelling["kind"] == "characters" else None
    codec = {"words": WORDS, "tags": TAGS, "characters": characters, "seen": ""}
    return made(values, Stored({}, (json.dumps(codec),)))


def language_model(cell: dict[str, Any], kind: str = "character", ends: bool = False, **model: Any) -> Trained:
    """Return a language model of characters or words."""
    values = language_values("text.txt", data={"tokenizer": {"kind": kind, "min_count": 1}})
    values["data"]["document_boundary"] = "line" if ends else None
    values["model"] = {"embedding": {"dim": 5}, "rnn": {**cell, "hidden": 5, "layers": 2}, **model}
    tokens = ["<unk>", "\n", *"abcde fg"] if kind == "character" else [*WORDS, "\n"]
    codec = {"kind": kind, "lowercase": kind == "word", "tokens": tokens, "with_end": ends}
    return made(values, Stored({}, (json.dumps(codec),)))


def probabilities_of(trained: Trained, ids: list[list[int]]) -> np.ndarray:
    """Return what rnncli says of texts."""
    offsets = np.cumsum([0, *map(len, ids)])
    texts = frozen_texts(np.concatenate(ids).astype(np.int32), offsets, np.zeros(len(ids), np.int64))
    return softmax(score(trained.model, texts))
