"""The ``train`` section: how long to train and when to look."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from rnncli.config.base import Section, refuse

MOST_WORKERS = 1024


Averaging = Annotated[
    float | None,
    Field(
        ge=0.5,
        lt=1,
        description="validate and keep a running mean of the weights, so much of the old a step; null: none",
    ),
]


class LoopConfig(Section):
    """How long to train and when to look, whatever the task."""

    epochs: int = Field(default=3, ge=1, le=10**6, description="passes over the training part")
    max_steps: int | None = Field(
        default=None, ge=1, le=10**12, description="steps after which to stop before the last epoch; null: no limit"
    )
    batch_size: int = Field(default=64, ge=1, le=65536, description="texts per step")
    label_smoothing: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="part of a true label that is spread over all labels in the training loss",
    )
    average: Averaging = None
    average_last: int | None = Field(
        default=None,
        ge=1,
        le=10**6,
        description="validate and keep the mean of the weights over so many epochs at the end; null: none",
    )
    unfreeze_epochs: float | None = Field(
        default=None,
        gt=0,
        le=10**6,
        description="epochs until one layer more is trained, from the output down; null: all from the start",
    )
    workers: int | Literal["auto"] = Field(
        default=1, description="processes that share each batch; auto: one per physical core, fewer for small batches"
    )
    log_every: int = Field(default=50, ge=1, le=10**9, description="steps between two lines of metrics.jsonl")
    tensorboard: bool = Field(default=False, description="write event files for TensorBoard beside metrics.jsonl")
    validate_every: int | None = Field(
        default=None, ge=1, le=10**9, description="steps between validations; null: each epoch"
    )
    checkpoint_every_steps: int | None = Field(
        default=None, ge=1, le=10**9, description="steps between saves besides those at validations; null: none"
    )
    checkpoint_every_minutes: float | None = Field(
        default=None, gt=0, le=10**6, description="minutes between saves besides those at validations; null: none"
    )
    patience: int | None = Field(
        default=None, ge=1, le=10**6, description="validations without improvement before stopping"
    )
    on_nonfinite: Literal["stop", "skip"] = Field(
        default="stop", description="what to do with a batch whose loss or gradient is not finite"
    )

    @field_validator("average_last")
    @classmethod
    def _one_mean_of_some_epochs(cls, value: int | None, info: ValidationInfo) -> int | None:
        epochs = info.data.get("epochs")
        if value is not None and info.data.get("average") is not None:
            raise refuse("excludes train.average: the weights have one mean; set one of the two to null")
        if value is not None and epochs is not None and value > epochs:
            raise refuse(f"{value} is more than train.epochs, {epochs}")
        return value

    @field_validator("unfreeze_epochs")
    @classmethod
    def _within_the_run(cls, value: float | None, info: ValidationInfo) -> float | None:
        epochs = info.data.get("epochs")
        if value is not None and epochs is not None and value > epochs:
            raise refuse(f"{value:g} is more than train.epochs, {epochs}, which is enough to train the output alone")
        return value

    @field_validator("workers", mode="before")
    @classmethod
    def _some_workers(cls, value: object) -> object:
        if value == "auto" or (type(value) is int and 1 <= value <= MOST_WORKERS):
            return value
        raise refuse(f"must be a whole number from 1 to {MOST_WORKERS}, or auto")


class TrainConfig(LoopConfig):
    """How long to train a classifier and when to look."""

    best_metric: Literal["accuracy", "loss", "macro_f1"] = Field(
        default="accuracy", description="what the best checkpoint has"
    )
    class_weights: Literal["balanced"] | dict[str, float] | None = Field(
        default=None, description="weight of each label in the loss: null, balanced, or label: weight"
    )

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


class TaggingTrainConfig(LoopConfig):
    """How long to train a tagger and when to look."""

    batch_size: int = Field(default=32, ge=1, le=65536, description="sentences per step")
    best_metric: Literal["accuracy", "loss", "macro_f1", "entity_f1"] = Field(
        default="accuracy", description="what the best checkpoint has"
    )


class LanguageTrainConfig(LoopConfig):
    """How long to train a language model and when to look; the best checkpoint has the lowest loss."""

    batch_size: int = Field(default=64, ge=1, le=65536, description="parts of the text that are read side by side")
    window: int = Field(
        default=128, ge=1, le=65536, description="tokens of each part per step, through which gradients flow back"
    )
    forget: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="chance of each part to begin a step with a fresh state, as texts to be scored or continued do",
    )
    sampled_softmax: int | None = Field(
        default=None,
        ge=1,
        le=10**7,
        description="tokens drawn each step that are scored besides those that come in it, in training; null: all are",
    )
    samples: int = Field(default=0, ge=0, le=100, description="texts to write to the log at each validation")
    sample_length: int | None = Field(
        default=None, ge=1, le=10**6, description="tokens of each of them; null: 300; needs samples"
    )

    @field_validator("sampled_softmax")
    @classmethod
    def _without_smoothing(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("label_smoothing"):
            raise refuse(
                "excludes train.label_smoothing, which needs the scores of all tokens; set one of them to its default"
            )
        return value

    @field_validator("sample_length")
    @classmethod
    def _of_some_samples(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and not info.data.get("samples"):
            raise refuse("has no effect without train.samples")
        return value
