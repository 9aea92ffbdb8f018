"""The ``model`` section: embedding, recurrence, pooling and loss."""

from typing import Annotated, Literal, get_args

from pydantic import (
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
)

from rnncli.config.base import Section, refuse, with_default
from rnncli.config.messages import nearest, shown
from rnncli.config.ngrams import NgramConfig

Dropout = Annotated[float, Field(ge=0, lt=1)]
Penalty = Annotated[float, Field(ge=0, le=1e6)]


class WordTableConfig(Section):
    """What every table has that turns an id into numbers."""

    dim: int = Field(default=128, ge=1, le=65536, description="numbers per token")
    vectors: str | None = Field(
        default=None,
        min_length=1,
        description="text file of word vectors to start from (GloVe, word2vec, fastText); .gz, .bz2, .xz too",
    )
    frozen: bool = Field(default=False, description="leave the table as it is at the start")


class EmbeddingConfig(WordTableConfig):
    """The table that turns a token's id into numbers."""

    dropout: Dropout = Field(default=0.0, description="fraction of the embedded numbers zeroed in training")


class TextEmbeddingConfig(EmbeddingConfig):
    """The table that turns a token's id into numbers, in a classifier."""

    word_dropout: Dropout = Field(
        default=0.0, description="fraction of the tokens shown as the unknown one in training"
    )


class _RecurrentConfig(Section):
    """What every cell has."""

    cell: str = Field(description="kind of recurrent cell")
    hidden: int = Field(default=128, ge=1, le=65536, description="numbers in the state, per direction")
    layers: int = Field(default=1, ge=1, le=64, description="recurrent layers, one on top of the other")
    bidirectional: bool = Field(default=False, description="read each text in both directions")
    dropout: Dropout = Field(
        default=0.0, description="fraction zeroed between layers in training; needs layers of 2 or more"
    )

    state_dropout: Dropout = Field(
        default=0.0, description="fraction of the weights from state to state zeroed in training, anew each batch"
    )
    recurrent_dropout: Dropout = Field(
        default=0.0, description="fraction of the state zeroed on its way to the next step, the same for a whole text"
    )

    @field_validator("dropout")
    @classmethod
    def _needs_something_between_layers(cls, value: float, info: ValidationInfo) -> float:
        if value > 0 and info.data.get("layers") == 1:
            raise refuse(
                f"{value:g} has no effect with one layer, it works between layers; "
                "give layers of 2 or more, or use model.embedding.dropout or model.dropout"
            )
        return value


class RNNConfig(_RecurrentConfig):
    """The plain tanh recurrence."""

    cell: Literal["rnn"] = Field(default="rnn", description="kind of recurrent cell")


class LSTMConfig(_RecurrentConfig):
    """Long short-term memory."""

    cell: Literal["lstm"] = Field(default="lstm", description="kind of recurrent cell")
    forget_bias: float = Field(default=1.0, ge=-100, le=100, description="bias of the forget gate before training")


class GRUConfig(_RecurrentConfig):
    """The gated recurrent unit."""

    cell: Literal["gru"] = Field(default="gru", description="kind of recurrent cell")
    reset: Literal["before", "after"] = Field(
        default="before", description="reset gate before or after the recurrent product"
    )


CellConfig = Annotated[
    Annotated[RNNConfig | LSTMConfig | GRUConfig, Field(discriminator="cell")], with_default("cell", "lstm")
]


PoolingName = Literal["last", "mean", "max", "attention"]
POOLINGS = get_args(PoolingName)
_EACH_ONCE: dict[str, JsonValue] = {"uniqueItems": True}


class ModelConfig(Section):
    """Embedding, recurrence, pooling and loss."""

    embedding: TextEmbeddingConfig = Field(default=TextEmbeddingConfig(), description="token id to numbers")
    rnn: CellConfig = Field(default=LSTMConfig(), description="the recurrent layers")
    pooling: PoolingName | Annotated[list[PoolingName], Field(min_length=1, json_schema_extra=_EACH_ONCE)] = Field(
        default="mean", description="how the states of a text become one vector; a list puts several side by side"
    )
    dropout: Dropout = Field(default=0.0, description="fraction of the pooled vector zeroed in training")
    variational: bool = Field(
        default=False,
        description="what is dropped of embeddings and states stays so for a whole text",
    )
    activation_penalty: Penalty = Field(
        default=0.0, description="times the mean square of the last layer's states, added to the training loss"
    )
    slowness_penalty: Penalty = Field(
        default=0.0, description="times the mean square of what they change by from step to step, added likewise"
    )
    ngrams: NgramConfig | None = Field(
        default=None, description="a linear model of n-grams beside the recurrent one; {} for its defaults"
    )
    loss: Literal["softmax", "binary"] = Field(default="softmax", description="binary: one logit, for two classes only")

    @field_validator("pooling", mode="before")
    @classmethod
    def _names_each_once(cls, value: object) -> object:
        given = value if isinstance(value, list) else [value]
        wrong = [name for name in given if name not in POOLINGS]
        if wrong or not given:
            what = shown(wrong[0]) if given else "an empty list"
            meant = nearest(wrong[0], list(POOLINGS)) if wrong and isinstance(wrong[0], str) else ""
            raise refuse(f"{what} is not allowed ({', '.join(POOLINGS)}, or a list of them){meant}")
        twice = next((name for name in given if given.count(name) > 1), None)
        if twice is not None:
            raise refuse(f"has {twice} twice, which adds nothing; name each pooling once")
        return value

    @field_validator("variational")
    @classmethod
    def _needs_dropout(cls, value: bool, info: ValidationInfo) -> bool:
        sections = [section for key in ("embedding", "rnn") if (section := info.data.get(key)) is not None]
        if value and len(sections) == 2 and not any(section.dropout for section in sections):
            raise refuse("has no effect without embedding.dropout or rnn.dropout")
        return value

    @property
    def poolings(self) -> tuple[PoolingName, ...]:
        """The poolings, side by side."""
        return (self.pooling,) if isinstance(self.pooling, str) else tuple(self.pooling)
