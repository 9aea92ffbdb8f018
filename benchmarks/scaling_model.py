"""Predict how fast a config trains on 1 to 64 ranks over a network, from what one core measures.

    python benchmarks/scaling_model.py configs/imdb_lstm.yaml [--set KEY=VALUE] [--per-host 1] [--latency 50]

The steps are done for real, by as many ranks as the table has, one after the other in this process: what a rank
computes between two exchanges is timed while the others wait, and the bytes of every exchange are counted. Only the
network is a model: an exchange takes as long as the busiest host needs to send, or to receive, its bytes, and a
latency for each message that waits for one before. Ranks that share a machine's memory bandwidth are not slowed down.
"""

import argparse
import json
import math
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from rnncli.blas import default_to_one_thread

default_to_one_thread()

import numpy as np  # noqa: E402

from rnncli.assembly import build_trainer  # noqa: E402
from rnncli.config import load_config  # noqa: E402
from rnncli.data.batches import epoch_batches  # noqa: E402
from rnncli.data.dataset import load_dataset  # noqa: E402
from rnncli.optim import Optimizer  # noqa: E402
from rnncli.randomness import generator  # noqa: E402
from rnncli.run_dir import CACHE  # noqa: E402
from rnncli.team import Member  # noqa: E402
from rnncli.training import Trainer  # noqa: E402
from rnncli.workers.exchange import Anything, Message, Parcel  # noqa: E402
from rnncli.workers.parcels import UNIT, Outgoing, unpack  # noqa: E402

RANKS = (1, 2, 4, 8, 16, 32, 64)
GIGABITS = (1.0, 10.0)
REPEATS = 3  # of every step


class Table:
    """Where the ranks meet: each puts something down, and goes on when it is its turn again and all have.

    ``work`` has the seconds that each rank computed before each meeting, ``sent`` the kind of each meeting and the
    bytes from each rank to each other.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.turns = [threading.Semaphore(0) for _ in range(size)]
        self.laid: tuple[list[Any], list[Any]] = [None] * size, [None] * size
        self.work: list[list[float]] = [[] for _ in range(size)]
        self.sent: list[tuple[str, Any]] = []

    def forget(self) -> None:
        """Begin to measure anew; all ranks but the first are waiting."""
        self.sent.clear()
        for work in self.work:
            work.clear()


class Seat:
    """One rank's exchange with the others at the table."""

    shares_memory = False

    def __init__(self, table: Table, rank: int) -> None:
        self.table, self.rank, self.size = table, rank, table.size
        self.meetings = 0
        self.since = 0.0
        self.outgoing = Outgoing(), Outgoing()  # in turn, as for what is laid down

    def meet(self, kind: str, mine: Any, sizes: Sequence[int]) -> list[Any]:
        table = self.table
        table.work[self.rank].append(time.thread_time() - self.since)
        if self.rank == 0:
            table.sent.append((kind, np.zeros((self.size, self.size))))
        table.sent[-1][1][self.rank] = sizes
        laid = table.laid[self.meetings % 2]  # the first rank may lay down the next before the last has read this
        self.meetings += 1
        laid[self.rank] = mine
        table.turns[(self.rank + 1) % self.size].release()
        table.turns[self.rank].acquire()
        self.since = time.thread_time()
        return list(laid)

    def broadcast(self, message: Message | None = None) -> Message:
        sizes = [len(json.dumps(message)) if self.rank == 0 else 0] * self.size
        told: Message | None = self.meet("broadcast", message, sizes)[0]
        if told is None:
            raise SystemExit
        return told

    def place(self, arrays: Mapping[str, Anything] | None = None) -> dict[str, Anything]:
        raise NotImplementedError("the ranks here are given the same arrays")

    def all_gather(self, numbers: Sequence[float]) -> list[list[float]]:
        return self.meet("all_gather", list(numbers), [8 * len(numbers)] * self.size)

    def all_to_all(self, parcels: Sequence[Parcel]) -> list[list[Anything]]:
        memory, starts, sizes = self.outgoing[self.meetings % 2].pack(parcels)
        packed = [memory[start : start + size] for start, size in zip(starts * UNIT, sizes * UNIT, strict=True)]
        received = self.meet("all_to_all", packed, sizes * UNIT)
        return [unpack(theirs[self.rank]) for theirs in received]

    def close(self) -> None:
        self.meet("broadcast", None, [0] * self.size)

    def abort(self, message: str, code: int) -> None:
        raise SystemExit(code)


@dataclass
class Measured:
    """Steps of some ranks together.

    Attributes
    ----------
    work : ndarray of shape (steps, meetings, ranks)
        Seconds of computing before each exchange.
    sent : list of list of tuple
        For each step, of each exchange its kind and the bytes from rank to rank, shape (ranks, ranks).
    tokens : list of int
        Of each step.
    """

    work: Any
    sent: list[list[tuple[str, Any]]]
    tokens: list[int]

    def compute(self) -> list[float]:
        """Return the seconds of each step in which somebody computes: before each exchange, the slowest."""
        return [float(step.max(axis=1).sum()) for step in self.work]

    def exchange(self, gigabits: float, latency: float, per_host: int) -> list[float]:
        """Return the seconds of each step that the network takes."""
        return [sum(wire_seconds(*sent, gigabits, latency, per_host) for sent in step) for step in self.sent]

    def megabytes(self) -> float:
        """Return what the rank that sends most sends to others in a step."""
        totals = [sum(sent for kind, sent in step if kind == "all_to_all") for step in self.sent]
        return statistics.mean(float((total.sum(axis=1) - np.diag(total)).max()) for total in totals) / 1e6

    def tokens_per_second(self, wire: Sequence[float]) -> float:
        """Return the speed of the median step, with so much time for the network in each."""
        steps = zip(self.tokens, self.compute(), wire, strict=True)
        return statistics.median(tokens / (compute + waiting) for tokens, compute, waiting in steps)


def wire_seconds(kind: str, sent: Any, gigabits: float, latency: float, per_host: int) -> float:
    """Return how long one exchange takes.

    Parameters
    ----------
    kind : str
        The method.
    sent : ndarray of shape (P, P)
        Bytes from rank to rank.
    gigabits : float
        A host's bandwidth, in each direction, in 1e9 bits a second.
    latency : float
        Seconds from one host to another.
    per_host : int
        Ranks on each host; within one, nothing takes time.

    Returns
    -------
    float
        Seconds.
    """
    host = np.arange(len(sent)) // per_host
    hosts = int(host[-1]) + 1
    if hosts == 1:
        return 0.0
    doublings = math.ceil(math.log2(hosts))  # of those that know, or have told
    second = gigabits * 1e9 / 8  # bytes
    if kind == "broadcast":
        return doublings * (latency + sent[0].max() / second)
    between = np.zeros((hosts, hosts))
    np.add.at(between, (host[:, None], host[None, :]), sent)
    np.fill_diagonal(between, 0)
    bytes_ = max(between.sum(axis=0).max(), between.sum(axis=1).max())
    waits = doublings if kind == "all_gather" else doublings + 1  # all_to_all tells the sizes first
    return waits * latency + bytes_ / second


def rehearse(trainer: Trainer, batches: list[Any], size: int) -> Measured:
    """Do some steps with so many ranks, each a few times over; the first batch only warms up."""
    table = Table(size)
    failures: SimpleQueue[BaseException | None] = SimpleQueue()

    def team(rank: int) -> Member:
        # All have the same arrays: each moves its own part, and puts in the others' as they are by then.
        optimizer = Optimizer(trainer.optimizer.rule, trainer.optimizer.step_count, trainer.optimizer.state)
        settings = trainer.settings
        return Member(Seat(table, rank), trainer.work, optimizer, settings.seed, settings.clip_norm)

    def lead() -> None:
        leader = team(0)
        leader.step(0, batches[0], trainer.settings.lr)
        table.forget()
        for number, rows in enumerate(batches[1:]):
            for _ in range(REPEATS):
                leader.step(number, rows, trainer.settings.lr)
        exchanges.append(len(table.sent))
        leader.exchange.close()

    def follow(rank: int) -> None:
        table.turns[rank].acquire()
        team(rank).serve()

    def act(role: Any, *arguments: Any) -> None:
        try:
            role(*arguments)
        except SystemExit:
            failures.put(None)
        except BaseException as error:
            failures.put(error)
        else:
            failures.put(None)

    exchanges: list[int] = []
    threads = [threading.Thread(target=act, args=(lead,), daemon=True)]
    threads += [threading.Thread(target=act, args=(follow, rank), daemon=True) for rank in range(1, size)]
    for thread in threads:
        thread.start()
    error = failures.get()
    if error is not None:
        raise error
    steps = len(batches) - 1
    a_step = exchanges[0] // (steps * REPEATS)
    work = np.array([seconds[: exchanges[0]] for seconds in table.work]).T.reshape(steps, REPEATS, a_step, size)
    work = work.min(axis=1)  # of what else the machine does, every rank is spared once
    sent = [table.sent[i * a_step : (i + 1) * a_step] for i in range(0, steps * REPEATS, REPEATS)]
    return Measured(work, sent, [int(trainer.work.train.lengths[rows].sum()) for rows in batches[1:]])


def pick(trainer: Trainer, texts: int, steps: int) -> list[Any]:
    """Return one batch to warm up with, and some to measure, as an epoch has them; none if the data is too small."""
    batches = epoch_batches(trainer.work.train.lengths, texts, generator(trainer.settings.seed, "order", 0))
    whole = [rows for rows in batches if len(rows) == texts]
    return whole[: steps + 1] if len(whole) > 1 else []


def distinct(trainer: Trainer, batches: list[Any]) -> float:
    """Return the mean number of distinct tokens of a batch."""
    ids, offsets = trainer.work.train.ids, trainer.work.train.offsets
    return statistics.mean(
        len(np.unique(np.concatenate([ids[offsets[row] : offsets[row + 1]] for row in rows]))) for rows in batches
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--steps", type=int, default=4, help="measured for each number of ranks (4)")
    parser.add_argument("--per-host", type=int, default=1, help="ranks on each host, which share its network (1)")
    parser.add_argument("--latency", type=float, default=50, help="from host to host, microseconds (50)")
    parser.add_argument("--ranks", type=int, nargs="+", default=RANKS)
    args = parser.parse_args()
    config = load_config(args.config, tuple(args.overrides))
    trainer = build_trainer(config, load_dataset(config.data, config.seed, CACHE))
    trainer.optimizer.prepare(trainer.model.params)
    N = trainer.work.batch_size
    dense = sum(array.size for name, array in trainer.model.params.items() if name not in trainer.model.sparse)
    print(f"{config.name}: {dense:,} dense parameters; embeddings {trainer.model.params['embedding.W'].shape}")
    print(f"{args.per_host} rank(s) a host, latency {args.latency:g} us; speed-up in tokens a second over one rank\n")
    for title, texts in (
        (f"A global batch of {N} texts, shared", lambda ranks: N),
        (f"{N} texts a rank", lambda ranks: N * ranks),
    ):
        print(f"{title}\n")
        head = ["ranks", "texts a step", "distinct tokens", "compute ms", "MB sent"]
        print(f"| {' | '.join([*head, *(f'{g:g} Gbit/s: ms | speed-up' for g in GIGABITS)])} |")
        print(f"|{'---:|' * (len(head) + 2 * len(GIGABITS))}")
        alone = 0.0
        for ranks in args.ranks:
            batches = pick(trainer, texts(ranks), max(2, args.steps // max(1, texts(ranks) // N // 2)))
            if not batches:
                print(f"| {ranks} | {texts(ranks):,} | the data has no two batches of that size |")
                continue
            seen = rehearse(trainer, batches, ranks)
            cells = [f"{ranks}", f"{texts(ranks):,}", f"{distinct(trainer, batches[1:]):,.0f}"]
            cells += [f"{statistics.median(seen.compute()) * 1e3:.1f}", f"{seen.megabytes():.2f}"]
            alone = alone or seen.tokens_per_second([0.0] * len(seen.tokens))
            for gigabits in GIGABITS:
                wire = seen.exchange(gigabits, args.latency * 1e-6, args.per_host)
                cells += [f"{statistics.median(wire) * 1e3:.1f}", f"{seen.tokens_per_second(wire) / alone:.1f}"]
            print(f"| {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main()
