"""Runs of every task that tests may read, trained once."""

from contextlib import chdir
from pathlib import Path
from typing import Any

from tiny_runs import Silent, tiny_values, write_csv
from tiny_tasks import language_values, tagging_values, write_columns, write_conllu, write_text

from rnncli.config import parse_config
from rnncli.run import train_run
from rnncli.run_dir import RunDir

GRU, RNN, THREE, TAGGER, ENTITIES, LANGUAGE = (
    Path("runs") / name for name in ("gru", "rnn", "three", "tagger", "entities", "language")
)


def train_all(folder: Path) -> None:
    """Train a run of each kind in a folder."""
    with chdir(folder):
        write_csv(Path("tiny.csv"), repeats=8)
        write_conllu(Path("tiny.conllu"), 60)
        write_columns(Path("tiny.columns"))
        write_text(Path("tiny.txt"), 100)
        lines = Path("tiny.csv").read_text().replace("dull", "dull and long").splitlines()
        third = [line.replace(",neg", ",poor") if "dull" in line else line for line in lines]
        Path("three.csv").write_text("\n".join(third) + "\n")
        entities = {"format": "columns", "path": "tiny.columns"}
        for name, values in {
            "gru": tiny_values("tiny.csv"),
            "rnn": tiny_values("tiny.csv", model={"rnn": {"cell": "rnn", "hidden": 4}}, train={"epochs": 1}),
            "three": tiny_values("three.csv"),
            "tagger": tagging_values("tiny.conllu"),
            "entities": tagging_values("tiny.columns", data={"train": entities}),
            "language": language_values("tiny.txt"),
        }.items():
            config: Any = parse_config({**values, "name": name}, name)
            train_run(config, RunDir(Path("runs") / name), Silent())
