"""Where the time of a run goes: stages, marked in the code that does the work, and added up while somebody asks."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

STAGES = {
    "start-up": "data read or found in the cache, model built",
    "data": "texts into batches",
    "embedding": "rows of the batch's distinct tokens, dropout",
    "projection": "inputs times Wx",
    "forward": "the loop over time",
    "output": "pooling, output layer and loss, both ways",
    "backward": "the loop back",
    "gradients": "those of the weights, after the loop",
    "n-grams": "found in the texts, their sums and gradients",
    "exchange": "gradients between processes, and waiting",
    "optimizer": "norm and update",
    "evaluation": "the validation part",
    "saving": "checkpoints",
}
REST = "the rest"


@dataclass
class Profile:
    """What was spent on each stage.

    Attributes
    ----------
    start : float
        When it began, by ``time.perf_counter``.
    seconds : dict of str to float
        Time, by the names of ``STAGES``.
    flops : dict of str to float
        Multiplications and additions of matrix products.
    inside : str or None
        The stage that is going on.
    total : float
        Seconds in all, once it is over.
    """

    start: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    flops: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    inside: str | None = None
    total: float = 0.0

    def report(self, peak: float) -> list[dict[str, Any]]:
        """Return a row for each stage that took time, for the rest, and for all.

        Parameters
        ----------
        peak : float
            FLOP/s that matrix products can reach.

        Returns
        -------
        list of dict
            ``stage``, ``what``, ``seconds``, ``share`` of all, ``gflops`` per second of matrix products, and what
            part of the peak that is, ``of_peak``; the last two None where there are no products.
        """
        total = self.total
        seconds = {name: self.seconds[name] for name in STAGES if name in self.seconds}
        seconds[REST] = total - sum(seconds.values())
        whats = {**STAGES, REST: "", "all": ""}
        flops = {**self.flops, "all": sum(self.flops.values())}
        rows = []
        for name, spent in [*seconds.items(), ("all", total)]:
            speed = flops.get(name, 0) / spent if spent else 0
            rows.append(
                {
                    "stage": name,
                    "what": whats[name],
                    "seconds": spent,
                    "share": spent / total,
                    "gflops": speed / 1e9 if speed else None,
                    "of_peak": speed / peak if speed else None,
                }
            )
        return rows


_active: Profile | None = None


@contextmanager
def profiling() -> Iterator[Profile]:
    """Add up the stages of what is done within.

    Yields
    ------
    Profile
        Filled as it goes.
    """
    global _active
    _active = profile = Profile()
    try:
        yield profile
    finally:
        profile.total = time.perf_counter() - profile.start
        _active = None


@contextmanager
def stage(name: str, flops: float = 0) -> Iterator[None]:
    """Count what is done within as a stage; within another one it counts as that.

    Parameters
    ----------
    name : str
        A key of ``STAGES``.
    flops : float
        Multiplications and additions of the matrix products within.
    """
    assert name in STAGES, name
    profile = _active
    if profile is None:
        yield
        return
    outer = profile.inside
    profile.flops[outer or name] += flops
    if outer is not None:
        yield
        return
    profile.inside = name
    start = time.perf_counter()
    try:
        yield
    finally:
        profile.seconds[name] += time.perf_counter() - start
        profile.inside = None


def blas_peak(size: int = 1024, rounds: int = 8) -> float:
    """Measure the most that matrix products reach here: FLOP/s of a large square one in float32, the best of some."""
    a = np.ones((size, size), np.float32)
    b, out = a.copy(), a.copy()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        np.matmul(a, b, out=out)
        times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)
