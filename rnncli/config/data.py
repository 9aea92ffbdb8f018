"""The ``data`` section: where the texts are and how they become arrays."""

from typing import Annotated, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from rnncli.config.base import Section, refuse
from rnncli.config.splitting import SplitSection, SplitSeed

GROUPED_FORMATS = ("csv", "tsv", "jsonl")
FilePath = Annotated[str, Field(min_length=1)]
ColumnName = Annotated[str, Field(min_length=1)]
SkipLabels = Annotated[list[str], Field(description="labels whose rows are left out")]


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


class ImportedSource(_Source):
    """No texts: the model was imported from weights, and what they were trained on is not known."""

    format: Literal["imported"] = Field(description="how the data is stored")
    path: FilePath = Field(description="file of the weights")


SourceConfig = Annotated[
    CsvSource | TsvSource | JsonlSource | FasttextSource | AclImdbSource | KerasImdbSource,
    Field(discriminator="format"),
]
TrainSourceConfig = Annotated[
    CsvSource | TsvSource | JsonlSource | FasttextSource | AclImdbSource | KerasImdbSource | ImportedSource,
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


class DataConfig(SplitSection):
    """Where the texts are and how they become arrays."""

    train: TrainSourceConfig = Field(description="texts to train on")
    valid: SourceConfig | None = Field(default=None, description="texts to validate on; null splits them off train")
    valid_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part of train held for validation; without valid only"
    )
    split_seed: SplitSeed = None
    test: SourceConfig | None = Field(default=None, description="texts that rnncli eval reads")
    group_by: ColumnName | None = Field(
        default=None, description="column whose equal values stay on one side of the split"
    )
    tokenizer: TokenizerConfig = Field(default=TokenizerConfig(), description="how texts become tokens")
    max_length: int | None = Field(
        default=400, ge=1, le=10**7, description="most tokens kept of a text; null keeps all"
    )
    truncate: Literal["head", "tail"] = Field(default="tail", description="end of a longer text that is kept")

    @field_validator("group_by")
    @classmethod
    def _needs_columns_to_split(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if info.data.get("valid") is not None:
            raise refuse("has no effect beside data.valid, which leaves nothing to split; give one of the two")
        train = info.data.get("train")
        if train is not None and train.format not in GROUPED_FORMATS:
            raise refuse(f"format {train.format} has no columns; only {', '.join(GROUPED_FORMATS)} have")
        return value
