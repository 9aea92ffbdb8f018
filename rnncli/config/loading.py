"""Read a config file, lay ``--set`` over it, validate the whole and say everything that is wrong at once.

Knows nothing of the keys themselves: the schema is an argument.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rnncli.config.messages import Fault, dotted, faults, shown
from rnncli.config.yaml_text import MAX_DEPTH, MAX_NODES, Path, YamlFault, parse
from rnncli.config.yaml_text import dump as to_yaml
from rnncli.errors import ConfigError

__all__ = ["Loaded", "from_values", "lay_over", "read", "to_yaml", "validate"]

MAX_BYTES = 1024 * 1024
MAX_FAULTS = 20

Schema = TypeVar("Schema", bound=BaseModel)


@dataclass
class Loaded:
    """Values that are not validated yet, and where each came from."""

    origin: str
    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)
    overrides: dict[Path, str] = field(default_factory=dict)  # of what was laid over: where that came from

    def where(self, path: Path) -> str:
        """Return what was laid over it, such as a ``--set``, or the file and line that a path's value came from."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
            if end and path[:end] in self.lines:
                return f"{self.origin}:{self.lines[path[:end]]}"
        return self.origin


def read(path: FilePath, overrides: Sequence[str] = ()) -> Loaded:
    """Read a YAML file and lay overrides over it.

    Parameters
    ----------
    path : Path
        A YAML file of at most ``MAX_BYTES`` bytes.
    overrides : sequence of str, optional
        Settings ``key.sub_key=value``; later ones win.

    Returns
    -------
    Loaded
        The values, not validated yet.

    Raises
    ------
    ConfigError
        If the file cannot be read, is not YAML or not a mapping, or a setting cannot be laid over it.
    """
    origin = _one_line(str(path))
    try:
        document = parse(_read_text(path, origin))
    except YamlFault as fault:
        raise ConfigError(fault.message, where=f"{origin}:{fault.line}" if fault.line else origin) from None
    if document.value is None:
        raise ConfigError("is empty", where=origin, remedy="It needs at least data: {train: {format: ..., path: ...}}")
    if not isinstance(document.value, dict):
        raise ConfigError(f"must be keys with values (name: value), not {shown(document.value)}", where=origin)
    loaded = Loaded(origin, document.value, document.lines)
    for setting in overrides:
        _lay_over(loaded, setting)
    return loaded


def from_values(values: Mapping[str, Any], where: str, overrides: Sequence[str] = ()) -> Loaded:
    """Take values that are already in memory, refusing all that YAML could not have given.

    Parameters
    ----------
    values : mapping
        Text keys; text, numbers, true, false, null, lists and mappings as values.
    where : str
        What to call the origin in messages.
    overrides : sequence of str, optional
        As for :func:`read`.

    Returns
    -------
    Loaded
        A deep copy of the values, not validated yet.

    Raises
    ------
    ConfigError
        If it is not a mapping or holds anything else.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"a config must be a mapping, not {type(values).__name__}", where=where)
    count = 0

    def copy(value: Any, path: Path) -> Any:
        nonlocal count
        count += 1
        if len(path) > MAX_DEPTH or count > MAX_NODES:
            raise ConfigError("a config this deep or this large is not allowed", where=where)
        if isinstance(value, Mapping) and all(isinstance(key, str) and _is_utf8(key) for key in value):
            return {key: copy(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [copy(item, (*path, index)) for index, item in enumerate(value)]
        if value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and _is_utf8(value)):
            return value
        if isinstance(value, str):
            raise ConfigError(f"{value[:60]!a} cannot be written as UTF-8", where=_at(where, path))
        raise ConfigError(f"{type(value).__name__} is not a kind of value a config has", where=_at(where, path))

    loaded = Loaded(where, copy(values, ()))
    for setting in overrides:
        _lay_over(loaded, setting)
    return loaded


def validate(schema: type[Schema], loaded: Loaded) -> Schema:
    """Return the validated section, or say all that is wrong.

    Parameters
    ----------
    schema : type
        The pydantic model of the whole.
    loaded : Loaded
        What :func:`read` or :func:`from_values` gave.

    Returns
    -------
    Schema
        An instance of ``schema``.

    Raises
    ------
    ConfigError
        With one line for each fault, in the order of the file.
    """
    try:
        return schema.model_validate(loaded.data)
    except ValidationError as error:
        found = list(faults(error, schema, loaded.data))
    found.sort(key=lambda fault: _order(loaded, fault.path))
    lines = [_line(loaded, fault) for fault in found[:MAX_FAULTS]]
    if len(found) > MAX_FAULTS:
        lines.append(f"{loaded.origin}: and {len(found) - MAX_FAULTS} more")
    raise ConfigError("\n".join(lines))


def _line(loaded: Loaded, fault: Fault) -> str:
    """Return the whole line of a fault; a setting that names the key already is not followed by it again."""
    where = loaded.where(fault.path)
    if fault.path in loaded.overrides:
        return f"{where}: {fault.message}"
    return f"{_at(where, fault.path)}: {fault.message}"


def _at(where: str, path: Path) -> str:
    """Return an origin with the key after it."""
    return f"{where}: {dotted(path)}" if path else where


def _order(loaded: Loaded, path: Path) -> int:
    """Return the line of a path or of the nearest section around it; settings come last."""
    for end in range(len(path), 0, -1):
        if path[:end] in loaded.overrides:
            return MAX_BYTES + list(loaded.overrides).index(path[:end])
        if path[:end] in loaded.lines:
            return loaded.lines[path[:end]]
    return 0


def _read_text(path: FilePath, origin: str) -> str:
    """Return the text of a file that is UTF-8 and not too long."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("there is no such file", where=origin, remedy="Check the path") from None
    except IsADirectoryError:
        raise ConfigError("is a folder", where=origin, remedy="Name a YAML file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot be read ({reason})", where=origin) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES} bytes", where=origin, remedy="Is it a config?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        remedy = "Is it a config, saved as UTF-8?"
        raise ConfigError(f"byte {error.start} is not UTF-8", where=f"{origin}:{line}", remedy=remedy) from None


def _lay_over(loaded: Loaded, setting: str) -> None:
    """Put the value of ``key.sub_key=value`` into the data, making the sections on the way."""
    where = f"--set {_one_line(setting)}"
    key, equals, text = setting.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError("must be of the form key.sub_key=value", where=where, remedy="Such as optim.lr=1e-3")
    if not text.strip():
        raise ConfigError("has no value", where=where, remedy="Write null for none and '' for empty text")
    if not _is_utf8(setting):
        raise ConfigError("is not UTF-8", where=where)
    try:
        value = parse(text).value
    except YamlFault as fault:
        raise ConfigError(fault.message, where=where, remedy="Quote the value as in YAML") from None
    lay_over(loaded, tuple(parts), value, where)


def lay_over(loaded: Loaded, path: tuple[str, ...], value: Any, where: str) -> None:
    """Put a value into what was loaded, making the sections on the way.

    Parameters
    ----------
    loaded : Loaded
        Is changed.
    path : tuple of str
        The keys that lead to it.
    value : Any
        As YAML gives it.
    where : str
        Where it comes from, which names the key: put before any fault that is found with it.

    Raises
    ------
    ConfigError
        If something on the way is not a section.
    """
    section = loaded.data
    for end, part in enumerate(path[:-1], start=1):
        if part not in section:
            section[part] = {}
            loaded.overrides[path[:end]] = where
        section = section[part]
        if not isinstance(section, dict):
            message = f"{dotted(path[:end])} is {shown(section)} and has no keys"
            raise ConfigError(message, where=where, remedy=f"Set {dotted(path[:end])} itself")
    section[path[-1]] = value
    for known in (loaded.lines, loaded.overrides):
        for below in [other for other in known if other[: len(path)] == path]:
            del known[below]
    loaded.overrides[path] = where


def _is_utf8(text: str) -> bool:
    """Tell whether text has no lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _one_line(text: str) -> str:
    """Return text as it is if a terminal shows it on one line, else with the rest escaped and cut short."""
    return text if text.isprintable() and len(text) <= 300 else ascii(text[:300])[1:-1]
