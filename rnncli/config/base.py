"""What all sections of the schema share: strictness, and how a fault is worded."""

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
)
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """One mapping of a config: frozen, strict about types, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def with_default(tag: str, value: str) -> BeforeValidator:
    """Let a section leave out the key that names its variant."""
    return BeforeValidator(lambda given: {tag: value, **given} if isinstance(given, dict) else given)


def refuse(message: str) -> PydanticCustomError:
    """Return the error for a value that is right by itself but not beside the others."""
    return PydanticCustomError("rnncli", "{message}", {"message": message})
