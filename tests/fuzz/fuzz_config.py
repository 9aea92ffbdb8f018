"""Fuzz the config loader: ``python tests/fuzz/fuzz_config.py -runs=100000``.

An input is a YAML file, and after each NUL one ``--set`` argument. Whatever comes is refused with ConfigError, or is
a config that is written out and read again as the same.
"""

import os
from pathlib import Path

from fuzzing import Check, main, refused_well

CONFIGS = Path(__file__).parents[2] / "configs"
SEEDS = [
    b"data: {train: {format: csv, path: a.csv}}\0optim.lr=1e-3\0model.rnn={cell: gru, reset: after}",
    b"data:\n  train: &t {format: jsonl, path: 'a'}\n  valid: *t\ntrain: {class_weights: {pos: 1, neg: 2.5}}\n",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    b'%YAML 1.2\n---\n? "a\\u0041\\ud800"\n: !!python/name:os.system |+\n  text\n...\n',
    b"seed: 1\nseed: 0x_1F\nx: .nan\ny: 12:30:45\nz: 2026-01-01\n",
    "\ufeffname: \u00e9\u2028\x85\n".encode(),
]


def seeds(_: Path) -> list[bytes]:
    return SEEDS + [path.read_bytes() for path in sorted(CONFIGS.glob("*.yaml"))]


def make_check(folder: Path) -> Check:
    from rnncli.config import dump_config, load_config
    from rnncli.errors import ConfigError

    path, again = folder / "c.yaml", folder / "again.yaml"

    def check(data: bytes) -> None:
        content, *settings = data.split(b"\0") if data.count(b"\0") < 5 else [data]
        path.write_bytes(content)
        try:
            config = load_config(path, [os.fsdecode(setting) for setting in settings])
        except ConfigError as error:
            refused_well(error, lines=21)
            return
        again.write_text(dump_config(config), encoding="utf-8")
        assert load_config(again) == config

    return check


if __name__ == "__main__":
    main(make_check, seeds, ["rnncli", "yaml"])
