"""What all sections of the schema share: strictness, and how a fault is worded."""

from dataclasses import dataclass

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
)
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """One mapping of a config: frozen, strict about types, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True)
class DefaultVariant:
    """Puts the key that names a section's variant where it was left out; a class, so that it can be asked which."""

    tag: str
    value: str

    def __call__(self, given: object) -> object:
        """Return the section with its variant."""
        return {self.tag: self.value, **given} if isinstance(given, dict) else given


def with_default(tag: str, value: str) -> BeforeValidator:
    """Let a section leave out the key that names its variant."""
    return BeforeValidator(DefaultVariant(tag, value))


def refuse(message: str) -> PydanticCustomError:
    """Return the error for a value that is right by itself but not beside the others."""
    return PydanticCustomError("rnncli", "{message}", {"message": message})
