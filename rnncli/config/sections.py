"""What a pydantic schema allows: the sections behind a field, their keys, and each value in words.

Works on any frozen tree of models in which the variants of a section are told apart by a key with one allowed text.
"""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Model = type[BaseModel]


def variants(annotation: Any) -> list[Model]:
    """Return the sections that a field may hold, in the order the schema lists them.

    Parameters
    ----------
    annotation : type
        A field's annotation.

    Returns
    -------
    list of type
        Several when a key chooses between them, one for a plain section, none for a value.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return [model for part in get_args(annotation) for model in variants(part)]
    return []


def tag_key(models: list[Model]) -> str | None:
    """Return the key that chooses between sections, or None where there is nothing to choose."""
    if len(models) < 2:
        return None
    return next(key for key, info in models[0].model_fields.items() if len(choices(info)) == 1)


def tag_value(model: Model, key: str) -> str:
    """Return what the choosing key says in this section."""
    return str(choices(model.model_fields[key])[0])


def choices(info: FieldInfo) -> list[Any]:
    """Return the texts that a field may be, if it may only be some."""
    return [text for part in _parts(info) if get_origin(part) is Literal for text in get_args(part)]


def allowed(info: FieldInfo) -> str:
    """Return in words what a field may be.

    Parameters
    ----------
    info : FieldInfo
        A field of a section.

    Returns
    -------
    str
        Such as ``a whole number, at least 1, at most 64`` or ``last, mean, max``.
    """
    models = variants(info.annotation)
    parts = list(_parts(info))
    words: list[str] = []
    if models:
        key = tag_key(models)
        inside = f"{key}: {', '.join(tag_value(model, key) for model in models)}" if key else ", ".join(keys(models))
        words.append(f"a section with {inside}" if key else f"a section with the keys {inside}")
    words += [str(text) for text in choices(info)]
    for kind, name in ((bool, "true or false"), (str, "text"), (int, "a whole number"), (float, "a number")):
        if kind in parts:
            words.append(name)
    words += [_bounds(info)] if _bounds(info) else []
    for part in parts:
        if get_origin(part) is list:
            items = get_args(part)[0]
            listed = {int: "a list of whole numbers", str: "a list of texts"}
            words.append(listed.get(items, "or a list of them"))
    if any(get_origin(part) is dict for part in parts):
        words.append("or a section of labels with a number each")
    if NoneType in parts:
        words.append("or null")
    return ", ".join(words)


def keys(models: list[Model]) -> list[str]:
    """Return the keys of all these sections, each once."""
    return list(dict.fromkeys(key for model in models for key in model.model_fields))


def every_key(model: Model, prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of each key of the whole schema below a section."""
    for key, info in model.model_fields.items():
        yield prefix + key
        for inner in variants(info.annotation):
            yield from every_key(inner, f"{prefix}{key}.")


def _parts(info: FieldInfo) -> Iterator[Any]:
    """Yield the types in a field's annotation, from the outside in, unions and annotations taken apart."""
    todo = [info.annotation]
    while todo:
        part = todo.pop(0)
        yield part
        if get_origin(part) in (Annotated, Union, UnionType):
            todo += get_args(part)


def _bounds(info: FieldInfo) -> str:
    """Return the limits of a number in words."""
    found: dict[str, float] = {}
    metadata = [*info.metadata]
    for part in _parts(info):
        if get_origin(part) is Annotated:
            for item in get_args(part)[1:]:
                metadata += item.metadata if isinstance(item, FieldInfo) else [item]
    for item in metadata:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(item, name, None) is not None:
                found[name] = getattr(item, name)
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return ", ".join(f"{words[name]} {value}" for name, value in found.items())
