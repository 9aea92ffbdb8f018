"""The whole schema of a config: every key, its default (written here once), its limits and its meaning.

A config is frozen once validated, and whatever does not apply to the chosen variant (the reset gate of a GRU given
to an LSTM) is refused, so that no key can be accepted and then do nothing. Reading YAML, ``--set`` and the wording
of the messages are in :mod:`rnncli.config.loading` and know nothing of these particular keys.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config import loading
from rnncli.config.base import Section, refuse
from rnncli.config.data import DataConfig
from rnncli.config.language import LanguageDataConfig
from rnncli.config.language_model import LanguageModelConfig
from rnncli.config.messages import nearest, shown
from rnncli.config.model import ModelConfig
from rnncli.config.optim import AdamConfig, OptimConfig
from rnncli.config.tagger_model import TaggerConfig
from rnncli.config.tagging import TaggingDataConfig
from rnncli.config.train import LanguageTrainConfig, LoopConfig, TaggingTrainConfig, TrainConfig
from rnncli.errors import ConfigError

__all__ = [
    "AdamConfig",
    "Config",
    "DataConfig",
    "LanguageConfig",
    "LanguageDataConfig",
    "LanguageModelConfig",
    "ModelConfig",
    "OptimConfig",
    "RunConfig",
    "TaggerConfig",
    "TaggingConfig",
    "TaggingDataConfig",
    "TrainConfig",
    "dump_config",
    "load_config",
    "parse_config",
    "read_config",
    "usable_name",
    "validate_config",
]

_UNUSABLE_IN_NAMES = frozenset('/\\<>:"|?*')


class RunConfig(Section):
    """What the config of every task has."""

    name: str = Field(default="run", description="folder of the run, under runs/")
    seed: int = Field(default=1, ge=0, lt=2**63, description="start of every random choice")
    task: str = Field(description="what the model learns to say of a text")
    init_from: str | None = Field(
        default=None,
        min_length=1,
        description="checkpoint or run's folder whose weights to start from; tokens are matched by name",
    )
    data: Section = Field(description="the texts")
    model: ModelConfig | TaggerConfig | LanguageModelConfig = Field(description="the network")
    optim: OptimConfig = Field(default=AdamConfig(), description="the optimizer")
    train: LoopConfig = Field(default=LoopConfig(), description="the training loop")

    @property
    def split_seed(self) -> int:
        """What the choice of the validation part starts from."""
        own: int | None = getattr(self.data, "split_seed", None)
        return self.seed if own is None else own

    @field_validator("model")
    @classmethod
    def _tables_of_words(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse word vectors for what is not words, and to freeze what was drawn at random."""
        embedding = value.embedding
        tokenizer = getattr(info.data.get("data"), "tokenizer", None)
        kind = "word" if tokenizer is None else tokenizer.kind  # a tagger's are words
        if embedding.vectors is not None and kind not in ("word", "whitespace"):
            raise refuse(f"embedding.vectors are of words, data.tokenizer.kind is {kind}; use word or whitespace")
        if embedding.frozen and embedding.vectors is None and info.data.get("init_from") is None:
            raise refuse("embedding.frozen would keep random numbers; give embedding.vectors, or init_from")
        return value

    @field_validator("name")
    @classmethod
    def _usable_as_folder(cls, value: str) -> str:
        if value != usable_name(value):
            raise refuse(
                f"{value[:60]!r} cannot be the name of a folder everywhere; "
                "use letters, digits, '-', '_' and dots that do not come first or last, at most 100"
            )
        return value


class Config(RunConfig):
    """A classifier: what to read, what to train, how and for how long."""

    task: Literal["classification"] = Field(
        default="classification", description="what the model learns to say of a text"
    )
    data: DataConfig = Field(description="the texts")
    model: ModelConfig = Field(default=ModelConfig(), description="the network")
    train: TrainConfig = Field(default=TrainConfig(), description="the training loop")


class TaggingConfig(RunConfig):
    """A tagger: what to read, what to train, how and for how long."""

    task: Literal["tagging"] = Field(description="what the model learns to say of a text")
    data: TaggingDataConfig = Field(description="the sentences")
    model: TaggerConfig = Field(default=TaggerConfig(), description="the network")
    train: TaggingTrainConfig = Field(default=TaggingTrainConfig(), description="the training loop")

    @field_validator("model")
    @classmethod
    def _sizes_that_are_used(cls, value: TaggerConfig, info: ValidationInfo) -> TaggerConfig:
        data, spelling = info.data.get("data"), value.spelling
        if data is None or spelling is None:
            return value
        if data.spelling is None:
            raise refuse("spelling has no effect without data.spelling")
        if data.spelling.kind == "ngrams" and spelling.hidden is not None:
            raise refuse("spelling.hidden has no effect with data.spelling.kind ngrams, whose mean is taken")
        return value


class LanguageConfig(RunConfig):
    """A language model: what to read, what to train, how and for how long."""

    task: Literal["language_model"] = Field(description="what the model learns to say of a text")
    data: LanguageDataConfig = Field(description="the text")
    model: LanguageModelConfig = Field(default=LanguageModelConfig(), description="the network")
    train: LanguageTrainConfig = Field(default=LanguageTrainConfig(), description="the training loop")


AnyConfig = Config | TaggingConfig | LanguageConfig
TASKS: dict[str, type[AnyConfig]] = {
    "classification": Config,
    "tagging": TaggingConfig,
    "language_model": LanguageConfig,
}


def usable_name(text: str) -> str:
    """Return ``text`` changed as little as needed to be the name of a folder on any system.

    Parameters
    ----------
    text : str
        Any text, such as the stem of a file's name.

    Returns
    -------
    str
        A name of 1 to 100 characters; ``text`` itself when it can be used.
    """
    kept = "".join(
        "-" if character in _UNUSABLE_IN_NAMES or not character.isprintable() else character for character in text
    )
    return kept.lstrip(". -~")[:100].rstrip(". ") or "run"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> AnyConfig:
    """Read, complete and validate a config file.

    Parameters
    ----------
    path : str or Path
        A YAML file. Its stem is the run's name unless the file gives one.
    overrides : sequence of str, optional
        Settings ``key.sub_key=value`` that replace or add to what the file says, the value written as in YAML.

    Returns
    -------
    Config, TaggingConfig or LanguageConfig
        The frozen config of its task with every default filled in.

    Raises
    ------
    ConfigError
        If the file cannot be read or anything in it cannot be used: one line for each fault.
    """
    return validate_config(read_config(path, overrides))


def read_config(path: str | Path, overrides: Sequence[str] = ()) -> loading.Loaded:
    """Read a config file for :func:`validate_config`; what is between the two may be laid over it.

    Parameters
    ----------
    path, overrides
        As for :func:`load_config`.

    Returns
    -------
    Loaded
        Its values, which have a name.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not YAML or not a mapping, or a setting cannot be laid over it.
    """
    loaded = loading.read(Path(path), overrides)
    loaded.data.setdefault("name", usable_name(Path(path).stem))
    return loaded


def parse_config(values: Mapping[str, Any], where: str) -> AnyConfig:
    """Validate a config that is already in memory, such as the one in a checkpoint.

    Parameters
    ----------
    values : mapping
        Keys and values as YAML or JSON give them.
    where : str
        What to call the origin in messages.

    Returns
    -------
    Config, TaggingConfig or LanguageConfig
        The frozen config of its task with every default filled in.

    Raises
    ------
    ConfigError
        If anything in it cannot be used: one line for each fault.
    """
    return validate_config(loading.from_values(values, where))


def dump_config(config: RunConfig) -> str:
    """Return the YAML text of a config, which loads to an equal config.

    Parameters
    ----------
    config : RunConfig
        Any valid config.

    Returns
    -------
    str
        Every key, defaults included, one a line.
    """
    return loading.to_yaml(config.model_dump())


def validate_config(loaded: loading.Loaded) -> AnyConfig:
    """Complete and validate what :func:`read_config` gave.

    Parameters
    ----------
    loaded : Loaded
        Keys and values.

    Returns
    -------
    Config, TaggingConfig or LanguageConfig
        The frozen config of its task with every default filled in.

    Raises
    ------
    ConfigError
        If anything in it cannot be used: one line for each fault.
    """
    task = loaded.data.get("task", "classification")
    if not isinstance(task, str) or task not in TASKS:
        raise ConfigError(
            f"{shown(task)} is not allowed ({', '.join(TASKS)}){nearest(task, list(TASKS))}",
            where=f"{loaded.where(('task',))}: task" if ("task",) not in loaded.overrides else loaded.where(("task",)),
        )
    return loading.validate(TASKS[task], loaded)
