"""The ``train`` section: how long to train and when to look."""

from typing import Literal

from pydantic import (
    Field,
    field_validator,
)

from rnncli.config.base import Section, refuse

MOST_WORKERS = 1024


class TrainConfig(Section):
    """How long to train and when to look."""

    epochs: int = Field(default=3, ge=1, le=10**6, description="passes over the training part")
    max_steps: int | None = Field(
        default=None, ge=1, le=10**12, description="steps after which to stop before the last epoch; null: no limit"
    )
    batch_size: int = Field(default=64, ge=1, le=65536, description="texts per step")
    workers: int | Literal["auto"] = Field(
        default=1, description="processes that share each batch; auto: one per physical core, fewer for small batches"
    )
    log_every: int = Field(default=50, ge=1, le=10**9, description="steps between two lines of metrics.jsonl")
    validate_every: int | None = Field(
        default=None, ge=1, le=10**9, description="steps between validations; null: each epoch"
    )
    checkpoint_every_steps: int | None = Field(
        default=None, ge=1, le=10**9, description="steps between saves besides those at validations; null: none"
    )
    checkpoint_every_minutes: float | None = Field(
        default=None, gt=0, le=10**6, description="minutes between saves besides those at validations; null: none"
    )
    best_metric: Literal["accuracy", "loss", "macro_f1"] = Field(
        default="accuracy", description="what the best checkpoint has"
    )
    patience: int | None = Field(
        default=None, ge=1, le=10**6, description="validations without improvement before stopping"
    )
    on_nonfinite: Literal["stop", "skip"] = Field(
        default="stop", description="what to do with a batch whose loss or gradient is not finite"
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        default=None, description="weight of each label in the loss: null, balanced, or label: weight"
    )

    @field_validator("workers", mode="before")
    @classmethod
    def _some_workers(cls, value: object) -> object:
        if value == "auto" or (type(value) is int and 1 <= value <= MOST_WORKERS):
            return value
        raise refuse(f"must be a whole number from 1 to {MOST_WORKERS}, or auto")

    @field_validator("class_weights", mode="before")
    @classmethod
    def _positive_weights(cls, value: object) -> object:
        if value is None or value == "balanced":
            return value
        if not isinstance(value, dict) or not value:
            raise refuse("must be null, balanced, or a section of labels with their weights")
        for label, weight in value.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 1e-6 <= weight <= 1e6:
                raise refuse(f"the weight of label {str(label)!r} must be a number from 0.000001 to 1000000")
        return {label: float(weight) for label, weight in value.items()}
