"""What the parts of the torture share: results, forked command lines, small configs on data/sample.csv."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SAMPLE = Path(__file__).parents[2] / "data" / "sample.csv"
CELLS: dict[str, dict[str, Any]] = {
    "rnn": {"rnn": {"cell": "rnn", "hidden": 32}, "pooling": "last"},
    "lstm": {
        "rnn": {"cell": "lstm", "hidden": 24, "layers": 2, "dropout": 0.2},
        "embedding": {"dim": 8, "dropout": 0.3},
    },
    "gru": {"rnn": {"cell": "gru", "hidden": 24, "bidirectional": True}, "pooling": "max", "dropout": 0.2},
}
OPTIMS: dict[str, dict[str, Any]] = {
    "rnn": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": {"name": "plateau"}},
    "lstm": {"name": "adamw", "lr": 0.002, "schedule": {"name": "cosine", "warmup_steps": 20}},
    "gru": {"name": "adam", "lr": 0.005, "schedule": {"name": "step"}},
}


@dataclass
class Result:
    """One line of the summary."""

    test: str
    figure: str
    good: bool


@dataclass
class Ended:
    """How a forked process ended, and what it printed."""

    code: int
    text: str

    def is_one_line(self) -> bool:
        """Whether it failed with exit code 1 and one line of its own, after lines of progress at the most."""
        lines = self.text.splitlines()
        said = [line for line in lines if line.startswith("rnncli: ")]
        return self.code == 1 and len(said) == 1 and lines[-1] == said[0] and "Traceback" not in self.text


def config_values(cell: str, **train: Any) -> dict[str, Any]:
    """Return the values of a config that trains one of CELLS on data/sample.csv."""
    return {
        "name": cell,
        "data": {"train": {"format": "csv", "path": str(SAMPLE)}, "tokenizer": {"min_count": 1}, "valid_fraction": 0.2},
        "model": CELLS[cell],
        "optim": OPTIMS[cell],
        "train": {"epochs": 1000, "batch_size": 16, "log_every": 3, "validate_every": 17, **train},
    }


def write_config(path: Path, values: dict[str, Any]) -> Path:
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def forked(work: Callable[[], object]) -> Ended:
    """Run a function in a copy of this process, which has imported everything already, and return how that ended.

    What it prints goes through a pipe, which no limit on files concerns.
    """
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        _run_and_leave(work, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        text = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(process, 0)
    return Ended(os.waitstatus_to_exitcode(status), text)


def _run_and_leave(work: Callable[[], object], out: int) -> NoReturn:
    code = 97
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        work()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        os._exit(code)


def command_line(*arguments: object) -> None:
    """Run rnncli in this process."""
    from rnncli.cli import main

    sys.argv = ["rnncli", *map(str, arguments)]
    main()
