"""Turn what pydantic finds wrong with a config into one plain line for each fault."""

from collections.abc import Iterator
from difflib import get_close_matches
from math import isfinite
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from rnncli.config.sections import Model, allowed, choices, every_key, keys, tag_key, tag_value, variants
from rnncli.config.yaml_text import Path, YamlFault, parse


class Fault(NamedTuple):
    """One thing wrong: the keys that lead to it, and what it is with what to do."""

    path: Path
    message: str


class _Place(NamedTuple):
    """Where in the schema an error is: its keys, its field, and the section (with its rivals) around it."""

    path: Path
    info: FieldInfo | None
    model: Model
    rivals: list[Model]


def faults(error: ValidationError, schema: Model, data: Any) -> Iterator[Fault]:
    """Yield each fault that pydantic found, in words.

    Parameters
    ----------
    error : ValidationError
        What validating ``data`` raised.
    schema : type
        The section that ``data`` was validated against.
    data : dict
        The values as given.

    Yields
    ------
    Fault
        With a message of one line.
    """
    for item in error.errors(include_url=False):
        place = _place(schema, item["loc"])
        kind = item["type"]
        if kind == "rnncli":
            yield Fault(place.path, item["msg"])
        elif kind == "extra_forbidden":
            yield Fault(place.path, _unknown_key(schema, place))
        elif kind in ("union_tag_invalid", "union_tag_not_found"):
            models = variants(place.info.annotation) if place.info else []
            key = tag_key(models)
            assert key is not None
            tags = [tag_value(model, key) for model in models]
            yield _tag_fault((*place.path, key), tags, data)
        elif kind == "missing":
            meaning = f": {place.info.description}" if place.info else ""
            yield Fault(place.path, f"is missing{meaning} ({allowed(place.info) if place.info else 'text'})")
        else:
            yield Fault(place.path, _wrong_value(place, item["input"]))


def dotted(path: Path) -> str:
    """Return a path as it is typed, ``data.train.skip_labels[0]``, on one line whatever the keys hold."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part.isprintable() and 0 < len(part) <= 60
            text += ("." if text else "") + (part if plain else shown(part))
    return text


def shown(value: Any) -> str:
    """Return a value as it would stand in YAML, on one line and not too long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, int) and abs(value) > 10**300:
        return "a number of more than 300 digits"
    if isinstance(value, int | float):
        text = str(value) if isinstance(value, int) and abs(value) < 10**18 else f"{value:.6g}"
        return f"{text}.0" if isinstance(value, float) and text.lstrip("-").isdigit() else text  # 3.0 is not 3
    text = repr(value)
    return text if len(text) <= 63 else text[:60] + "..." + text[0]


def nearest(given: object, names: list[str]) -> str:
    """Return the question whether a similar name was meant, or nothing."""
    close = get_close_matches(str(given)[:100], names, 1, 0.6)
    return f". Did you mean {close[0]!r}?" if close else ""


def _place(schema: Model, location: tuple[str | int, ...]) -> _Place:
    """Follow pydantic's location through the schema; the names of variants in it are not keys."""
    path: Path = ()
    info: FieldInfo | None = None
    section, rivals, models = schema, [schema], [schema]
    for part in location:
        key = tag_key(models)
        if key is not None:
            section = next(model for model in models if tag_value(model, key) == part)
            rivals, models = models, [section]
            continue
        path = (*path, part)
        if not models:
            continue  # an item of a list or of a mapping of values: the field stays the same
        section = models[0]
        rivals = rivals if section in rivals else models
        info = section.model_fields.get(str(part))
        models = variants(info.annotation) if info is not None else []
    return _Place(path, info, section, rivals)


def _tag_fault(path: Path, tags: list[str], data: Any) -> Fault:
    """Say that the key which chooses between sections is missing or wrong."""
    section: Any = data
    for part in path[:-1]:
        section = section[part]
    words = ", ".join(tags)
    if path[-1] not in section:
        return Fault(path, f"is missing ({words})")
    given = section[path[-1]]
    return Fault(path, f"{shown(given)} is not allowed ({words}){nearest(given, tags)}")


def _unknown_key(schema: Model, place: _Place) -> str:
    """Say that a key is not one, and where it or what was meant belongs."""
    key = str(place.path[-1])
    here = keys([place.model])
    tag = tag_key(place.rivals)
    owners = [model for model in place.rivals if key in model.model_fields]
    if tag and owners:
        names = ", ".join(tag_value(model, tag) for model in owners)
        kind = place.path[-2] if tag == "name" else tag
        return f"belongs to {kind} {names}; this is {tag_value(place.model, tag)}"
    message = f"is not a key here ({', '.join(here)})"
    if hint := nearest(key, here):
        return message + hint
    elsewhere = [path for path in dict.fromkeys(every_key(schema)) if path.rpartition(".")[2] == key]
    if elsewhere:
        return f"{message}. Did you mean {' or '.join(elsewhere[:3])}?"
    return message


def _wrong_value(place: _Place, value: Any) -> str:
    """Say that a value cannot stand here, what can, and how it may have been meant."""
    info = place.info
    words = "text" if info is None or isinstance(place.path[-1], int) else allowed(info)
    message = f"{shown(value)} is not allowed ({words})"
    if isinstance(value, str) and info is not None:
        if value.lower() in ("yes", "on", "no", "off") and "true or false" in words:
            return f"{message}. Did you mean {'true' if value.lower() in ('yes', 'on') else 'false'}?"
        if "number" in words and _is_quoted_number(value, whole="a whole number" in words):
            return f"{message}. Write it without quotes"
        return message + nearest(value, [str(text) for text in choices(info)])
    if isinstance(value, bool | int | float) and words.startswith("text"):
        return f"{message}. Put it in quotes"
    return message


def _is_quoted_number(text: str, whole: bool) -> bool:
    """Tell whether text would be a finite number, a whole one if so asked, were it written without quotes."""
    try:
        value = parse(text).value if len(text) <= 60 else None
    except YamlFault:
        return False
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or (not whole and isfinite(value))
