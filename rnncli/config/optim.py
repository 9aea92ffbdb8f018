"""The ``optim`` section: optimizer and learning-rate schedule."""

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from rnncli.config.base import Section, with_default

Warmup = Annotated[
    int, Field(ge=0, le=10**9, description="steps over which the learning rate rises to lr, in a straight line")
]
Final = Annotated[float, Field(ge=0, le=1, description="learning rate at the last step, as a fraction of lr")]
Factor = Annotated[float, Field(gt=0, lt=1, description="what the learning rate is multiplied by at each drop")]
LearningRate = Annotated[float, Field(gt=0, le=100, description="learning rate before any schedule")]
ClipNorm = Annotated[float, Field(gt=0, le=10**6)] | None


class _Schedule(Section):
    """What every schedule has."""

    name: str = Field(description="how the learning rate changes")
    warmup_steps: Warmup = 0


class ConstantSchedule(_Schedule):
    """The learning rate stays as it is."""

    name: Literal["constant"] = Field(default="constant", description="how the learning rate changes")


class LinearSchedule(_Schedule):
    """The learning rate falls along a line to the end of training."""

    name: Literal["linear"] = Field(default="linear", description="how the learning rate changes")
    final: Final = 0.0


class CosineSchedule(_Schedule):
    """The learning rate falls along half a cosine to the end of training."""

    name: Literal["cosine"] = Field(default="cosine", description="how the learning rate changes")
    final: Final = 0.0


class StepSchedule(_Schedule):
    """The learning rate drops at regular epochs."""

    name: Literal["step"] = Field(default="step", description="how the learning rate changes")
    every_epochs: int = Field(default=1, ge=1, le=10**6, description="epochs between two drops")
    factor: Factor = 0.5


class PlateauSchedule(_Schedule):
    """The learning rate drops when validation no longer improves."""

    name: Literal["plateau"] = Field(default="plateau", description="how the learning rate changes")
    patience: int = Field(default=1, ge=1, le=10**6, description="validations without improvement before a drop")
    factor: Factor = 0.5


ScheduleConfig = Annotated[
    Annotated[
        ConstantSchedule | LinearSchedule | CosineSchedule | StepSchedule | PlateauSchedule,
        Field(discriminator="name"),
    ],
    with_default("name", "constant"),
]


class _OptimConfig(Section):
    """What every optimizer has."""

    name: str = Field(description="optimizer")
    lr: float = Field(description="learning rate before any schedule")
    clip_norm: ClipNorm = Field(
        default=1.0, description="longest gradient, by its norm over all parameters; null: no limit"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="learning rate of each layer as a part of that of the layer above; the output has lr",
    )
    schedule: ScheduleConfig = Field(default=ConstantSchedule(), description="learning rate over time")


class _AdamMoments(_OptimConfig):
    """What Adam has with and without weight decay."""

    lr: LearningRate = 2e-3
    beta1: float = Field(default=0.9, ge=0, lt=1, description="decay of the mean of gradients, per step")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="decay of the mean of squared gradients, per step")
    eps: float = Field(default=1e-8, gt=0, le=1, description="added to the root of the mean squared gradient")


class AdamConfig(_AdamMoments):
    """Adam as in the paper."""

    name: Literal["adam"] = Field(default="adam", description="optimizer")


class AdamWConfig(_AdamMoments):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = Field(default="adamw", description="optimizer")
    weight_decay: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="part of each weight, times lr, taken off per step; of embeddings, where they occur",
    )


class SGDConfig(_OptimConfig):
    """Gradient descent with momentum."""

    name: Literal["sgd"] = Field(default="sgd", description="optimizer")
    lr: LearningRate = 0.1
    momentum: float = Field(default=0.9, ge=0, lt=1, description="part of the previous step that is kept")


OptimConfig = Annotated[
    Annotated[AdamConfig | AdamWConfig | SGDConfig, Field(discriminator="name")], with_default("name", "adam")
]
