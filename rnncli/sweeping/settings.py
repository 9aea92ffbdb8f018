"""The file of a sweep: its keys, their defaults and limits."""

from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config.base import Section, refuse
from rnncli.config.messages import shown

LARGEST = 1e15  # up to which float has all whole numbers


class RangeSection(Section):
    """Numbers from one to another."""

    low: Any = Field(description="least value")
    high: Any = Field(description="greatest value")
    log: bool = Field(default=False, description="whether as many are drawn from 1 to 10 as from 10 to 100")
    step: Any = Field(default=None, description="distance of values; null: any")

    @field_validator("low", "high", "step")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name == "step":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
            raise refuse(f"{shown(value)} is not a number")
        if info.field_name == "step" and value <= 0:
            raise refuse(f"{shown(value)} is not above 0")
        return value


class ChoiceSection(Section):
    """Some values of any kind."""

    choice: list[Any] = Field(min_length=1, description="values to choose from")


class SweepSection(Section):
    """The file of a sweep."""

    trials: int = Field(default=20, ge=1, le=10**6, description="configs to try, in all")
    metric: str | None = Field(default=None, description="what is best; null: train.best_metric")
    sampler: Literal["tpe", "random"] = Field(default="tpe", description="how settings are drawn")
    pruner: Literal["median", "none"] = Field(
        default="median", description="median: stop a trial that is worse than half of those before at the same point"
    )
    seed: int = Field(default=1, ge=0, lt=2**63, description="start of what is drawn")
    timeout_minutes: float | None = Field(
        default=None, gt=0, le=10**6, description="minutes after which a process begins no more trials; null: no limit"
    )
    space: dict[str, Any] = Field(min_length=1, description="keys of the config with what to try")
