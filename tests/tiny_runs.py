"""Runs small enough for a test: data, configs, the command line in this process, digests."""

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli.cli
from rnncli.assembly import build_trainer
from rnncli.config import Config, parse_config
from rnncli.data.dataset import Dataset, load_dataset
from rnncli.training import Event, Trainer

SAMPLE = Path(__file__).parents[1] / "data" / "sample.csv"
ADJECTIVES = {"good": "pos", "fine": "pos", "bad": "neg", "dull": "neg"}
NOUNS = ["film", "plot", "cast", "score", "pace", "end"]


def write_csv(path: Path, columns: tuple[str, str] = ("text", "label"), repeats: int = 1) -> Path:
    """Write 24 texts of 2 to 7 words, two labels, ``repeats`` times each with another number in it."""
    lines = [",".join(columns)]
    for number in range(repeats):
        for i, noun in enumerate(NOUNS):
            for adjective, label in ADJECTIVES.items():
                filler = " ".join(["and"] * i)
                lines.append(f"{noun} {adjective} {filler} n{number},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes`` laid over it; a section that names its variant replaces the whole section."""
    out = dict(base)
    for key, value in changes.items():
        replaces = isinstance(value, dict) and {"format", "cell", "name"} & set(value)
        if isinstance(value, dict) and isinstance(out.get(key), dict) and not replaces:
            out[key] = merged(out[key], value)
        else:
            out[key] = value
    return out


def tiny_values(path: Path | str, **changes: Any) -> dict[str, Any]:
    """Return the values of a config with 8 hidden units on a csv file."""
    base = {
        "name": "tiny",
        "data": {
            "train": {"format": "csv", "path": str(path)},
            "valid_fraction": 0.3,
            "tokenizer": {"min_count": 1},
        },
        "model": {"embedding": {"dim": 8}, "rnn": {"cell": "gru", "hidden": 8}},
        "optim": {"name": "adam", "lr": 0.01},
        "train": {"epochs": 2, "batch_size": 4, "log_every": 2},
    }
    return merged(base, changes)


def tiny_config(path: Path | str, **changes: Any) -> Config:
    return parse_config(tiny_values(path, **changes), "tiny")


def sample_config(**changes: Any) -> Config:
    """Return a config that learns data/sample.csv."""
    base = {"optim": {"name": "adam", "lr": 0.01}, "train": {"epochs": 6, "batch_size": 16}}
    values = tiny_values(SAMPLE, **merged(base, {"model": {"embedding": {"dim": 16}}}))
    values["model"]["rnn"]["hidden"] = 16
    return parse_config(merged(values, changes), "sample")


def prepared(config: Config) -> tuple[Trainer, Dataset]:
    data = load_dataset(config.data, config.seed, None)
    return build_trainer(config, data), data


def trained(config: Config) -> tuple[Trainer, list[Event]]:
    trainer, _ = prepared(config)
    return trainer, list(trainer.run())


def digest_of(trainer: Trainer) -> str:
    """Return a digest of every weight and moment."""
    hashed = hashlib.sha256()
    for name, array in sorted({**trainer.model.params, **trainer.optimizer.state}.items()):
        hashed.update(f"{name} {array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def write_config(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")  # JSON is YAML
    return path


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Silent:
    """A watcher of runs that does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def failed(self, code: int = 1) -> str:
        """Return the one line of an error, having checked that it is one."""
        assert self.code == code, self
        assert "Traceback" not in self.out + self.err
        last = self.err.splitlines()[-1]
        assert last.startswith("rnncli: "), self.err
        return last


class Cli:
    """The command line, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys
        # It would change the environment of the other tests.
        monkeypatch.setattr(rnncli.cli, "default_to_one_thread", lambda: None)

    def __call__(self, *arguments: object) -> Done:
        self.monkeypatch.setattr(sys, "argv", ["rnncli", *map(str, arguments)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            rnncli.cli.main()
        out, err = self.capsys.readouterr()
        return Done(int(left.value.code or 0), out, err)

    def refused(self, *arguments: object, code: int = 1) -> str:
        """Run what must fail with nothing but one line on standard error, and return that line."""
        done = self(*arguments)
        line = done.failed(code)
        assert done.err == line + "\n", done.err
        assert not done.out
        return line
