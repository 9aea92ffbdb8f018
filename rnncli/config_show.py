"""A config as people read it: every key with its value, its meaning, and a mark where it is not the default."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rnncli.config import Config
from rnncli.config_sections import tag_key, variants
from rnncli.config_yaml import dump_inline

COMMENT_COLUMN = 40


class KeyInfo(NamedTuple):
    """One key of a resolved config.

    Parameters
    ----------
    key : str
        Dotted path, as ``--set`` takes it.
    value : Any
        Value in use; None for a section, which has keys instead.
    default : Any
        Value it has when not given.
    required : bool
        Whether it must be given, so that ``default`` means nothing.
    meaning : str
        One line, with units.
    section : bool
        Whether it is a section, whose keys follow.
    """

    key: str
    value: Any
    default: Any
    required: bool
    meaning: str
    section: bool = False

    @property
    def changed(self) -> bool:
        """Whether the value is another than the default."""
        return not self.section and not self.required and self.value != self.default


def describe(config: Config, default_name: str | None = None) -> Iterator[KeyInfo]:
    """Yield every key of a config in the order of the schema, a section before its keys.

    Parameters
    ----------
    config : Config
        Any valid config.
    default_name : str, optional
        The run's name when the file gives none; that of the schema without a file.

    Yields
    ------
    KeyInfo
        Only keys that apply to the variants in use.
    """
    for entry in _walk(config, "", {}):
        yield entry._replace(default=default_name) if default_name and entry.key == "name" else entry


def to_commented_yaml(config: Config, default_name: str | None = None) -> str:
    """Return YAML that loads to the same config, with each key's meaning as a comment.

    Parameters
    ----------
    config : Config
        Any valid config.
    default_name : str, optional
        The run's name when the file gives none.

    Returns
    -------
    str
        One key a line; values other than the default are marked with an asterisk and followed by the default.
    """
    lines = []
    for entry in describe(config, default_name):
        *above, key = entry.key.split(".")
        written = "  " * len(above) + key + (":" if entry.section else f": {dump_inline(entry.value)}")
        mark = f"* (default {dump_inline(entry.default)}) " if entry.changed else "  "
        lines.append(f"{written:<{COMMENT_COLUMN - 1}} # {mark}{entry.meaning}")
    lines.append("# * = not the default")
    return "\n".join(lines) + "\n"


def _walk(section: BaseModel, prefix: str, defaults: dict[str, Any]) -> Iterator[KeyInfo]:
    """Yield the keys of a section; ``defaults`` has what its parent says of the key that chooses the variant."""
    given = section.model_dump()
    for name, info in type(section).model_fields.items():
        if name not in given:
            continue  # left out because it does not apply beside another key
        value, path = getattr(section, name), prefix + name
        default = defaults.get(name, info.get_default(call_default_factory=True))
        required = default is PydanticUndefined
        meaning = info.description or ""
        if not isinstance(value, BaseModel):
            yield KeyInfo(path, value, None if required else default, required, meaning)
            continue
        yield KeyInfo(path, None, None, required, meaning, section=True)
        inner: dict[str, Any] = {}
        chooser = tag_key(variants(info.annotation))
        if chooser is not None:
            inner[chooser] = getattr(default, chooser, PydanticUndefined)
        yield from _walk(value, f"{path}.", inner)
