"""A character LSTM beside PyTorch's nn.LSTM: the same windows of the same text, in turns, real tokens a second.

    python benchmarks/char_speed.py [--text data/tinyshakespeare.txt] [--rounds 3]

Both train one LSTM of 512 units on 64 streams, 128 characters a step, with the state carried, Adam and gradients
clipped; each once on one core (a process; a thread) and once on two (two processes; two threads).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HIDDEN, DIM, STREAMS, WINDOW = 512, 64, 64, 128


def rnncli(text: Path, workers: int, steps: int) -> float:
    config = {
        "task": "language_model",
        "data": {"train": {"format": "text", "path": str(text.resolve())}, "valid_fraction": 0.01},
        "model": {"embedding": {"dim": DIM}, "rnn": {"cell": "lstm", "hidden": HIDDEN}},
        "train": {"batch_size": STREAMS, "window": WINDOW, "max_steps": steps, "workers": workers},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "rnncli", "train", str(path), "--json", "--run-dir", f"{folder}/run"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["tokens_per_second"])


def pytorch(text: Path, threads: int, steps: int) -> float:
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    raw = np.frombuffer(text.read_bytes(), np.uint8)
    characters, ids = np.unique(raw, return_inverse=True)
    length = (len(ids) - 1) // STREAMS
    rows = torch.from_numpy(np.stack([ids[n * length : n * length + length + 1] for n in range(STREAMS)]))
    embedding = torch.nn.Embedding(len(characters), DIM)
    lstm = torch.nn.LSTM(DIM, HIDDEN, batch_first=True)
    output = torch.nn.Linear(HIDDEN, len(characters))
    params = [*embedding.parameters(), *lstm.parameters(), *output.parameters()]
    optimizer = torch.optim.Adam(params, 2e-3, fused=True)
    state = None
    for step in range(steps + 2):
        if step == 2:
            start = time.perf_counter()
        window = rows[:, step * WINDOW : (step + 1) * WINDOW + 1]
        h, (h_n, c_n) = lstm(embedding(window[:, :-1]), state)
        state = (h_n.detach(), c_n.detach())
        loss = torch.nn.functional.cross_entropy(output(h).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
    return steps * STREAMS * WINDOW / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=Path("data/tinyshakespeare.txt"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    for cores in (1, 2):
        found = [
            (rnncli(args.text, cores, args.steps), pytorch(args.text, cores, args.steps)) for _ in range(args.rounds)
        ]
        ours, theirs = (statistics.median(column) for column in zip(*found, strict=True))
        ratio = statistics.median(a / b for a, b in found)
        print(f"{cores} core{'s' * (cores > 1)}: rnncli {ours:,.0f}, PyTorch {theirs:,.0f} tokens/s; ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
