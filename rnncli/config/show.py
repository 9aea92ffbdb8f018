"""A config as people read it: every key with its value, its meaning, and a mark where it is not the default."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from rnncli.config import RunConfig
from rnncli.config.sections import allowed, choices, tag_key, tag_value, variants
from rnncli.config.yaml_text import dump_inline

COMMENT_COLUMN = 40
LEGEND = "# * = not the default"


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
    allowed : str
        What it may be, in words.
    choices : tuple of str
        The texts it may be, where it may only be some.
    section : bool
        Whether it is a section, whose keys follow.
    """

    key: str
    value: Any
    default: Any
    required: bool
    meaning: str
    allowed: str
    choices: tuple[str, ...] = ()
    section: bool = False

    @property
    def changed(self) -> bool:
        """Whether the value is another than the default."""
        return not self.section and not self.required and self.value != self.default


class Line(NamedTuple):
    """A line of a config with comments.

    Parameters
    ----------
    written : str
        Key and value as YAML.
    comment : str
        What the key means, marked where the value is not the default.
    changed : bool
        Whether it is marked.
    """

    written: str
    comment: str
    changed: bool


def describe(config: RunConfig, default_name: str | None = None) -> Iterator[KeyInfo]:
    """Yield every key of a config in the order of the schema, a section before its keys.

    Parameters
    ----------
    config : RunConfig
        Any valid config.
    default_name : str, optional
        The run's name when the file gives none; that of the schema without a file.

    Yields
    ------
    KeyInfo
        Only keys that apply to the variants in use.
    """
    for entry in _walk(config, "", {}, ()):
        yield entry._replace(default=default_name) if default_name and entry.key == "name" else entry


def to_commented_yaml(config: RunConfig, default_name: str | None = None) -> str:
    """Return YAML that loads to the same config, with each key's meaning as a comment.

    Parameters
    ----------
    config : RunConfig
        Any valid config.
    default_name : str, optional
        The run's name when the file gives none.

    Returns
    -------
    str
        One key a line; values other than the default are marked with an asterisk and followed by the default.
    """
    lines = [f"{line.written:<{COMMENT_COLUMN - 1}} # {line.comment}" for line in commented_lines(config, default_name)]
    return "\n".join([*lines, LEGEND]) + "\n"


def commented_lines(config: RunConfig, default_name: str | None = None) -> Iterator[Line]:
    """Yield the lines of :func:`to_commented_yaml`, taken apart."""
    for entry in describe(config, default_name):
        *above, key = entry.key.split(".")
        written = "  " * len(above) + key + (":" if entry.section else f": {dump_inline(entry.value)}")
        mark = f"* (default {dump_inline(entry.default)}) " if entry.changed else "  "
        choices = f" ({', '.join(entry.choices)})" if len(entry.choices) > 1 and not entry.section else ""
        yield Line(written, f"{mark}{entry.meaning}{choices}", entry.changed)


def _walk(section: BaseModel, prefix: str, chosen: dict[str, Any], tags: tuple[str, ...]) -> Iterator[KeyInfo]:
    """Yield the keys of a section; ``chosen`` has its parent's default for the key that chooses it among ``tags``."""
    given = section.model_dump()
    for name, info in type(section).model_fields.items():
        if name not in given:
            continue  # left out because it does not apply beside another key
        value, path = getattr(section, name), prefix + name
        default = chosen.get(name, info.get_default(call_default_factory=True))
        models = variants(info.annotation)
        entry = KeyInfo(
            key=path,
            value=None if isinstance(value, BaseModel) else value,
            default=None if default is PydanticUndefined or isinstance(default, BaseModel) else default,
            required=default is PydanticUndefined,
            meaning=info.description or "",
            allowed=", ".join(tags) if name in chosen else allowed(info),
            choices=tags if name in chosen else tuple(map(str, choices(info))),
            section=isinstance(value, BaseModel),
        )
        yield entry
        if isinstance(value, BaseModel):
            key = tag_key(models)
            inner = {key: getattr(default, key, PydanticUndefined)} if key else {}
            yield from _walk(value, f"{path}.", inner, tuple(tag_value(model, key) for model in models if key))
