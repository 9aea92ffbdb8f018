"""One config trained with several seeds: how good it is on average, and how far chance alone moves it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.config import AnyConfig, load_config, parse_config
from rnncli.errors import ConfigError, GradientError, RnncliError
from rnncli.resuming import flattened
from rnncli.run import Progress, Summary, train_run
from rnncli.run_dir import CACHE, RunDir
from rnncli.worded import setting

MOST_SEEDS = 1000


class Spread(NamedTuple):
    """How far the values of a figure lie from each other.

    Parameters
    ----------
    mean : float
        Of the values.
    deviation : float or None
        The sample's standard deviation: squares are divided by one less than there are values. None of one value.
    low, high : float
        The least and the greatest.
    size : int
        How many values there are.
    """

    mean: float
    deviation: float | None
    low: float
    high: float
    size: int


@dataclass(frozen=True)
class SeedRun:
    """What came of one seed.

    Attributes
    ----------
    seed : int
        The seed.
    run_dir : Path
        Folder of its run.
    summary : Summary or None
        What the run has to say; None if it failed.
    why : str or None
        What failed.
    """

    seed: int
    run_dir: Path
    summary: Summary | None
    why: str | None = None

    def figures(self, which: str) -> dict[str, Any]:
        """Return the row of the ``best`` or the ``last`` validation; empty for a run without one."""
        if self.summary is None or not self.summary.validations:
            return {}
        return self.summary.best if which == "best" else self.summary.validations[-1]


def parse_seeds(text: str, first: int) -> tuple[int, ...]:
    """Read what ``--seeds`` says.

    Parameters
    ----------
    text : str
        How many seeds, ``5``; or which, ``1,2,3``.
    first : int
        Where to begin to count, which is the config's own seed.

    Returns
    -------
    tuple of int
        At least two, all different.

    Raises
    ------
    ConfigError
        If it is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts):
        raise ConfigError(
            "must be how many seeds (5) or which (1,2,3), whole numbers",
            where=f"--seeds {text[:60]}",
        )
    numbers = tuple(int(part) for part in parts)
    if len(numbers) == 1:
        count = numbers[0]
        if not 2 <= count <= MOST_SEEDS:
            raise ConfigError(f"must be from 2 to {MOST_SEEDS} seeds, or a list of them", where=f"--seeds {text[:60]}")
        numbers = tuple(range(first, first + count))
    if len(set(numbers)) < len(numbers) or len(numbers) > MOST_SEEDS:
        what = "names a seed twice" if len(numbers) <= MOST_SEEDS else f"names more than {MOST_SEEDS} seeds"
        raise ConfigError(what, where=f"--seeds {text[:60]}")
    return numbers


def splits_by_seed(config: AnyConfig) -> bool:
    """Return whether a seed decides what is held for validation: not where that is given, or the end of a text."""
    return "split_seed" in type(config.data).model_fields and config.data.valid is None


def with_seed(config: AnyConfig, seed: int, *, vary_split: bool = False) -> AnyConfig:
    """Return a config with another seed, and a name of its own.

    Parameters
    ----------
    config : Config, TaggingConfig or LanguageConfig
        Any.
    seed : int
        For weights, order and dropout.
    vary_split : bool
        Let the seed decide the validation part too, which otherwise stays that of ``config``.

    Returns
    -------
    Config, TaggingConfig or LanguageConfig
        Called ``NAME-seedN``.

    Raises
    ------
    ConfigError
        If there is no split to vary, or the seed or the name is out of limits.
    """
    values = config.model_dump(mode="json")
    if vary_split:
        _refuse_nothing_to_vary(config)
    elif splits_by_seed(config):
        values["data"]["split_seed"] = config.split_seed
    values |= {"seed": seed, "name": f"{config.name}-seed{seed}"}
    return parse_config(values, "--seeds")


def folder_of_seed(root: Path, seed: int) -> RunDir:
    """Return where the run of a seed goes, ``ROOT-seedN``; ConfigError for a folder like ``.``, which has no name."""
    if root.name in ("", ".."):
        raise ConfigError(
            "has no name for -seedN to be added to", where=f"--run-dir {root}", remedy="Name a folder, as in runs/NAME"
        )
    return RunDir(root.with_name(f"{root.name}-seed{seed}"))


def train_seeds(
    config: AnyConfig,
    seeds: Sequence[int],
    root: Path,
    progress: Callable[[int], Progress],
    *,
    vary_split: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    given: tuple[str, ...] = (),
    cache: Path = CACHE,
) -> Iterator[SeedRun]:
    """Train a config once with each seed, one after the other.

    Parameters
    ----------
    config : Config, TaggingConfig or LanguageConfig
        What to train.
    seeds : sequence of int
        The seeds.
    root : Path
        Folders are called after it; see :func:`folder_of_seed`.
    progress : callable
        Returns who is told what happens, for a seed.
    vary_split : bool
        See :func:`with_seed`.
    overwrite : bool
        Replace earlier runs.
    resume : bool
        Keep what is there: a finished run is not trained again, a stopped one goes on, a missing one is made.
    given : tuple of str
        The ``--set`` arguments; see :func:`rnncli.run.train_run`.
    cache : Path
        Folder of encoded data.

    Yields
    ------
    SeedRun
        As each comes to its end. One whose loss is not finite does not keep the others from it.

    Raises
    ------
    RnncliError
        Before anything is trained, if a run is there already and it is not said what to do with it, or it is to be kept
        and had another ``optim``; or from a run.
    """
    runs = [(seed, with_seed(config, seed, vary_split=vary_split), folder_of_seed(root, seed)) for seed in seeds]
    if not (overwrite or resume):
        for _, _, folder in runs:
            _refuse_earlier_run(folder)
    for _, settings, folder in runs if resume else ():
        _refuse_another_optimizer(settings, folder)
    for seed, settings, folder in runs:
        go_on = resume and folder.last.exists()
        try:
            summary = train_run(
                settings,
                folder,
                progress(seed),
                overwrite=overwrite or (resume and not go_on),  # what is there has come to no checkpoint
                resume=go_on,
                given=given,
                cache=cache,
            )
        except GradientError as error:
            yield SeedRun(seed, folder.root, None, str(error))
        else:
            yield SeedRun(seed, folder.root, summary)


def spread(values: Sequence[float]) -> Spread:
    """Return mean and spread.

    Parameters
    ----------
    values : sequence of float
        At least one.

    Returns
    -------
    Spread
        Of them.
    """
    count = len(values)
    mean = math.fsum(values) / count
    squares = math.fsum((value - mean) ** 2 for value in values)
    return Spread(mean, math.sqrt(squares / (count - 1)) if count > 1 else None, min(values), max(values), count)


def spreads(runs: Sequence[SeedRun], which: str, keys: Sequence[str]) -> dict[str, Spread]:
    """Return mean and spread of figures over seeds.

    Parameters
    ----------
    runs : sequence of SeedRun
        What came of the seeds; those that failed do not count.
    which : {"best", "last"}
        The validation.
    keys : sequence of str
        The figures, as metrics.jsonl names them.

    Returns
    -------
    dict of str to Spread
        Without figures that a run does not have.
    """
    rows = [row for run in runs if (row := run.figures(which))]
    found = {key: [row.get(key) for row in rows] for key in keys}
    return {
        key: spread([float(value) for value in values if value is not None])
        for key, values in found.items()
        if values and None not in values
    }


def _refuse_nothing_to_vary(config: AnyConfig) -> None:
    if not splits_by_seed(config):
        why = (
            "data.valid names what is validated on"
            if config.data.valid is not None
            else "what a language model is validated on is the end of the text, whatever the seed"
        )
    elif getattr(config.data, "split_seed", None) is not None:
        why = f"data.split_seed {config.split_seed} holds the split"
    else:
        return
    raise ConfigError(f"has nothing to vary: {why}", where="--vary-split", remedy="Leave it out")


def _refuse_another_optimizer(config: AnyConfig, folder: RunDir) -> None:
    """Refuse what a run alone may change on the way: one that is finished would be counted as trained with it."""
    if not (folder.last.exists() and folder.config.exists()):
        return
    before, now = flattened(load_config(folder.config)), flattened(config)
    for key in sorted(key for key in before.keys() | now.keys() if key.startswith("optim.")):
        if before.get(key) != now.get(key):
            raise ConfigError(
                f"was trained with {key} {setting(before.get(key))}, now it is {setting(now.get(key))}",
                where=str(folder.root),
                remedy="Add --overwrite instead of --resume to train all seeds anew, or --run-dir OTHER to keep both",
            )


def _refuse_earlier_run(folder: RunDir) -> None:
    try:
        folder.refuse_earlier_run()
    except RnncliError as error:
        raise RnncliError(
            error.what,
            where=error.where,
            remedy="Add --resume to keep what is there and train what is missing, --overwrite to replace it, "
            "or --run-dir OTHER to keep both",
        ) from None
