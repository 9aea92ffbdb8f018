"""Every key of a config changes what is computed: one row a key, and a key without a row fails.

A row has a config that is right as it is and one other value for the key. Both are run on a few texts, and what
they come to must differ. A key is written with the variants it sits in, such as ``optim[sgd].schedule[step].factor``.
"""

import hashlib
import itertools
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
from pydantic import BaseModel
from tiny_runs import Silent, merged

from rnncli.assembly import build_trainer
from rnncli.config import Config, parse_config
from rnncli.data.dataset import load_dataset
from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.evaluation import rows_of_config
from rnncli.run import train_run
from rnncli.run_dir import RunDir
from rnncli.tasks import task_of
from rnncli.trained import load_trained

# ---- the keys of the schema -----------------------------------------------------------------------------------------


def members(annotation: Any) -> Iterator[Any]:
    """Yield what a union, with or without a discriminator, is made of."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from members(part)
    else:
        yield annotation


def tag(section: type[BaseModel]) -> str:
    """Return the one value of the key that names a variant: the first key of the section."""
    name, field = next(iter(section.model_fields.items()))
    values = typing.get_args(field.annotation)
    assert len(values) == 1, f"{section.__name__}.{name} names no variant"
    return str(values[0])


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every key that takes a value."""
    for name, field in section.model_fields.items():
        parts = list(members(field.annotation))
        sections = [part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)]
        if not sections:
            yield f"{prefix}{name}"
        for part in sections:
            variant = f"[{tag(part)}]" if len(sections) > 1 else ""
            yield from keys_of(part, f"{prefix}{name}{variant}.")


SCHEMA = list(keys_of(Config))

# ---- what a config comes to -----------------------------------------------------------------------------------------


def training(config: Config) -> Any:
    """Return everything a run computes: its events and a digest of its data, weights and moments."""
    data = task_of(config).load(config, None)
    trainer = build_trainer(config, data)
    events = [tuple(event) for event in trainer.run()]
    hashed = hashlib.sha256(repr((data.labels, data.vocabulary.tokens)).encode())
    for name, array in sorted({**trainer.model.params, **trainer.optimizer.state}.items()):
        hashed.update(name.encode() + np.ascontiguousarray(array).tobytes())
    return events, hashed.hexdigest()


def reading_of_test_data(config: Config) -> Any:
    """Return the texts that ``rnncli eval`` would read, or why it would not."""
    try:
        return [(row.text, row.label) for row in rows_of_config(config)[0]]
    except RnncliError as error:
        return str(error)


def training_or_why_not(config: Config) -> Any:
    """Return what a run computes, or what is wrong with its data: a file read as another format."""
    try:
        return training(config)
    except RnncliError as error:
        return str(error)


def starting_or_being_refused(config: Config) -> Any:
    """Return what a run computes, or the refusal that it is to come to."""
    return {"came to": training_or_why_not(config)}


def recording(config: Config) -> Any:
    """Return the steps that metrics.jsonl has."""
    run_dir = RunDir(Path("recorded") / config.name / str(config.train.log_every))
    train_run(config, run_dir, Silent(), overwrite=True)
    return [json.loads(line)["step"] for line in run_dir.metrics.read_text().splitlines()]


def writing_events(config: Any) -> Any:
    """Return how many event files a run leaves."""
    run_dir = RunDir(Path("events") / config.name / str(config.train.tensorboard))
    train_run(config, run_dir, Silent(), overwrite=True)
    return len(list(run_dir.events.glob("*tfevents*")))


def saving(config: Config) -> Any:
    """Return the step of the checkpoint that there is after each step."""
    run_dir = RunDir(Path("saved") / config.name)
    seen = []

    class Watcher(Silent):
        def step(self, event: Any, tokens_per_second: float) -> None:
            seen.append(load_trained(run_dir.last).progress["step"] if run_dir.last.exists() else None)

    train_run(config, run_dir, Watcher(), overwrite=True)
    return seen


def sharing(config: Config) -> Any:
    """Return how many processes a run has."""
    sizes = []

    class Watcher(Silent):
        def started(self, trainer: Any) -> None:
            sizes.append(trainer.exchange.size)

    train_run(config, RunDir(Path("shared") / config.name), Watcher(), overwrite=True)
    return sizes


def starting(config: Config) -> Any:
    """Return the weights after a run that may start from those of another."""
    if config.init_from is not None:
        other = config.model_copy(update={"seed": 9, "init_from": None})
        train_run(other, RunDir(Path(config.init_from).parent), Silent(), overwrite=True)
    run_dir = RunDir(Path("started") / config.name)
    train_run(config, run_dir, Silent(), overwrite=True)
    return {name: array.tobytes() for name, array in load_trained(run_dir.last).model.params.items()}


def meeting_one_bad_token(config: Config) -> Any:
    """Return how a run ends when the weights of a token that only training texts have are not finite."""
    data = load_dataset(config.data, config.seed, None)
    trainer = build_trainer(config, data)
    only = np.setdiff1d(data.train.ids, data.valid.ids)
    trainer.model.params["embedding.W"][only[0]] = np.nan
    try:
        return [event.step for event in trainer.run()]
    except GradientError:
        return ["stopped", trainer.step]


def folder(config: Config) -> Any:
    """Return where ``rnncli train`` would put the run."""
    from click.testing import CliRunner

    from rnncli.cli.train import command

    Path("named.yaml").write_text(json.dumps(config.model_dump(mode="json")))
    before = set(Path("runs").glob("*/config.yaml"))
    result = CliRunner().invoke(command, ["named.yaml"], catch_exceptions=False)
    assert result.exit_code == 0
    return set(Path("runs").glob("*/config.yaml")) - before


# ---- the rows -------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """``changes`` are laid over the plain config; then the key gets ``value``."""

    value: Any
    changes: Mapping[str, Any] = MappingProxyType({})
    effect: Callable[[Config], Any] = training


CSV = {"format": "csv", "path": "a.csv"}
PLAIN = {
    "name": "plain",
    "data": {"train": CSV, "valid_fraction": 0.4, "tokenizer": {"min_count": 1}},
    "model": {"embedding": {"dim": 3}, "rnn": {"cell": "gru", "hidden": 3}},
    "optim": {"name": "adam", "lr": 0.05},
    "train": {"epochs": 2, "batch_size": 4, "validate_every": 2},
}
COLUMNS = {"text": "other_text", "label": "other_label"}
# For each format: a source that reads well, and another value for each of its keys.
SOURCES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{
        name: (
            {"format": name, "path": f"a.{name}"},
            {
                "format": other,
                "path": f"b.{name}",
                "text": "other_text",
                "label": "other_label",
                "skip_labels": ["odd"],
            },
        )
        for name, other in [("csv", "tsv"), ("tsv", "jsonl"), ("jsonl", "csv")]
    },
    "fasttext": (
        {"format": "fasttext", "path": "a.fasttext"},
        {"format": "jsonl", "path": "b.fasttext", "skip_labels": ["odd"]},
    ),
    "aclimdb": ({"format": "aclimdb", "path": "a.tree"}, {"format": "csv", "path": "b.tree"}),
    "keras_imdb": (
        {"format": "keras_imdb", "path": "a.npz", "word_index": "a.json"},
        {"format": "csv", "path": "b.npz", "word_index": "b.json", "part": "test"},
    ),
}


def source_rows() -> Iterator[tuple[str, Row]]:
    for place, (name, (source, others)) in itertools.product(["train", "valid", "test"], SOURCES.items()):
        data: dict[str, Any] = {place: source}
        if place == "valid":
            data |= {"train": source, "valid_fraction": None}
        effect = reading_of_test_data if place == "test" else training_or_why_not
        for key, value in others.items():
            yield f"data.{place}[{name}].{key}", Row(value, {"data": data}, effect)
    imported = {"data": {"train": {"format": "imported", "path": "a.csv"}}}  # all there is to it is what is refused
    for key, value in {"format": "csv", "path": "b.csv"}.items():
        yield f"data.train[imported].{key}", Row(value, imported, starting_or_being_refused)


ADAM = {"beta1": 0.5, "beta2": 0.5, "eps": 0.1}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"name": "sgd", "lr": 0.02, "clip_norm": 0.01, "layer_decay": 0.5, **ADAM},
    "adamw": {"name": "adam", "lr": 0.02, "clip_norm": 0.01, "layer_decay": 0.5, **ADAM, "weight_decay": 0.5},
    "sgd": {"name": "adam", "lr": 0.02, "clip_norm": 0.01, "layer_decay": 0.5, "momentum": 0.1},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "constant": {"name": "linear", "warmup_steps": 2},
    "linear": {"name": "cosine", "warmup_steps": 2, "final": 0.5},
    "cosine": {"name": "linear", "warmup_steps": 2, "final": 0.5},
    "step": {"name": "constant", "warmup_steps": 2, "every_epochs": 2, "factor": 0.3},
    "plateau": {"name": "constant", "warmup_steps": 2, "patience": 2, "factor": 0.3},
}


def optimizer_rows() -> Iterator[tuple[str, Row]]:
    for optimizer, others in OPTIMIZERS.items():
        for key, value in others.items():
            yield f"optim[{optimizer}].{key}", Row(value, {"optim": {"name": optimizer, "lr": 0.05}})
        for schedule, keys in SCHEDULES.items():
            # A rate so high that some validations do not improve, and the plateau has something to see.
            lr = 3.0 if schedule == "plateau" else 0.05
            changes = {"optim": {"name": optimizer, "lr": lr, "schedule": {"name": schedule}}, "train": {"epochs": 3}}
            for key, value in keys.items():
                yield f"optim[{optimizer}].schedule[{schedule}].{key}", Row(value, changes)


def cell_rows() -> Iterator[tuple[str, Row]]:
    others = {
        "rnn": {"cell": "gru"},
        "lstm": {"cell": "gru", "forget_bias": -1.0},
        "gru": {"cell": "rnn", "reset": "after"},
    }
    for cell, own in others.items():
        changes = {"model": {"rnn": {"cell": cell, "hidden": 3, "layers": 2}}}
        for key, value in {
            "hidden": 4,
            "layers": 3,
            "bidirectional": True,
            "dropout": 0.5,
            "state_dropout": 0.5,
            "recurrent_dropout": 0.5,
            **own,
        }.items():
            yield f"model.rnn[{cell}].{key}", Row(value, changes)


def ngram_rows() -> Iterator[tuple[str, Row]]:
    others = {
        "orders": 2,
        "min_count": 4,
        "max_ngrams": 7,
        "naive_bayes": "none",
        "dropout": 0.1,
        "lr": 0.03,
        "loss": "joint",
        "share": 0.9,
        "inputs": True,
    }
    for key, value in others.items():
        yield f"model.ngrams.{key}", Row(value, {"model": {"ngrams": {"orders": 3}}})


ROWS: dict[str, Row] = {
    "name": Row("other", effect=folder),
    "seed": Row(2),
    "init_from": Row("first/last.safetensors", effect=starting),
    "data.valid_fraction": Row(0.7),
    "data.split_seed": Row(2),
    "data.group_by": Row("author"),
    "data.tokenizer.kind": Row("character"),
    "data.tokenizer.lowercase": Row(False),
    "data.tokenizer.max_vocab": Row(5),
    "data.tokenizer.min_count": Row(4),
    "data.max_length": Row(2),
    "data.truncate": Row("head", {"data": {"max_length": 2}}),
    "model.embedding.dim": Row(4),
    "model.embedding.dropout": Row(0.5),
    "model.embedding.word_dropout": Row(0.5),
    "model.embedding.vectors": Row("vectors.txt", effect=starting),
    "model.embedding.frozen": Row(True, {"model": {"embedding": {"vectors": "vectors.txt"}}}, starting),
    "model.pooling": Row(["mean", "attention"]),
    "model.activation_penalty": Row(2.0),
    "model.slowness_penalty": Row(2.0),
    "model.variational": Row(True, {"model": {"embedding": {"dropout": 0.5}}}),
    **dict(ngram_rows()),
    "model.dropout": Row(0.5),
    "model.loss": Row("binary", {"data": {"train": {**CSV, "skip_labels": ["odd", "even"]}}}),
    "train.epochs": Row(3),
    "train.max_steps": Row(3),
    "train.checkpoint_every_steps": Row(1, effect=saving),
    "train.checkpoint_every_minutes": Row(1e-9, effect=saving),
    "train.on_nonfinite": Row("skip", effect=meeting_one_bad_token),
    "train.batch_size": Row(5),
    "train.workers": Row(2, effect=sharing),
    "train.log_every": Row(3, {"train": {"log_every": 2}}, recording),
    "train.tensorboard": Row(True, effect=writing_events),
    "train.validate_every": Row(3),
    "train.best_metric": Row("loss", {"optim": {"name": "adam", "lr": 0.5}, "train": {"epochs": 4}}),
    "train.patience": Row(1, {"optim": {"name": "adam", "lr": 0.5}, "train": {"epochs": 4}}),
    "train.class_weights": Row("balanced"),
    "train.label_smoothing": Row(0.1),
    "train.average": Row(0.9),
    "train.average_last": Row(1),
    "train.unfreeze_epochs": Row(0.5),
    **dict(source_rows()),
    **dict(optimizer_rows()),
    **dict(cell_rows()),
}
# Keys that have one value only today; another one must be refused.
ONE_VALUE = {"task"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write two files of every format, the same texts in all formats."""
    root = tmp_path_factory.mktemp("keys")
    for stem, shift in (("a", 0), ("b", 1)):
        rows = texts(shift)
        columns = ["text", "label", "other_text", "other_label", "author"]
        for name, separator in (("csv", ","), ("tsv", "\t")):
            lines = [separator.join(columns), *(separator.join(row[column] for column in columns) for row in rows)]
            (root / f"{stem}.{name}").write_text("\n".join(lines) + "\n")
        (root / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (root / f"{stem}.fasttext").write_text("".join(f"__label__{row['label']} {row['text']}\n" for row in rows))
        for number, row in enumerate(rows):
            path = root / f"{stem}.tree" / row["label"] / f"{number}_7.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(row["text"])
        write_keras(root, stem, shift)
    (root / "vectors.txt").write_text("film 0.1 0.2 0.3\nwas 1 -1 1\n")
    return root


def texts(shift: int) -> list[dict[str, str]]:
    labels = ["neg", "pos", "odd", "even", "pos"]
    out = []
    for i in range(20):
        label = labels[i % 5]
        out.append(
            {
                "text": f"The {label} Film no{i % 7 + shift} was {label} and {'so ' * (i % 3)}Long",
                "label": label,
                "other_text": f"another {label} text {i % 6}",
                "other_label": labels[(i + 1) % 5],
                "author": f"author{i % 4}",
            }
        )
    return out


def write_keras(root: Path, stem: str, shift: int) -> None:
    reviews = np.empty(20, object)
    for i in range(20):
        reviews[i] = [1 + (i + k + shift) % 9 for k in range(3 + i % 4)]
    labels = np.arange(20) % 2
    other = reviews[::-1].copy()
    np.savez(root / f"{stem}.npz", x_train=reviews, y_train=labels, x_test=other, y_test=labels)
    words = ["the", "a", "film", "plot", "good", "bad", "was", "is", "and"]
    words = words[shift:] + words[:shift]
    (root / f"{stem}.json").write_text(json.dumps({word: number for number, word in enumerate(words, start=1)}))


def test_every_key_of_the_schema_has_a_row_and_every_row_a_key():
    assert sorted({*ROWS, *ONE_VALUE}) == sorted(SCHEMA)
    assert len(SCHEMA) > 150


def with_value(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return the values with one of them changed."""
    path = [part.split("[")[0] for part in key.split(".")]
    out = json.loads(json.dumps(values))
    section = out
    for part in path[:-1]:
        section = section.setdefault(part, {})
    section[path[-1]] = value
    if path[-1] == "format":
        section.pop("word_index", None)  # no other format has it
    return out


@cache
def outcome(effect: Callable[[Config], Any], values: str) -> Any:
    return effect(parse_config(json.loads(values), "row"))


@pytest.mark.parametrize("key", ROWS)
def test_the_key_changes_the_computation(key, files, monkeypatch):
    monkeypatch.chdir(files)
    row = ROWS[key]
    values = merged(PLAIN, dict(row.changes))
    if key.startswith("data.valid["):
        del values["data"]["valid_fraction"]
    before = outcome(row.effect, json.dumps(values))
    after = outcome(row.effect, json.dumps(with_value(values, key, row.value)))
    assert not isinstance(before, str), before
    assert key.endswith(".format") or not isinstance(after, str), after  # a file read as another format is no use
    assert before != after


@pytest.mark.parametrize("key", ONE_VALUE)
def test_a_key_of_one_value_takes_no_other(key):
    with pytest.raises(ConfigError, match=key):
        parse_config(merged(PLAIN, {key: "other"}), "row")


def test_the_walk_finds_keys_in_every_variant():
    class Inner(BaseModel):
        kind: Literal["x"] = "x"
        deep: int = 1

    class Other(BaseModel):
        kind: Literal["y"] = "y"

    class Outer(BaseModel):
        both: typing.Annotated[Inner | Other, "anything"] | None = None
        plain: dict[str, float] | Literal["balanced"] | None = None

    assert list(keys_of(Outer)) == ["both[x].kind", "both[x].deep", "both[y].kind", "plain"]
