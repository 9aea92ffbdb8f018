"""The whole schema of a config: every key, its default (written here once), its limits and its meaning.

A config is frozen once validated, and whatever does not apply to the chosen variant (the reset gate of a GRU given
to an LSTM) is refused, so that no key can be accepted and then do nothing. Reading YAML, ``--set`` and the wording
of the messages are in :mod:`rnncli.config_loading` and know nothing of these particular keys.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from rnncli import config_loading

GROUPED_FORMATS = ("csv", "tsv", "jsonl")
_UNUSABLE_IN_NAMES = frozenset('/\\<>:"|?*')


class Section(BaseModel):
    """One mapping of a config: frozen, strict about types, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _with_default(tag: str, value: str) -> BeforeValidator:
    """Let a section leave out the key that names its variant."""
    return BeforeValidator(lambda given: {tag: value, **given} if isinstance(given, dict) else given)


def _refuse(message: str) -> PydanticCustomError:
    """Return the error for a value that is right by itself but not beside the others."""
    return PydanticCustomError("rnncli", "{message}", {"message": message})


FilePath = Annotated[str, Field(min_length=1)]
ColumnName = Annotated[str, Field(min_length=1)]
Warmup = Annotated[int, Field(ge=0, le=10**9, description="steps over which the learning rate rises from 0 to lr")]
Final = Annotated[float, Field(ge=0, le=1, description="learning rate at the last step, as a fraction of lr")]
Factor = Annotated[float, Field(gt=0, lt=1, description="what the learning rate is multiplied by at each drop")]
LearningRate = Annotated[float, Field(gt=0, le=100, description="learning rate before any schedule")]
ClipNorm = Annotated[float, Field(gt=0, le=10**6)] | None
Dropout = Annotated[float, Field(ge=0, lt=1)]
SkipLabels = Annotated[list[str], Field(description="labels whose rows are left out")]


# ---- data -----------------------------------------------------------------------------------------------------------


class _Source(Section):
    """What every source has; its format comes first because it decides what else there is."""

    format: str = Field(description="how the data is stored")
    path: FilePath = Field(description="file, seen from the folder rnncli runs in; may end in .gz, .bz2 or .xz")


class _ColumnsSource(_Source):
    """A file of rows with named columns."""

    text: ColumnName = Field(default="text", description="column that holds the text")
    label: ColumnName = Field(default="label", description="column that holds the label")
    skip_labels: SkipLabels = Field(default_factory=list)


class CsvSource(_ColumnsSource):
    """Comma-separated values with a header line."""

    format: Literal["csv"] = Field(description="how the data is stored")


class TsvSource(_ColumnsSource):
    """Tab-separated values with a header line."""

    format: Literal["tsv"] = Field(description="how the data is stored")


class JsonlSource(_ColumnsSource):
    """One JSON object a line."""

    format: Literal["jsonl"] = Field(description="how the data is stored")


class FasttextSource(_Source):
    """Lines of ``__label__NAME some text``."""

    format: Literal["fasttext"] = Field(description="how the data is stored")
    skip_labels: SkipLabels = Field(default_factory=list)


class AclImdbSource(_Source):
    """A folder with one sub-folder of text files per label."""

    format: Literal["aclimdb"] = Field(description="how the data is stored")
    path: FilePath = Field(description="folder with one sub-folder per label, such as pos and neg")


class KerasImdbSource(_Source):
    """Keras's imdb.npz with its word index."""

    format: Literal["keras_imdb"] = Field(description="how the data is stored")
    path: FilePath = Field(description="imdb.npz, seen from the folder rnncli runs in")
    word_index: FilePath = Field(description="imdb_word_index.json, which gives each number its word")
    part: Literal["train", "test"] = Field(default="train", description="half of the file that is read")


SourceConfig = Annotated[
    CsvSource | TsvSource | JsonlSource | FasttextSource | AclImdbSource | KerasImdbSource,
    Field(discriminator="format"),
]


class TokenizerConfig(Section):
    """How texts become tokens, and which tokens get an id of their own."""

    kind: Literal["word", "whitespace", "character"] = Field(default="word", description="what a token is")
    lowercase: bool = Field(default=True, description="lower-case the text first")
    max_vocab: int = Field(
        default=20000, ge=2, le=10**7, description="most ids in the vocabulary, the unknown one included"
    )
    min_count: int = Field(
        default=2, ge=1, le=10**9, description="times a token must occur in the training part to get an id"
    )


class DataConfig(Section):
    """Where the texts are and how they become arrays."""

    train: SourceConfig = Field(description="texts to train on")
    valid: SourceConfig | None = Field(default=None, description="texts to validate on; null splits them off train")
    valid_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part of train held for validation; without valid only"
    )
    test: SourceConfig | None = Field(default=None, description="texts that rnncli eval reads")
    group_by: ColumnName | None = Field(
        default=None, description="column whose equal values stay on one side of the split"
    )
    tokenizer: TokenizerConfig = Field(default=TokenizerConfig(), description="how texts become tokens")
    max_length: int | None = Field(
        default=400, ge=1, le=10**7, description="most tokens kept of a text; null keeps all"
    )
    truncate: Literal["head", "tail"] = Field(default="tail", description="end of a longer text that is kept")

    @field_validator("valid_fraction")
    @classmethod
    def _only_without_valid(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("valid") is not None:
            raise _refuse("has no effect beside data.valid; give one of the two")
        return value

    @field_validator("group_by")
    @classmethod
    def _needs_columns_to_split(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if info.data.get("valid") is not None:
            raise _refuse("has no effect beside data.valid, which leaves nothing to split; give one of the two")
        train = info.data.get("train")
        if train is not None and train.format not in GROUPED_FORMATS:
            raise _refuse(f"format {train.format} has no columns; only {', '.join(GROUPED_FORMATS)} have")
        return value

    @model_serializer(mode="wrap")
    def _without_the_unused_fraction(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what may not be given beside ``valid``, so that what is written can be read again."""
        fields: dict[str, Any] = handler(self)
        if self.valid is not None:
            fields.pop("valid_fraction", None)
        return fields


# ---- model ----------------------------------------------------------------------------------------------------------


class EmbeddingConfig(Section):
    """The table that turns a token's id into numbers."""

    dim: int = Field(default=128, ge=1, le=65536, description="numbers per token")
    dropout: Dropout = Field(default=0.0, description="fraction of the embedded numbers zeroed in training")


class _RecurrentConfig(Section):
    """What every cell has."""

    cell: str = Field(description="kind of recurrent cell")
    hidden: int = Field(default=128, ge=1, le=65536, description="numbers in the state, per direction")
    layers: int = Field(default=1, ge=1, le=64, description="recurrent layers, one on top of the other")
    bidirectional: bool = Field(default=False, description="read each text in both directions")
    dropout: Dropout = Field(
        default=0.0, description="fraction zeroed between layers in training; needs layers of 2 or more"
    )

    @field_validator("dropout")
    @classmethod
    def _needs_something_between_layers(cls, value: float, info: ValidationInfo) -> float:
        if value > 0 and info.data.get("layers") == 1:
            raise _refuse(
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
    Annotated[RNNConfig | LSTMConfig | GRUConfig, Field(discriminator="cell")], _with_default("cell", "lstm")
]


class ModelConfig(Section):
    """Embedding, recurrence, pooling and loss."""

    embedding: EmbeddingConfig = Field(default=EmbeddingConfig(), description="token id to numbers")
    rnn: CellConfig = Field(default=LSTMConfig(), description="the recurrent layers")
    pooling: Literal["last", "mean", "max"] = Field(
        default="mean", description="how the states of a text become one vector"
    )
    dropout: Dropout = Field(default=0.0, description="fraction of the pooled vector zeroed in training")
    loss: Literal["softmax", "binary"] = Field(default="softmax", description="binary: one logit, for two classes only")


# ---- optimizer ------------------------------------------------------------------------------------------------------


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
    _with_default("name", "constant"),
]


class _OptimConfig(Section):
    """What every optimizer has."""

    name: str = Field(description="optimizer")
    lr: float = Field(description="learning rate before any schedule")
    clip_norm: ClipNorm = Field(
        default=1.0, description="longest gradient, by its norm over all parameters; null: no limit"
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
        default=0.01, ge=0, le=1, description="part of each weight, times lr, taken off per step"
    )


class SGDConfig(_OptimConfig):
    """Gradient descent with momentum."""

    name: Literal["sgd"] = Field(default="sgd", description="optimizer")
    lr: LearningRate = 0.1
    momentum: float = Field(default=0.9, ge=0, lt=1, description="part of the previous step that is kept")


OptimConfig = Annotated[
    Annotated[AdamConfig | AdamWConfig | SGDConfig, Field(discriminator="name")], _with_default("name", "adam")
]


# ---- training -------------------------------------------------------------------------------------------------------


class TrainConfig(Section):
    """How long to train and when to look."""

    epochs: int = Field(default=3, ge=1, le=10**6, description="passes over the training part")
    batch_size: int = Field(default=64, ge=1, le=65536, description="texts per step")
    log_every: int = Field(default=50, ge=1, le=10**9, description="steps between two lines of metrics.jsonl")
    validate_every: int | None = Field(
        default=None, ge=1, le=10**9, description="steps between validations; null: each epoch"
    )
    best_metric: Literal["accuracy", "loss", "macro_f1"] = Field(
        default="accuracy", description="what the best checkpoint has"
    )
    patience: int | None = Field(
        default=None, ge=1, le=10**6, description="validations without improvement before stopping"
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
            raise _refuse("must be null, balanced, or a section of labels with their weights")
        for label, weight in value.items():
            number = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not number or not 0 < weight <= 10**6 or not math.isfinite(weight):
                raise _refuse(f"the weight of label {str(label)!r} must be a number above 0, at most 1000000")
        return {label: float(weight) for label, weight in value.items()}


class Config(Section):
    """A whole run: what to read, what to train, how and for how long."""

    name: str = Field(default="run", description="folder of the run, under runs/")
    seed: int = Field(default=1, ge=0, lt=2**63, description="start of every random choice")
    task: Literal["classification"] = Field(
        default="classification", description="what the model learns to say of a text"
    )
    data: DataConfig = Field(description="the texts")
    model: ModelConfig = Field(default=ModelConfig(), description="the network")
    optim: OptimConfig = Field(default=AdamConfig(), description="the optimizer")
    train: TrainConfig = Field(default=TrainConfig(), description="the training loop")

    @field_validator("name")
    @classmethod
    def _usable_as_folder(cls, value: str) -> str:
        if value != usable_name(value):
            raise _refuse(
                f"{value[:60]!r} cannot be the name of a folder everywhere; "
                "use letters, digits, '-', '_' and dots that do not come first or last, at most 100"
            )
        return value


def usable_name(text: str) -> str:
    """Return ``text`` changed as little as needed to be the name of a folder on any system.

    Parameters
    ----------
    text : str
        Any text, such as the stem of a file's name.

    Returns
    -------
    str
        A name of 1 to 100 characters; ``text`` itself when it can be used.
    """
    kept = "".join(
        "-" if character in _UNUSABLE_IN_NAMES or not character.isprintable() else character for character in text
    )
    return kept.lstrip(". -~")[:100].rstrip(". ") or "run"


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read, complete and validate a config file.

    Parameters
    ----------
    path : str or Path
        A YAML file. Its stem is the run's name unless the file gives one.
    overrides : sequence of str, optional
        Settings ``key.sub_key=value`` that replace or add to what the file says, the value written as in YAML.

    Returns
    -------
    Config
        The frozen config with every default filled in.

    Raises
    ------
    ConfigError
        If the file cannot be read or anything in it cannot be used: one line for each fault.
    """
    loaded = config_loading.read(Path(path), overrides)
    loaded.data.setdefault("name", usable_name(Path(path).stem))
    return config_loading.validate(Config, loaded)


def parse_config(values: Mapping[str, Any], where: str) -> Config:
    """Validate a config that is already in memory, such as the one in a checkpoint.

    Parameters
    ----------
    values : mapping
        Keys and values as YAML or JSON give them.
    where : str
        What to call the origin in messages.

    Returns
    -------
    Config
        The frozen config with every default filled in.

    Raises
    ------
    ConfigError
        If anything in it cannot be used: one line for each fault.
    """
    return config_loading.validate(Config, config_loading.from_values(values, where))


def dump_config(config: Config) -> str:
    """Return the YAML text of a config, which loads to an equal config.

    Parameters
    ----------
    config : Config
        Any valid config.

    Returns
    -------
    str
        Every key, defaults included, one a line.
    """
    return config_loading.to_yaml(config.model_dump())
