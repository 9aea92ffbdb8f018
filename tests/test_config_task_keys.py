"""Every key of the model and train sections of language models and taggers changes what is computed.

Built as tests/test_config_keys.py is. What the data sections' keys do is in tests/test_config_tasks.py, and the
optimizer knows no task.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
from test_config_keys import folder, keys_of, recording, saving, sharing, starting, with_value, writing_events
from tiny_runs import Silent, merged
from tiny_tasks import language_values, tagging_values, trainer_of, write_conllu, write_text

from rnncli.config import LanguageConfig, TaggingConfig, parse_config
from rnncli.errors import ConfigError, GradientError
from rnncli.run import train_run
from rnncli.run_dir import RunDir


def training(config: Any) -> Any:
    """Return everything a run computes: its events and a digest of what it ends with."""
    trainer, _ = trainer_of(config)
    events = [tuple(map(str, event)) for event in trainer.run()]
    hashed = hashlib.sha256()
    for name, array in sorted({**trainer.model.params, **trainer.arrays()}.items()):
        hashed.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return events, hashed.hexdigest()


def meeting_bad_weights(config: Any) -> Any:
    """Return how a run ends in which a weight is no number for one step."""
    trainer, _ = trainer_of(config)
    seen = []
    weights = trainer.model.params["output.b"]
    try:
        for event in trainer.run():
            seen.append(event.step)
            if event.step == 1:
                weights[0] = np.nan
            if event.step == 2:
                weights[0] = 0
    except GradientError:
        return ["stopped", trainer.step]
    return seen


def samples(config: Any) -> Any:
    """Return what a run has made up."""
    run_dir = RunDir(Path("sampled") / config.name)
    train_run(config, run_dir, Silent(), overwrite=True)
    rows = [json.loads(line) for line in run_dir.metrics.read_text().splitlines()]
    return [row["text"] for row in rows if row["kind"] == "sample"]


class Row(NamedTuple):
    value: Any
    changes: Mapping[str, Any] = MappingProxyType({})
    effect: Callable[[Any], Any] = training


LOOP: dict[str, Row] = {
    "name": Row("other", effect=folder),
    "seed": Row(2),
    "init_from": Row("first/last.safetensors", effect=starting),
    "train.epochs": Row(3),
    "train.max_steps": Row(3),
    "train.batch_size": Row(5),
    "train.workers": Row(2, effect=sharing),
    "train.log_every": Row(2, {"train": {"log_every": 3}}, recording),
    "train.tensorboard": Row(True, effect=writing_events),
    "train.validate_every": Row(3),
    "train.checkpoint_every_steps": Row(1, effect=saving),
    "train.checkpoint_every_minutes": Row(1e-9, effect=saving),
    "train.patience": Row(1, {"optim": {"name": "adam", "lr": 3.0}, "train": {"epochs": 5, "validate_every": 1}}),
    "train.on_nonfinite": Row("skip", effect=meeting_bad_weights),
    "train.average": Row(0.9),
    "train.label_smoothing": Row(0.1),
    "train.average_last": Row(1),
    "train.unfreeze_epochs": Row(0.5),
}


def cells(section: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Row]:
    others = {
        "rnn": {"cell": "gru"},
        "lstm": {"cell": "gru", "forget_bias": -1.0},
        "gru": {"cell": "rnn", "reset": "after"},
    }
    return {
        f"model.rnn[{cell}].{key}": Row(value, {"model": {"rnn": {"cell": cell, **section}}})
        for cell, more in others.items()
        for key, value in {**own, **more}.items()
    }


WORDS = {"data": {"tokenizer": {"kind": "word"}}}
LANGUAGE: dict[str, Row] = {
    **LOOP,
    "model.embedding.vectors": Row("6.txt", WORDS, starting),
    "model.embedding.frozen": Row(True, {**WORDS, "model": {"embedding": {"vectors": "6.txt"}}}, starting),
    "train.window": Row(8),
    "train.forget": Row(0.5),
    "train.sampled_softmax": Row(3),
    "train.samples": Row(2, {"train": {"samples": 1}}, samples),
    "train.sample_length": Row(7, {"train": {"samples": 1}}, samples),
    "model.embedding.dim": Row(5),
    "model.embedding.dropout": Row(0.5),
    "model.dropout": Row(0.5),
    "model.variational": Row(True, {"model": {"dropout": 0.5}}),
    "model.activation_penalty": Row(2.0),
    "model.slowness_penalty": Row(2.0),
    "model.tied": Row(True, {"model": {"embedding": {"dim": 8}}}),
    **cells(
        {"hidden": 4, "layers": 2},
        {"hidden": 5, "layers": 3, "dropout": 0.5, "state_dropout": 0.5, "recurrent_dropout": 0.5},
    ),
}
TAGGING: dict[str, Row] = {
    **LOOP,
    "model.embedding.vectors": Row("4.txt", effect=starting),
    "model.embedding.frozen": Row(True, {"model": {"embedding": {"vectors": "4.txt"}}}, starting),
    "name": Row("another", effect=folder),
    "train.best_metric": Row("loss", {"optim": {"name": "adam", "lr": 0.5}, "train": {"epochs": 6}}),
    "model.embedding.dim": Row(5),
    "model.embedding.word_dropout": Row(0.5),
    "model.spelling.dim": Row(5),
    "model.spelling.hidden": Row(5),
    "model.input_dropout": Row(0.5),
    "model.dropout": Row(0.5),
    **cells(
        {"hidden": 3, "layers": 2},
        {
            "hidden": 4,
            "layers": 3,
            "bidirectional": True,
            "dropout": 0.5,
            "state_dropout": 0.5,
            "recurrent_dropout": 0.5,
        },
    ),
}
ALL = {"language": (LanguageConfig, LANGUAGE), "tagging": (TaggingConfig, TAGGING)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("task-keys")
    write_text(root / "a.txt")
    write_conllu(root / "a.conllu")
    for dim in (4, 6):
        (root / f"{dim}.txt").write_text(f"the{' 0.5' * dim}\ndog{' -1' * dim}\n")
    return root


PLAIN = {"language": partial(language_values, "a.txt"), "tagging": partial(tagging_values, "a.conllu")}


@pytest.mark.parametrize("task", ALL)
def test_every_key_has_a_row_and_every_row_a_key(task):
    schema, rows = ALL[task]
    keys = {key for key in keys_of(schema) if not key.startswith(("data.", "optim["))}
    assert {*rows, "task"} == keys


@cache
def outcome(effect: Callable[[Any], Any], values: str) -> Any:
    return effect(parse_config(json.loads(values), "row"))


@pytest.mark.parametrize(("task", "key"), [(task, key) for task, (_, rows) in ALL.items() for key in rows])
def test_the_key_changes_the_computation(task, key, files, monkeypatch):
    monkeypatch.chdir(files)
    row = ALL[task][1][key]
    values = merged(PLAIN[task](), dict(row.changes))
    before = outcome(row.effect, json.dumps(values))
    after = outcome(row.effect, json.dumps(with_value(values, key, row.value)))
    assert before != after


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"task": "clasification"}, "Did you mean 'classification'"),
        ({"task": 3}, "language_model"),
        ({"model": {"variational": True}}, "has no effect without"),
        ({"model": {"tied": True}}, "embedding.dim is 6"),
        ({"model": {"rnn": {"cell": "lstm", "hidden": [4, 5], "layers": 2}}}, "has no effect beside a list"),
        ({"model": {"rnn": {"cell": "lstm", "hidden": [4], "dropout": 0.1}}}, "no effect with one layer"),
        ({"model": {"rnn": {"cell": "lstm", "hidden": [4, 0]}}}, "from 1 to 65536"),
        ({"model": {"rnn": {"cell": "lstm", "hidden": True}}}, "from 1 to 65536"),
        ({"model": {"rnn": {"cell": "gru", "forget_bias": 1.0}}}, "forget_bias"),
        ({"train": {"sampled_softmax": 3, "label_smoothing": 0.1}}, "excludes train.label_smoothing"),
        ({"train": {"sample_length": 5}}, "has no effect without train.samples"),
        ({"train": {"class_weights": "balanced"}}, "class_weights"),
        ({"train": {"best_metric": "loss"}}, "best_metric"),
        ({"model": {"pooling": "mean"}}, "pooling"),
    ],
    ids=str,
)
def test_what_does_nothing_in_a_language_model_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        parse_config(language_values("a.txt", **changes), "row")


def test_sizes_of_a_spelling_that_is_not_seen_are_refused():
    values = tagging_values("a.conllu")
    values["data"]["spelling"] = None
    with pytest.raises(ConfigError, match=r"no effect without data\.spelling"):
        parse_config(values, "row")
    values["data"]["spelling"] = {"kind": "ngrams"}
    with pytest.raises(ConfigError, match=r"spelling\.hidden has no effect"):
        parse_config(values, "row")
    values["model"]["spelling"] = {"dim": 3}
    parsed = parse_config(values, "row")
    assert parse_config(parsed.model_dump(mode="json"), "again") == parsed


def test_the_f1_of_entities_is_refused_where_there_are_none(files, monkeypatch):
    monkeypatch.chdir(files)
    config = parse_config(tagging_values("a.conllu", train={"best_metric": "entity_f1"}), "row")
    with pytest.raises(ConfigError, match="best_metric"):
        trainer_of(config)
