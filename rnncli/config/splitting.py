"""What the ``data`` sections of all tasks share: the validation part is given, or split off."""

from typing import Any

from pydantic import SerializerFunctionWrapHandler, ValidationInfo, field_validator, model_serializer

from rnncli.config.base import Section, refuse


class SplitSection(Section):
    """A section that has ``valid``, a source or None, and after it ``valid_fraction``, which is for None alone."""

    @field_validator("valid_fraction", check_fields=False)
    @classmethod
    def _only_without_valid(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("valid") is not None:
            raise refuse("has no effect beside data.valid; give one of the two")
        return value

    @model_serializer(mode="wrap")
    def _without_the_unused_fraction(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what may not be given beside ``valid``, so that what is written can be read again."""
        fields: dict[str, Any] = handler(self)
        if fields["valid"] is not None:
            fields.pop("valid_fraction", None)
        return fields
