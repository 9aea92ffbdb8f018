"""What a sweep tries: a YAML file of keys with ranges or choices, each checked against the config's schema."""

import itertools
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from rnncli.config import TASKS, AnyConfig, validate_config
from rnncli.config.base import Section
from rnncli.config.keys import keys_below
from rnncli.config.loading import Loaded, lay_over, read, validate
from rnncli.config.sections import choices
from rnncli.config.yaml_text import dump_inline
from rnncli.errors import ConfigError
from rnncli.sweeping.settings import ChoiceSection, RangeSection, SweepSection

MOST_CHECKED = 256  # configs that are validated before a sweep begins: every combination where there are no more
DIGITS = 4  # that a drawn number has, so that it can be read and typed

_SAME_DATA = "trials must be validated on the same data"
_SAME_RESULT = "it does not change what is learned"
# Keys, or sections with all keys in them, that no sweep can be over, and why.
NOT_SEARCHED = {
    "name": "it is the folder's",
    "task": "trials of several tasks cannot be compared",
    "seed": "to see how much it matters: rnncli train --seeds",
    **dict.fromkeys(("data.train", "data.valid", "data.test", "data.valid_fraction"), _SAME_DATA),
    **dict.fromkeys(("data.split_seed", "data.split_by", "data.group_by", "data.document_boundary"), _SAME_DATA),
    "train.best_metric": "it is what trials are compared by; give metric",
    **dict.fromkeys(("train.workers", "train.log_every", "train.tensorboard"), _SAME_RESULT),
    **dict.fromkeys(("train.checkpoint_every_steps", "train.checkpoint_every_minutes"), _SAME_RESULT),
    **dict.fromkeys(("train.samples", "train.sample_length"), _SAME_RESULT),
}


@dataclass(frozen=True)
class Numbers:
    """Numbers to draw from; whole ones where ``low`` and ``high`` are."""

    low: int | float
    high: int | float
    log: bool
    step: int | float | None

    @property
    def ends(self) -> list[Any]:
        """The values that are checked before any is drawn."""
        return [self.low, self.high]

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return isinstance(self.low, int)

    def tidy(self, value: float) -> int | float:
        """Return a drawn number as it is used: with few digits, and on its step."""
        if self.whole:
            return int(value)
        if self.step is not None:
            return float(f"{value:.12g}")  # low + 3 * 0.1 is 0.30000000000000004
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class Values:
    """Values to choose from, by the text that YAML has for each."""

    by_text: Mapping[str, Any]

    @property
    def ends(self) -> list[Any]:
        """All of them."""
        return list(self.by_text.values())


@dataclass(frozen=True)
class Sweep:
    """What to sweep over.

    Attributes
    ----------
    settings : SweepSection
        The file.
    space : dict of str to Numbers or Values
        What to draw for each key.
    base : Loaded
        The config that is varied, with the metric in it.
    config : Config, TaggingConfig or LanguageConfig
        The same, validated.
    metric : str
        What is best.
    wheres : dict of str to str
        File and line of each key.
    """

    settings: SweepSection
    space: dict[str, Numbers | Values]
    base: Loaded
    config: AnyConfig
    metric: str
    wheres: dict[str, str]

    @property
    def more_is_better(self) -> bool:
        """Whether the metric is to be large."""
        return self.metric != "loss"

    def config_with(self, values: Mapping[str, Any], name: str) -> AnyConfig:
        """Return the config with some values for its keys.

        Parameters
        ----------
        values : mapping of str to Any
            For each key of the space.
        name : str
            Of the run.

        Returns
        -------
        Config, TaggingConfig or LanguageConfig
            Validated.

        Raises
        ------
        ConfigError
            If they do not go together.
        """
        loaded = deepcopy(self.base)
        for key in sorted(values, key=lambda key: key.count(".")):  # a section before the keys in it, or they are lost
            lay_over(loaded, tuple(key.split(".")), deepcopy(values[key]), self.wheres[key])
        lay_over(loaded, ("name",), name, "the sweep's name")
        return validate_config(loaded)


def read_sweep(path: Path, base: Loaded) -> Sweep:
    """Read the file of a sweep, and check all of it against the config that is varied.

    Parameters
    ----------
    path : Path
        A YAML file.
    base : Loaded
        From :func:`rnncli.config.read_config`.

    Returns
    -------
    Sweep
        Whose values are all allowed, one by one, and together where there are not too many combinations.

    Raises
    ------
    ConfigError
        One line for each fault that is found, with file and line.
    """
    config = validate_config(base)
    loaded = read(path)
    given = loaded.data.get("space")
    entries = given if isinstance(given, dict) else {}
    settings = validate(_schema(entries), loaded)
    if not entries:
        raise ConfigError("space has no keys", where=str(path), remedy="Such as: optim.lr: {low: 1e-4, high: 1e-2}")
    metric = _metric(settings, config, loaded)
    base = deepcopy(base)
    if "best_metric" in type(config.train).model_fields:
        lay_over(base, ("train", "best_metric"), metric, f"{loaded.where(('metric',))}: metric")
    wheres = {key: f"{loaded.where(('space', key))}: {key}" for key in entries}
    for key, where in wheres.items():
        _refuse_not_searched(key, where, config.task)
    space = {key: _read_entry(getattr(settings.space, key), key, wheres[key], config.task) for key in entries}
    sweep = Sweep(settings, space, base, validate_config(base), metric, wheres)
    for values in combinations(space):
        sweep.config_with(values, config.name)
    return sweep


def combinations(space: Mapping[str, Numbers | Values]) -> Iterator[dict[str, Any]]:
    """Yield what stands for all that may be drawn: every combination of choices and ends of ranges.

    Parameters
    ----------
    space : mapping of str to Numbers or Values
        What may be drawn.

    Yields
    ------
    dict of str to Any
        A value for each key. Where these are too many, all values of one key with the first of the others.
    """
    ends = {key: entry.ends for key, entry in space.items()}
    if math.prod(len(values) for values in ends.values()) <= MOST_CHECKED:
        yield from (dict(zip(ends, values, strict=True)) for values in itertools.product(*ends.values()))
        return
    first = {key: values[0] for key, values in ends.items()}
    yield from ({**first, key: value} for key, values in ends.items() for value in values)


def _schema(entries: Mapping[str, Any]) -> type[SweepSection]:
    """Return the schema of a file with these keys, each of a range or of a choice."""
    fields: dict[str, Any] = {}
    for key, entry in entries.items():
        ranged = isinstance(entry, dict) and bool({"low", "high"} & set(entry))
        fields[key] = (RangeSection if ranged else ChoiceSection, Field(description="what to try"))
    space = create_model("SpaceSection", __base__=Section, **fields)
    return create_model("SweepSection", __base__=SweepSection, space=(space, Field(description="what to try")))


def _metric(settings: SweepSection, config: AnyConfig, loaded: Loaded) -> str:
    field = type(config.train).model_fields.get("best_metric")
    allowed = ["loss"] if field is None else [str(one) for one in choices(field)]
    if settings.metric is None:
        return "loss" if field is None else str(config.train.best_metric)  # type: ignore[union-attr]
    if settings.metric not in allowed:
        raise ConfigError(
            f"{settings.metric[:60]!r} is not a metric of task {config.task} ({', '.join(allowed)})",
            where=f"{loaded.where(('metric',))}: metric",
        )
    return settings.metric


def _refuse_not_searched(key: str, where: str, task: str) -> None:
    reasons = dict(NOT_SEARCHED)
    if task == "language_model":
        reasons["data.tokenizer"] = "losses per token of other tokens cannot be compared"
    for name, why in reasons.items():
        if key == name or key.startswith(f"{name}."):
            raise ConfigError(f"cannot be swept over: {why}", where=where)
        if name.startswith(f"{key}."):
            raise ConfigError(
                f"cannot be swept over as a whole, with {name} in it: {why}",
                where=where,
                remedy="Name the keys in it that are to vary",
            )


def _read_entry(entry: RangeSection | ChoiceSection, key: str, where: str, task: str) -> Numbers | Values:
    if isinstance(entry, ChoiceSection):
        by_text = {dump_inline(value): value for value in entry.choice}
        if len(by_text) < len(entry.choice):
            raise ConfigError("has the same choice twice", where=where)
        return Values(by_text)
    words = ", ".join(dict.fromkeys(one.allowed for one in keys_below(TASKS[task]) if one.path == key))
    if words and "number" not in words:
        raise ConfigError(f"takes no numbers ({words})", where=where, remedy="Write {choice: [...]}")
    numbers = [entry.low, entry.high, *([] if entry.step is None else [entry.step])]
    whole = all(isinstance(number, int) for number in numbers) and "a number" not in words
    found = (
        Numbers(int(entry.low), int(entry.high), entry.log, None if entry.step is None else int(entry.step))
        if whole
        else Numbers(float(entry.low), float(entry.high), entry.log, None if entry.step is None else float(entry.step))
    )
    if found.low >= found.high:
        raise ConfigError(f"low {found.low:g} is not below high {found.high:g}", where=where)
    if found.log and found.low <= 0:
        raise ConfigError(f"log needs numbers above 0, low is {found.low:g}", where=where)
    if found.step is not None:
        if found.log:
            raise ConfigError("log and step exclude each other", where=where)
        distance, step = (Decimal(str(number)) for number in (found.high - found.low, found.step))
        if "a number" not in words and not whole:
            raise ConfigError(f"takes whole numbers; step is {found.step:g}", where=where)
        if found.step > found.high - found.low:
            raise ConfigError(f"step {found.step:g} is more than there is from low to high", where=where)
        rest = Decimal(f"{distance / step:.9f}") % 1
        if rest:
            last = float(found.low + found.step * int(distance / step))
            raise ConfigError(
                f"from {found.low:g} in steps of {found.step:g} there is no {found.high:g}",
                where=where,
                remedy=f"Write high: {last:g}",
            )
    return found
