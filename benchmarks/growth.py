"""Part 3: how rnncli's training speed and memory change with length, vocabulary, hidden size and corpus."""

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import CONFIG, IMDB, Plan, Table, call, most, ratio, rnncli_train, spread, take_turns

BASE = {"length": 200, "vocabulary": 20_000, "hidden": 128}
VALUES = {
    "length": (100, 50, 500, 1000, 2000),
    "vocabulary": (20_000, 1000, 100_000, 1_000_000),
    "hidden": (128, 32, 64, 256, 512),
}
TITLES = {"length": "Length of the texts, tokens", "vocabulary": "Words in the vocabulary", "hidden": "Hidden size"}
COPIES, COPIES_QUICK = (1, 10, 40), (1, 4)
# To train on, about, in each measurement, after a quarter as many to warm up; fewer beyond 128 hidden units.
TOKENS = 800_000
# Of the law that words follow: a batch of 15,000 tokens then has some 2,750 distinct ones of 20,000, as IMDB's have.
WORDS, SHIFT, EXPONENT = 1_000_000, 2.7, 1.2
SYNTHETIC = (
    "Training rnncli's LSTM classifier on synthetic texts, one process, one BLAS thread, N = 64, D = 128. The texts "
    "are drawn from a million words by a Zipf-Mandelbrot law; to a smaller vocabulary the rarer ones are unknown. "
    "Held fixed: {fixed}. The ratio is of the speed to that of the first row, median of those within each round."
)
CORPUS = (
    "The LSTM of configs/imdb_lstm.yaml, one process, one BLAS thread, on a file with so many copies of IMDB's 25,000 "
    "reviews. First start: from the command to the end of the first step, the texts being read, tokenized and encoded, "
    "with peak memory; then training from the cache. The ratio is of the speed to that of the first row."
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure what grows, one thing after the other."""
    for what, values in VALUES.items():
        named = {
            f"{value:,}": partial(call, "growth:train_synthetic", plan, 1, **{**BASE, what: value})
            for value in (values[:2] if plan.quick else values)
        }
        fixed = ", ".join(f"{name} {value:,}" for name, value in BASE.items() if name != what)
        yield _table(plan, TITLES[what], SYNTHETIC.format(fixed=fixed), named)
    yield _corpus_table(plan)


def _table(plan: Plan, title: str, note: str, named: dict[str, Callable[[], dict[str, float]]]) -> Table:
    table = Table(title, note, [title, "tokens/s", "ratio", "peak MB", "distinct words a batch"])
    turns = take_turns(named, plan.rounds, title)
    first = next(iter(turns.values()))
    for name, turn in turns.items():
        speeds = turn["tokens_per_second"]
        figures = [spread(speeds), ratio(speeds, first["tokens_per_second"]), most(turn["peak_mb"])]
        table.add(name, turn, *figures, spread(turn["distinct"][:1]))
    return table


def train_synthetic(length: int, vocabulary: int, hidden: int) -> dict[str, float]:
    """Train on texts made up here; return the speed after the warm-up and the mean of distinct words in a batch."""
    import numpy as np

    from rnncli.assembly import build_trainer
    from rnncli.config import load_config
    from rnncli.data.dataset import Dataset, EncodedTexts
    from rnncli.data.vocabulary import UNKNOWN, UNKNOWN_ID, Vocabulary

    config = load_config(
        CONFIG, [f"model.rnn.hidden={hidden}", "train.epochs=1000", f"data.tokenizer.max_vocab={vocabulary}"]
    )
    size = config.train.batch_size
    steps = max(4, TOKENS * 128 // (max(128, hidden) * size * length))
    warm_up = max(2, steps // 4)
    rng = np.random.default_rng(0)
    law = np.cumsum((np.arange(WORDS) + SHIFT) ** -EXPONENT)

    def texts(rows: int) -> EncodedTexts:
        ids = 1 + np.searchsorted(law, rng.random(rows * length) * law[-1]).astype(np.int32)
        ids[ids >= vocabulary] = UNKNOWN_ID
        return EncodedTexts(ids, np.arange(rows + 1) * length, np.arange(rows) % 2)

    words = [UNKNOWN, *(f"w{i}" for i in range(1, vocabulary))]
    data = Dataset(texts((warm_up + steps) * size), texts(1), Vocabulary(words), ("no", "yes"))
    events = build_trainer(config, data).run()
    for _ in range(warm_up):
        next(events)
    start = time.perf_counter()
    tokens = sum(next(events).tokens for _ in range(steps))
    seconds = time.perf_counter() - start
    distinct = [len(np.unique(part)) for part in np.split(data.train.ids, warm_up + steps)]
    return {"tokens_per_second": tokens / seconds, "distinct": float(np.mean(distinct))}


def _corpus_table(plan: Plan) -> Table:
    title = "Copies of IMDB"
    table = Table(title, CORPUS, [title, "first start, s", "its peak MB", "tokens/s", "ratio", "peak MB"])
    first: list[float] = []
    for copies in COPIES_QUICK if plan.quick else COPIES:
        file = plan.work / f"imdb-{copies}.jsonl"
        write_copies(file, copies)
        settings = [
            f"data.train={{format: jsonl, path: {json.dumps(str(file))}}}",
            f"data.valid_fraction={0.1 / copies}",  # as many texts to validate for every number of copies
        ]
        new = rnncli_train(plan, settings, steps=1, warm_up=1, threads=1)
        train = partial(rnncli_train, plan, settings, 10 if plan.quick else 40, 8, 1)
        turn = take_turns({"rnncli": train}, plan.rounds, f"{title}: {copies}")["rnncli"]
        file.unlink()
        speeds = turn["tokens_per_second"]
        first = first or speeds
        start = [spread([new["first_step_seconds"]]), most([new["peak_mb"]])]
        table.add(str(copies), turn, *start, spread(speeds), ratio(speeds, first), most(turn["peak_mb"]))
        table.records[-1]["first_start"] = new
    return table


def write_copies(file: Path, copies: int) -> None:
    """Write IMDB's labelled reviews so many times, one JSON object a line."""
    rows: list[dict[str, Any]] = [
        {"text": review.read_text(encoding="utf-8"), "label": label}
        for label in ("neg", "pos")
        for review in sorted((IMDB / label).glob("*.txt"))
    ]
    with file.open("w", encoding="utf-8") as out:
        for _ in range(copies):
            out.writelines(json.dumps(row) + "\n" for row in rows)
