"""The whole schema of a config: every key, its default (written here once), its limits and its meaning.

A config is frozen once validated, and whatever does not apply to the chosen variant (the reset gate of a GRU given
to an LSTM) is refused, so that no key can be accepted and then do nothing. Reading YAML, ``--set`` and the wording
of the messages are in :mod:`rnncli.config.loading` and know nothing of these particular keys.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from rnncli.config import loading
from rnncli.config.base import Section, refuse
from rnncli.config.data import DataConfig
from rnncli.config.model import ModelConfig
from rnncli.config.optim import AdamConfig, OptimConfig
from rnncli.config.train import TrainConfig

__all__ = [
    "AdamConfig",
    "Config",
    "DataConfig",
    "ModelConfig",
    "OptimConfig",
    "TrainConfig",
    "dump_config",
    "load_config",
    "parse_config",
    "usable_name",
]

_UNUSABLE_IN_NAMES = frozenset('/\\<>:"|?*')


class Config(Section):
    """A whole run: what to read, what to train, how and for how long."""

    name: str = Field(default="run", description="folder of the run, under runs/")
    seed: int = Field(default=1, ge=0, lt=2**63, description="start of every random choice")
    task: Literal["classification"] = Field(
        default="classification", description="what the model learns to say of a text"
    )
    init_from: str | None = Field(
        default=None, min_length=1, description="checkpoint whose weights to start from; tokens are matched by name"
    )
    data: DataConfig = Field(description="the texts")
    model: ModelConfig = Field(default=ModelConfig(), description="the network")
    optim: OptimConfig = Field(default=AdamConfig(), description="the optimizer")
    train: TrainConfig = Field(default=TrainConfig(), description="the training loop")

    @field_validator("name")
    @classmethod
    def _usable_as_folder(cls, value: str) -> str:
        if value != usable_name(value):
            raise refuse(
                f"{value[:60]!r} cannot be the name of a folder everywhere; "
                "use letters, digits, '-', '_' and dots that do not come first or last, at most 100"
            )
        return value


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


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read, complete and validate a config file.

    Parameters
    ----------
    path : str or Path
        A YAML file. Its stem is the run's name unless the file gives one.
    overrides : sequence of str, optional
        Settings ``key.sub_key=value`` that replace or add to what the file says, the value written as in YAML.

    Returns
    -------
    Config
        The frozen config with every default filled in.

    Raises
    ------
    ConfigError
        If the file cannot be read or anything in it cannot be used: one line for each fault.
    """
    loaded = loading.read(Path(path), overrides)
    loaded.data.setdefault("name", usable_name(Path(path).stem))
    return loading.validate(Config, loaded)


def parse_config(values: Mapping[str, Any], where: str) -> Config:
    """Validate a config that is already in memory, such as the one in a checkpoint.

    Parameters
    ----------
    values : mapping
        Keys and values as YAML or JSON give them.
    where : str
        What to call the origin in messages.

    Returns
    -------
    Config
        The frozen config with every default filled in.

    Raises
    ------
    ConfigError
        If anything in it cannot be used: one line for each fault.
    """
    return loading.validate(Config, loading.from_values(values, where))


def dump_config(config: Config) -> str:
    """Return the YAML text of a config, which loads to an equal config.

    Parameters
    ----------
    config : Config
        Any valid config.

    Returns
    -------
    str
        Every key, defaults included, one a line.
    """
    return loading.to_yaml(config.model_dump())
