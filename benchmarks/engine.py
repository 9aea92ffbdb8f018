"""The recurrent loop alone: microseconds a step and tokens a second, forward, backward and scoring.

    python benchmarks/engine.py [--batch 64] [--length 235] [--hidden 128] [--rounds 12]
    OPENBLAS_CORETYPE=Haswell python benchmarks/engine.py      # with AVX2 kernels
    OPENBLAS_NUM_THREADS=2 python benchmarks/engine.py         # on two threads

Token ids follow a Zipf law, as in text, so that distinct tokens are projected once; embeddings and weights are
random, which changes no timing. Medians over the rounds.
"""

import argparse
import os
import statistics
import time

from rnncli.blas import default_to_one_thread

default_to_one_thread()

import numpy as np  # noqa: E402

from rnncli.layers import CELLS, recurrent_backward, recurrent_forward  # noqa: E402
from rnncli.packing import group_rows, make_packing  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=235)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=12)
    args = parser.parse_args()
    N, H = args.batch, args.hidden
    rng = np.random.default_rng(0)
    packing = make_packing(rng.integers(args.length - args.length // 20, args.length + args.length // 20 + 1, N))
    groups = group_rows(np.minimum(rng.zipf(1.15, packing.rows) - 1, 19_999))
    R, T = packing.rows, len(packing.sizes)
    print(f"N = {N}, H = D = {H}, {R:,} tokens in {T} steps, {len(groups.values):,} distinct")
    print(f"OPENBLAS_CORETYPE {os.environ.get('OPENBLAS_CORETYPE', 'not set: as OpenBLAS detects')}")
    print(f"{'cell':6} {'forward us/step':>16} {'backward us/step':>17} {'train tokens/s':>15} {'score tokens/s':>15}")
    for name, cell in CELLS.items():
        x, Wx, Wh, b, h0, dh = (
            rng.normal(0, 0.05, shape).astype(np.float32)
            for shape in (
                (len(groups.values), H),
                (H, cell.gates * H),
                (H, cell.gates * H),
                cell.gates * H,
                (N, H),
                (R, H),
            )
        )
        times: list[list[float]] = [[], [], []]
        for _ in range(args.rounds):
            marks = [time.perf_counter()]
            *_, cache = recurrent_forward(cell, x, packing, h0, Wx, Wh, b, groups=groups)
            marks.append(time.perf_counter())
            recurrent_backward(dh, cache)
            marks.append(time.perf_counter())
            recurrent_forward(cell, x, packing, h0, Wx, Wh, b, groups=groups, keep=False)
            marks.append(time.perf_counter())
            for i in range(3):
                times[i].append(marks[i + 1] - marks[i])
        forward, backward, scoring = (statistics.median(values) for values in times)
        print(
            f"{name:6} {forward / T * 1e6:>16.1f} {backward / T * 1e6:>17.1f} "
            f"{R / (forward + backward):>15,.0f} {R / scoring:>15,.0f}"
        )


if __name__ == "__main__":
    main()
