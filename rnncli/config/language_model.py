"""The ``model`` section of a language model: embedding, recurrence, and what comes next."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config.base import Section, refuse, with_default
from rnncli.config.model import Dropout, EmbeddingConfig, Penalty


class _StackConfig(Section):
    """What every cell has in a language model, which reads forward only."""

    cell: str = Field(description="kind of recurrent cell")
    hidden: int | list[int] = Field(
        default=256, description="numbers in the state; a list gives the size of each layer, from the input on"
    )
    layers: int | None = Field(
        default=None, ge=1, le=64, description="recurrent layers of one size; null: 1, or as many as hidden lists"
    )
    dropout: Dropout = Field(
        default=0.0, validate_default=True, description="fraction zeroed between layers in training"
    )
    state_dropout: Dropout = Field(
        default=0.0, description="fraction of the weights from state to state zeroed in training, anew each window"
    )
    recurrent_dropout: Dropout = Field(
        default=0.0, description="fraction of the state zeroed on its way to the next step, the same for a whole window"
    )

    @field_validator("hidden", mode="before")
    @classmethod
    def _sizes(cls, value: object) -> object:
        sizes = value if isinstance(value, list) else [value]
        if not 1 <= len(sizes) <= 64 or not all(type(size) is int and 1 <= size <= 65536 for size in sizes):
            raise refuse("must be a whole number from 1 to 65536, or a list of at most 64 of them")
        return value

    @field_validator("layers")
    @classmethod
    def _not_beside_a_list(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and isinstance(info.data.get("hidden"), list):
            raise refuse("has no effect beside a list in hidden, which has a size for each layer")
        return value

    @field_validator("dropout")
    @classmethod
    def _needs_something_between_layers(cls, value: float, info: ValidationInfo) -> float:
        hidden, layers = info.data.get("hidden"), info.data.get("layers")
        if value > 0 and (len(hidden) if isinstance(hidden, list) else layers or 1) == 1:
            raise refuse(f"{value:g} has no effect with one layer, it works between layers; use model.dropout")
        return value

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of each layer's state."""
        return tuple(self.hidden) if isinstance(self.hidden, list) else (self.hidden,) * (self.layers or 1)


class RNNStackConfig(_StackConfig):
    """The plain tanh recurrence."""

    cell: Literal["rnn"] = Field(default="rnn", description="kind of recurrent cell")


class LSTMStackConfig(_StackConfig):
    """Long short-term memory."""

    cell: Literal["lstm"] = Field(default="lstm", description="kind of recurrent cell")
    forget_bias: float = Field(default=1.0, ge=-100, le=100, description="bias of the forget gate before training")


class GRUStackConfig(_StackConfig):
    """The gated recurrent unit."""

    cell: Literal["gru"] = Field(default="gru", description="kind of recurrent cell")
    reset: Literal["before", "after"] = Field(
        default="before", description="reset gate before or after the recurrent product"
    )


StackConfig = Annotated[
    Annotated[RNNStackConfig | LSTMStackConfig | GRUStackConfig, Field(discriminator="cell")],
    with_default("cell", "lstm"),
]


class LanguageModelConfig(Section):
    """Embedding, recurrence, and what comes next."""

    embedding: EmbeddingConfig = Field(default=EmbeddingConfig(), description="token id to numbers")
    rnn: StackConfig = Field(default=LSTMStackConfig(), description="the recurrent layers")
    dropout: Dropout = Field(default=0.0, description="fraction of the last layer's states zeroed in training")
    variational: bool = Field(
        default=False,
        validate_default=True,
        description="what is dropped of embeddings and states stays so for a whole window",
    )
    activation_penalty: Penalty = Field(
        default=0.0, description="times the mean square of the last layer's states, added to the training loss"
    )
    slowness_penalty: Penalty = Field(
        default=0.0, description="times the mean square of what they change by from step to step, added likewise"
    )
    tied: bool = Field(default=False, description="the output layer has the embedding's weights")

    @field_validator("variational")
    @classmethod
    def _needs_dropout(cls, value: bool, info: ValidationInfo) -> bool:
        rates = [info.data.get("dropout", 0)]
        rates += [section.dropout for key in ("embedding", "rnn") if (section := info.data.get(key)) is not None]
        if value and not any(rates):
            raise refuse("has no effect without embedding.dropout, rnn.dropout or dropout")
        return value

    @field_validator("tied")
    @classmethod
    def _needs_one_size(cls, value: bool, info: ValidationInfo) -> bool:
        embedding, rnn = info.data.get("embedding"), info.data.get("rnn")
        if value and embedding is not None and embedding.frozen:
            raise refuse("excludes embedding.frozen: the output layer would have weights that are not trained")
        if value and embedding is not None and rnn is not None and rnn.sizes[-1] != embedding.dim:
            raise refuse(
                f"needs a last layer of the embedding's size: it has {rnn.sizes[-1]}, embedding.dim is {embedding.dim}"
            )
        return value
