"""A real checkpoint, damaged in every place: each damage has to be recognised."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from common import Result, command_line, config_values, forked, write_config

from rnncli.checkpoint import load_checkpoint
from rnncli.errors import CheckpointError


def corrupt_checkpoints(folder: Path, quick: bool) -> Iterator[Result]:
    """Damage the checkpoint of a small run and count what is loaded all the same."""
    values = config_values("gru", max_steps=20)
    values["model"] = {"embedding": {"dim": 4}, "rnn": {"cell": "gru", "hidden": 4}}
    config = write_config(folder / "c.yaml", values)
    ended = forked(lambda: command_line("train", config, "--run-dir", folder / "run"))
    assert ended.code == 0, ended
    whole = (folder / "run/last.safetensors").read_bytes()
    path = folder / "damaged.safetensors"
    tried: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for kind, data in _damages(whole, random.Random(3), sparse=16 if quick else 1):
        if data == whole:
            continue
        path.write_bytes(data)
        tried[kind] += 1
        try:
            load_checkpoint(path)
            missed[kind] += 1
        except CheckpointError:
            pass
        except Exception as error:
            missed[kind] += 1
            print(f"  {kind}: {error!r}")
    parts = ", ".join(f"{count:,} {kind}" for kind, count in tried.items())
    yield Result(
        f"corrupt checkpoints (of a file of {len(whole):,} bytes)",
        f"{tried.total():,} tried ({parts}): {tried.total() - missed.total():,} recognised",
        not missed and tried.total() >= (1000 if quick else 10_000),
    )


def _damages(whole: bytes, rng: random.Random, sparse: int) -> Iterator[tuple[str, bytes]]:
    size = len(whole)
    header = 8 + int.from_bytes(whole[:8], "little")
    for length in range(0, size, sparse):
        yield "truncated", whole[:length]
    for at in range(0, size, sparse):
        changed = bytearray(whole)
        changed[at] ^= 1 << rng.randrange(8)
        place = "length" if at < 8 else "header" if at < header else "arrays"
        yield f"with a bit of the {place} flipped", bytes(changed)
    for _ in range(2000 // sparse):
        at, to = sorted(rng.sample(range(size + 1), 2))
        yield "with a piece zeroed", whole[:at] + bytes(to - at) + whole[to:]
        yield "with a piece missing", whole[:at] + whole[to:]
        yield "with a piece doubled", whole[:to] + whole[at:]
        other = rng.randrange(size)
        piece = whole[at : min(to, at + 200)]
        yield "with a piece elsewhere", whole[:other] + piece + whole[other + len(piece) :]
    for _ in range(500 // sparse):
        yield "with bytes appended", whole + rng.randbytes(rng.randint(1, 20))
    for digit in range(0, 10):
        for at in range(8, header, sparse):
            if whole[at : at + 1].isdigit():  # every number of the header: sizes, shapes and offsets that lie
                yield "with a digit of the header changed", whole[:at] + b"%d" % digit + whole[at + 1 :]
