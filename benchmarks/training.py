"""Part 1: training IMDB's classifier beside PyTorch: same data, model, precision and batches in the same order."""

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.common import CONFIG, IMDB, Plan, Table, Turns, call, most, ratio, rnncli_train, spread, take_turns

# PyTorch's GRU has its reset gate after the product; rnncli can do both.
CELLS = {"LSTM": ["cell=lstm"], "GRU": ["cell=gru", "reset=after"], "RNN": ["cell=rnn"]}
WARM_UP, MEASURED, MEASURED_QUICK = 512, 2048, 640  # texts
TITLE = "Training IMDB's classifier, {cell}, N = {size}"
RNNCLI, WORKERS = "rnncli", "rnncli, 2 workers"
TUNED, TUTORIAL, DDP = "PyTorch, tuned", "PyTorch, as in tutorials", "PyTorch, tuned, DDP of 2 processes"
NOTE = (
    "Real tokens a second, padding not counted: median (min to max) of the rounds. The last columns say how many times "
    "faster rnncli is: median of the ratios within each round. rnncli runs one BLAS thread a process unless said "
    "otherwise, PyTorch a thread for each of the 2 cores, each process of DDP one. Peak memory adds up all processes, "
    "each at its own peak; memory they share counts in each."
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure every cell and batch size."""
    rnncli_train(plan, [f"data.train.path={IMDB}"], steps=1, warm_up=1)  # from here on the texts come from the cache
    for cell in ["LSTM"] if plan.quick else CELLS:
        for size in [64] if plan.quick else [64, 128]:
            title = TITLE.format(cell=cell, size=size)
            turns = take_turns(trainers(plan, cell, size), plan.rounds, title)
            yield table(title, turns)


def trainers(plan: Plan, cell: str, size: int) -> dict[str, Callable[[], dict[str, float]]]:
    """Return what trains once, by name."""
    settings = [
        f"data.train.path={IMDB}",
        f"train.batch_size={size}",
        f"model.rnn={{{', '.join(CELLS[cell]).replace('=', ': ')}, hidden: 128}}",
    ]
    warm_up, steps = WARM_UP // size, (MEASURED_QUICK if plan.quick else MEASURED) // size
    train = partial(rnncli_train, plan, steps=steps, warm_up=warm_up)
    torch_train = partial(
        call, "torch_models:train", plan, config=str(CONFIG), settings=settings, steps=steps, warm_up=warm_up
    )
    named = {
        RNNCLI: partial(train, settings, threads=1),
        "rnncli, 2 BLAS threads": partial(train, settings, threads=2),
        WORKERS: partial(train, [*settings, "train.workers=2"], threads=1),
        TUNED: partial(torch_train, threads=2, style="tuned"),
        TUTORIAL: partial(torch_train, threads=2, style="tutorial"),
        "PyTorch, tuned, bf16": partial(torch_train, threads=2, style="tuned", bf16=True),
        DDP: partial(torch_train, threads=1, style="tuned", processes=2),
        f"{DDP}, bf16": partial(torch_train, threads=1, style="tuned", processes=2, bf16=True),
    }
    if cell == "GRU":
        before = [setting.replace("after", "before") for setting in settings]
        named["rnncli, reset before the product (its default)"] = partial(train, before, threads=1)
    return named


def table(title: str, turns: dict[str, Turns]) -> Table:
    """Lay out what the trainers did."""
    out = Table(title, NOTE, ["trainer", "tokens/s", "peak MB", f"{RNNCLI} by", f"{WORKERS} by"])
    for name, turn in turns.items():
        speeds = turn["tokens_per_second"]
        ours = [ratio(turns[mine]["tokens_per_second"], speeds) for mine in (RNNCLI, WORKERS)]
        out.add(name, turn, spread(speeds), most(turn["peak_mb"]), *ours)
    return out
