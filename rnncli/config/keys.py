"""Every key of a config with what it may be, for tables of them."""

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from rnncli.config.base import DefaultVariant
from rnncli.config.sections import Model, allowed, tag_key, tag_value, variants


class Key(NamedTuple):
    """One key of a section.

    Attributes
    ----------
    name : str
        Its path with the variants it sits in: ``optim[sgd].schedule[step].factor``.
    path : str
        As ``--set`` takes it: ``optim.schedule.factor``.
    variant : str
        Which of its section's variants it belongs to; empty where there is one only.
    allowed : str
        What it may be, in words.
    default : Any
        Its value when it is not given.
    required : bool
        Whether it must be given, so that ``default`` means nothing.
    meaning : str
        One line, with units.
    chooses : bool
        Whether it says which variant its section is.
    """

    name: str
    path: str
    variant: str
    allowed: str
    default: Any
    required: bool
    meaning: str
    chooses: bool


def keys_below(model: Model, name: str = "", variant: str = "", default: str | None = None) -> Iterator[Key]:
    """Yield every key that takes a value, in the order of the schema.

    Parameters
    ----------
    model : type
        A section of the schema, such as that of a whole config.
    name : str
        What to put before each key's name, with a dot at its end.
    variant : str
        Which of several sections this one is.
    default : str, optional
        Which of these it is when nothing says so.

    Yields
    ------
    Key
        Each key as often as there are variants that have it.
    """
    chooser = next(iter(model.model_fields)) if variant else ""
    for key, info in model.model_fields.items():
        models = variants(info.annotation)
        tag = tag_key(models)
        for inner in models:
            inside = f"{name}{key}[{tag_value(inner, tag)}]." if tag else f"{name}{key}."
            yield from keys_below(inner, inside, tag_value(inner, tag) if tag else "", default_variant(info))
        if models:
            continue
        value = info.get_default(call_default_factory=True)
        if key == chooser:
            value = PydanticUndefined if default is None else default
        full = name + key
        yield Key(
            name=full,
            path=".".join(part.partition("[")[0] for part in full.split(".")),
            variant=variant,
            allowed=allowed(info),
            default=None if value is PydanticUndefined else value,
            required=value is PydanticUndefined,
            meaning=info.description or "",
            chooses=key == chooser,
        )


def default_variant(info: FieldInfo) -> str | None:
    """Return which of its variants a section is when it does not say, or None where it must."""
    todo: list[Any] = [info.annotation, *info.metadata]
    while todo:
        part = todo.pop(0)
        if isinstance(part, BeforeValidator) and isinstance(part.func, DefaultVariant):
            return part.func.value
        if isinstance(part, FieldInfo):
            todo += part.metadata
        elif get_origin(part) is Annotated or get_args(part):
            todo += get_args(part)
    return None
