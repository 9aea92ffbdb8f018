"""Fuzz the checkpoint loader: ``python tests/fuzz/fuzz_checkpoint.py -runs=100000``.

The first byte of an input decides what the rest is: the bytes of the file; the JSON of its metadata; or changes to a
real checkpoint, each of two or three bytes: which value or tensor, and what becomes of it. Metadata and changed
tensors are saved with a right digest, since no changed byte gets past a wrong one. What loads must then evaluate, and
be resumed from or refused.
"""

import copy
import json
from pathlib import Path
from typing import Any

from fuzzing import Check, main, refused_well

CONFIG: dict[str, Any] = {
    "name": "fuzz",
    "data": {"train": {"format": "csv", "path": "t.csv"}, "tokenizer": {"min_count": 1}, "valid_fraction": 0.5},
    "model": {"embedding": {"dim": 2}, "rnn": {"cell": "gru", "hidden": 2}},
    "optim": {"name": "sgd", "schedule": {"name": "plateau"}},
    "train": {"epochs": 1, "batch_size": 4},
}


HOSTILE: list[Any] = [
    None,
    -1,
    0,
    1,
    2,
    3,
    2**40,
    10**30,
    0.5,
    1e300,
    "",
    "x",
    "\x1b[31m\n",
    [],
    {},
    True,
    [None],
    {"a": 1},
]


def trained(folder: Path) -> tuple[Any, Any, Any, Path]:
    """Train for two steps and return the config, the data, a trainer at step 0 and the saved file."""
    from rnncli.assembly import build_trainer
    from rnncli.config import parse_config
    from rnncli.data.dataset import load_dataset
    from rnncli.recording import Sums
    from rnncli.tasks import TASKS
    from rnncli.trained import save_trained

    table = folder / "t.csv"
    table.write_text(
        "text,label\n" + "".join(f"{word} film,{word}\n{word} n{word},{word}\n" for word in ("good", "bad"))
    )
    values = {**CONFIG, "data": {**CONFIG["data"], "train": {"format": "csv", "path": str(table)}}}
    config = parse_config(values, "fuzz")
    data = load_dataset(config.data, config.seed, None)
    trainer = build_trainer(config, data)
    list(trainer.run())
    path = folder / "whole.safetensors"
    progress = {
        **trainer.counters(),
        "sums": vars(Sums()),
        "data": TASKS["classification"].digest(data),
        "metrics": None,
    }
    save_trained(path, trainer, config, data, progress)
    return config, data, build_trainer(config, data), path


def seeds(folder: Path) -> list[bytes]:
    from rnncli.checkpoint import load_checkpoint

    *_, path = trained(folder)
    metadata = load_checkpoint(path).metadata
    progress = metadata["progress"]
    made = [metadata, {**metadata, "labels": []}, {**metadata, "progress": {}}]
    for key in progress:
        made.append({**metadata, "progress": {**progress, key: -1}})
    raw = [b"\0" + path.read_bytes(), b"\0\x08" + bytes(7) + b'{"a":{}}']
    changes = [bytes([2, place, value]) for place in range(0, 250, 10) for value in range(0, 20, 3)]
    return raw + [b"\1" + json.dumps(values).encode() for values in made] + changes


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value in JSON, inner ones and outer ones."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in leaves(item, (*path, key)))]


def changed(metadata: Any, tensors: dict[str, Any], data: bytes) -> tuple[Any, dict[str, Any]]:
    """Return copies of both, changed as the bytes say."""
    import numpy as np

    metadata, tensors = copy.deepcopy(metadata), dict(tensors)
    while len(data) >= 2:
        place, what, data = data[0], data[1], data[2:]
        paths = leaves(metadata)[1:]
        names = sorted(tensors)
        if place >= len(paths) + len(names):
            continue
        if place >= len(paths):
            name = names[place - len(paths)]
            array = tensors[name]
            kinds = [
                lambda array: array[..., :-1],
                lambda array: array[None],
                lambda array: array.astype(np.float64),
                lambda array: np.full_like(array, np.nan),
                lambda array: np.full_like(array, -3e38),
                lambda array: array.astype(np.int8),
                lambda array: array.reshape(-1),
            ]
            tensors[name] = kinds[what % len(kinds)](array)
            if what >= 128:
                del tensors[name]
            continue
        *way, key = paths[place]
        holder = metadata
        for step in way:
            holder = holder[step]
        if what % (len(HOSTILE) + 1) == len(HOSTILE):
            del holder[key]
        else:
            holder[key] = copy.deepcopy(HOSTILE[what % (len(HOSTILE) + 1)])
    return metadata, tensors


def make_check(folder: Path) -> Check:
    """Return the check; it works in a folder that is there."""
    from rnncli.checkpoint import load_checkpoint, save_checkpoint
    from rnncli.data.rows import Row
    from rnncli.errors import CheckpointError, ConfigError, DataError, GradientError
    from rnncli.evaluation import evaluate
    from rnncli.resuming import changed_keys, restore_trainer
    from rnncli.trained import load_trained

    config, data, trainer, whole = trained(folder)
    checkpoint = load_checkpoint(whole)
    whole_bytes = whole.read_bytes()
    tensors = {name: array for name, array in checkpoint.tensors.items() if not name.startswith("vocabulary.")}
    inner = folder / "one"
    inner.mkdir()
    path = inner / "last.safetensors"

    def check(data_in: bytes) -> None:
        if data_in[:1] and data_in[0] % 3:
            try:
                if data_in[0] % 3 == 1:
                    metadata, arrays = json.loads(data_in[1:]), tensors
                else:
                    metadata, arrays = changed(checkpoint.metadata, tensors, data_in[1:17])
                save_checkpoint(path, arrays, metadata, checkpoint.vocabulary)
            except (ValueError, TypeError, RecursionError, CheckpointError):
                return  # not metadata at all
        else:
            path.write_bytes(data_in[1:])
        try:
            loaded = load_trained(path)
        except CheckpointError as error:
            refused_well(error)
            assert path.read_bytes() != whole_bytes
            return
        try:
            evaluate(loaded, [Row("good film", loaded.learned.labels[0], "x:1")])
        except GradientError as error:
            refused_well(error)
        try:
            changed_keys(loaded.config, config, ())
            restore_trainer(trainer, loaded, data, str(path))
        except (CheckpointError, DataError) as error:
            refused_well(error)
            return
        except ConfigError as error:
            refused_well(error, lines=100)
            return
        try:
            list(trainer.run())
        except GradientError as error:
            refused_well(error)

    return check


if __name__ == "__main__":
    main(make_check, seeds, ["rnncli", "json", "safetensors"])
