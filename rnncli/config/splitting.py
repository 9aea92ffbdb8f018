"""What the ``data`` sections of all tasks share: the validation part is given, or split off."""

from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer

from rnncli.config.base import Section, refuse

SplitSeed = Annotated[
    int | None,
    Field(ge=0, lt=2**63, description="start of the choice of what is held for validation; null: seed"),
]


class SplitSection(Section):
    """A section that has ``valid``, a source or None, and after it ``valid_fraction``, which is for None alone."""

    @field_validator("valid_fraction", check_fields=False)
    @classmethod
    def _only_without_valid(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("valid") is not None:
            raise refuse("has no effect beside data.valid; give one of the two")
        return value

    @field_validator("split_seed", check_fields=False)
    @classmethod
    def _nothing_to_choose(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("valid") is not None:
            raise refuse("has no effect beside data.valid, which leaves nothing to split")
        return value

    @model_serializer(mode="wrap")
    def _without_the_unused_fraction(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what may not be given beside ``valid``, so that what is written can be read again."""
        fields: dict[str, Any] = handler(self)
        if fields["valid"] is not None:
            fields.pop("valid_fraction", None)
        return fields
