"""The ``model.ngrams`` section: a linear model of n-grams beside the recurrent one."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config.base import Section, refuse


class NgramConfig(Section):
    """A linear model of the n-grams of a text, beside the recurrent one."""

    orders: int = Field(default=3, ge=1, le=8, description="tokens of the longest n-gram; shorter ones count too")
    min_count: int = Field(default=2, ge=1, description="training texts that must have an n-gram for it to count")
    max_ngrams: int = Field(
        default=1_000_000, ge=1, le=2**26, description="how many to keep, those that the most training texts have"
    )
    naive_bayes: Literal["weight", "start", "none"] = Field(
        default="weight",
        description="what the log-count ratios are: what multiplies the weights, the first weights, or nothing",
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.5, description="fraction of a text's n-grams left out in training"
    )
    lr: float = Field(default=0.01, gt=0, le=1e3, description="its own learning rate, on the schedule of optim")
    loss: Literal["own", "joint"] = Field(
        default="own",
        description="own: each branch learns by itself, their scores are averaged; joint: one loss of the sum",
    )
    share: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.5, description="part of the n-grams in that average; the rest is the recurrent layers'"
    )
    inputs: bool = Field(
        default=False,
        description="the recurrent layers also read, at each token, the ratios of the n-grams that end there",
    )

    @field_validator("share")
    @classmethod
    def _needs_an_average(cls, value: float, info: ValidationInfo) -> float:
        if value != 0.5 and info.data.get("loss") == "joint":
            raise refuse(f"{value:g} has no effect with loss joint, which adds the scores up; give loss: own")
        return value

    @field_validator("inputs")
    @classmethod
    def _needs_ratios(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("naive_bayes") == "none":
            raise refuse("needs the ratios; give naive_bayes: weight or start")
        return value

    def columns(self, classes: int) -> int:
        """Return how many ratios the recurrent layers read at each token."""
        return self.orders * (1 if classes == 2 else classes) if self.inputs else 0
