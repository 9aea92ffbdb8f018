"""Training speed on IMDB beside PyTorch: same data, same model, same precision, same cores, in turns.

    pip install torch                       # the CPU build
    python benchmarks/imdb_speed.py [--config configs/imdb_lstm.yaml] [--rounds 5] [--steps 150]

Every measurement is a process of its own. The trainers take turns, so that a machine whose speed drifts slows all of
them alike; the ratio is taken within each round. Tokens are real ones, padding not counted.

rnncli          as the command line runs it, on one BLAS thread
rnncli-threads  the same on a BLAS thread for every core
torch-tuned     batches of close lengths (the very batches of rnncli), padded to the longest of the batch, sparse
                embedding gradients with SparseAdam, fused Adam for the rest; PyTorch's default threads, one a core
torch-tutorial  shuffled batches padded to the longest, one Adam for all; likewise
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WARM_UP = 10  # steps not counted
TRAINERS = ("rnncli", "rnncli-threads", "torch-tuned", "torch-tutorial")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="configs/imdb_lstm.yaml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, default=list(TRAINERS))
    parser.add_argument("--measure", choices=TRAINERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure, args.config, args.steps)))
        return
    speeds: dict[str, list[float]] = {name: [] for name in args.trainers}
    memory: dict[str, float] = {}
    for number in range(args.rounds):
        for name in args.trainers:
            command = [sys.executable, __file__, "--config", args.config, "--steps", str(args.steps), "--measure", name]
            result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            speeds[name].append(result["tokens_per_second"])
            memory[name] = max(memory.get(name, 0), result["peak_memory_mb"])
            print(f"round {number + 1}  {name:15} {result['tokens_per_second']:>9,.0f} tokens/s", file=sys.stderr)
    print(
        f"{'trainer':15} {'tokens/s: median':>17} {'min':>9} {'max':>9} {'peak MB':>8}   rnncli is faster by (median)"
    )
    for name, values in speeds.items():
        ratio = ""
        if name != "rnncli" and "rnncli" in speeds:
            ratio = f"{statistics.median(a / b for a, b in zip(speeds['rnncli'], values, strict=True)):.2f} times"
        print(
            f"{name:15} {statistics.median(values):>17,.0f} {min(values):>9,.0f} {max(values):>9,.0f} "
            f"{memory[name]:>8,.0f}   {ratio}"
        )


def measure(trainer: str, config_path: str, steps: int) -> dict[str, float]:
    from rnncli.blas import default_to_one_thread

    if trainer == "rnncli":
        default_to_one_thread()
    import numpy as np

    from rnncli.assembly import build_trainer
    from rnncli.config import load_config
    from rnncli.data.batches import epoch_batches
    from rnncli.data.dataset import load_dataset
    from rnncli.randomness import generator
    from rnncli.recording import peak_memory_mb
    from rnncli.run_dir import CACHE

    config = load_config(config_path)
    data = load_dataset(config.data, config.seed, CACHE)
    order = generator(config.seed, "order", 0)
    step: Callable[[np.ndarray], object]
    if trainer.startswith("rnncli"):
        rnncli_trainer = build_trainer(config, data)
        batches = epoch_batches(data.train.lengths, config.train.batch_size, order)
        events = rnncli_trainer.run()
        step = lambda rows: next(events)  # noqa: E731 - the trainer deals the same batches itself
    else:
        tuned = trainer == "torch-tuned"
        if tuned:
            batches = epoch_batches(data.train.lengths, config.train.batch_size, order)
        else:
            shuffled = order.permutation(len(data.train))
            batches = np.array_split(shuffled, len(shuffled) // config.train.batch_size)
        step = torch_step(config, data, tuned)
    tokens = 0
    for number, rows in enumerate(batches[: steps + WARM_UP]):
        if number == WARM_UP:
            start = time.perf_counter()
        step(rows)
        tokens += int(data.train.lengths[rows].sum()) if number >= WARM_UP else 0
    return {"tokens_per_second": tokens / (time.perf_counter() - start), "peak_memory_mb": peak_memory_mb()}


def torch_step(config, data, tuned):
    """Return a function that trains on the given rows with PyTorch."""
    import torch
    from torch import nn

    model_config, optim = config.model, config.optim
    D, H, cell = model_config.embedding.dim, model_config.rnn.hidden, model_config.rnn.cell
    torch.manual_seed(config.seed)
    embedding = nn.Embedding(len(data.vocabulary) + 1, D, padding_idx=len(data.vocabulary), sparse=tuned)
    layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell](
        D, H, num_layers=model_config.rnn.layers, bidirectional=model_config.rnn.bidirectional, batch_first=True
    )
    output = nn.Linear(H * (2 if model_config.rnn.bidirectional else 1), len(data.labels))
    dense = [*layer.parameters(), *output.parameters()]
    if tuned:
        optimizers = [
            torch.optim.SparseAdam(list(embedding.parameters()), lr=optim.lr),
            torch.optim.Adam(dense, lr=optim.lr, fused=True),
        ]
    else:
        optimizers = [torch.optim.Adam([*embedding.parameters(), *dense], lr=optim.lr)]
    dropout = nn.Dropout(model_config.embedding.dropout)
    ids = torch.from_numpy(data.train.ids.astype("int64"))
    texts = [ids[a:b] for a, b in zip(data.train.offsets[:-1].tolist(), data.train.offsets[1:].tolist(), strict=True)]
    labels = torch.from_numpy(data.train.labels.copy())

    def step(rows):
        padded = nn.utils.rnn.pad_sequence(
            [texts[i] for i in rows], batch_first=True, padding_value=len(data.vocabulary)
        )
        real = padded != len(data.vocabulary)
        h, _ = layer(dropout(embedding(padded)))
        pooled = (h * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
        loss = nn.functional.cross_entropy(output(pooled), labels[torch.from_numpy(rows)])
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(dense, optim.clip_norm)
        for optimizer in optimizers:
            optimizer.step()
        return loss.item()

    return step


if __name__ == "__main__":
    assert Path("configs").is_dir(), "run this from the top of the checkout"
    main()
