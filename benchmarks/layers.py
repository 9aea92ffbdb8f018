"""Part 2: recurrent layers alone, forward and backward, beside PyTorch's."""

import statistics
import time
from collections.abc import Iterator
from functools import partial
from itertools import product
from typing import Any

from benchmarks.common import Plan, Table, call, ratio, spread, take_turns

T = 100  # steps
CELLS = ("lstm", "gru", "rnn")
SECONDS = 0.25  # at least so long, and so often, is each size measured in a round
TIMES = 2
NOTE = (
    f"Milliseconds for forward and backward of a dense batch of {T} steps with D = H, gradients of input and weights "
    "included, float32: median (min to max) of the rounds, each of which is a median too. The GRU has its reset gate "
    "after the product, as PyTorch's has. The ratio says how many times faster rnncli is."
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure on one thread and on two."""
    for threads in (1, 2):
        sizes = [{"cell": cell, "H": H, "N": N} for cell, H, N in product(CELLS, (32, 128, 512), (1, 32, 256))]
        sizes += [{"cell": cell, "H": 128, "N": N, "deep": True} for cell, N in product(CELLS, (1, 32, 256))]
        if plan.quick:
            sizes = [size for size in sizes if size["H"] == 128 and size["N"] == 32]
        title = f"Layers alone, {threads} thread{'s' * (threads > 1)}"
        libraries = {
            name: partial(call, "layers:measure", plan, threads, library=name, sizes=sizes)
            for name in ("rnncli", "torch")
        }
        turns = take_turns(libraries, plan.rounds, title)
        yield layers_table(title, sizes, {name: turn["milliseconds"] for name, turn in turns.items()})


def layers_table(title: str, sizes: list[dict[str, Any]], rounds: dict[str, list[Any]]) -> Table:
    """Lay out what both libraries took: of every round, the milliseconds of every size."""
    table = Table(title, NOTE, ["layer", "H", "N", "rnncli, ms", "PyTorch, ms", "ratio"])
    for i, size in enumerate(sizes):
        ours, theirs = ([values[i] for values in rounds[name]] for name in ("rnncli", "torch"))
        name = size["cell"].upper() + (", 2 layers, both directions" if size.get("deep") else "")
        table.rows.append([name, str(size["H"]), str(size["N"]), spread(ours), spread(theirs), ratio(theirs, ours)])
        results = [{"rnncli_ms": a, "torch_ms": b} for a, b in zip(ours, theirs, strict=True)]
        table.records.append({"what": f"{name}, H = {size['H']}, N = {size['N']}", "results": results})
    return table


def measure(library: str, sizes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the milliseconds of every size, in this process."""
    make = {"rnncli": rnncli_layer, "torch": torch_layer}[library]
    return {"milliseconds": [_median_ms(make(**size)) for size in sizes]}


def _median_ms(work) -> float:
    work()
    times: list[float] = []
    while len(times) < TIMES or sum(times) < SECONDS:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def rnncli_layer(cell, H, N, deep=False):
    """Return what runs rnncli's layers forward and backward once."""
    import numpy as np

    from rnncli.layers import CELLS, GRU_RESET_AFTER, recurrent_backward, recurrent_forward
    from rnncli.packing import make_packing

    rng = np.random.default_rng(0)
    kind = GRU_RESET_AFTER if cell == "gru" else CELLS[cell]
    G, directions = kind.gates, 2 if deep else 1

    def draw(*shape):
        return rng.normal(0, H**-0.5 / 2, shape).astype(np.float32)

    packing = make_packing(np.full(N, T))
    x, h0, dh = draw(N * T, H), np.zeros((N, H), np.float32), draw(N * T, directions * H)
    weights = [
        [
            [draw(D, G * H), draw(H, G * H), draw(G * H), *([draw(H)] if kind is GRU_RESET_AFTER else [])]
            for _ in range(directions)
        ]
        for D in ([H, 2 * H] if deep else [H])
    ]

    def work():
        inputs, caches = x, []
        for layer in weights:
            h = np.empty((N * T, directions * H), np.float32)
            for d, arrays in enumerate(layer):
                out = h[:, d * H : (d + 1) * H]
                *_, cache = recurrent_forward(kind, inputs, packing, h0, *arrays, reverse=d == 1, out=out)
                caches.append(cache)
            inputs = h
        dx = dh
        for _ in weights:
            parts = [dx[:, d * H : (d + 1) * H] for d in range(directions)]
            first, *others = [recurrent_backward(part, caches.pop())[0] for part in reversed(parts)]
            dx = sum(others, start=first)

    return work


def torch_layer(cell, H, N, deep=False):
    """Return what runs PyTorch's layers forward and backward once."""
    import torch

    from benchmarks.torch_models import LAYERS

    torch.manual_seed(0)
    layer = LAYERS[cell](H, H, num_layers=2 if deep else 1, bidirectional=deep)
    x = torch.randn(T, N, H, requires_grad=True)
    dh = torch.randn(T, N, H * (2 if deep else 1))

    def work():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].backward(dh)

    return work
