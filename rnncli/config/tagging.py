"""The ``data`` section of a tagger: where the sentences are and how they become arrays."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config.base import Section, refuse, with_default
from rnncli.config.data import FilePath
from rnncli.config.splitting import SplitSection, SplitSeed

Column = Annotated[int, Field(ge=-100, le=100)]


class ConlluSource(Section):
    """A file of Universal Dependencies."""

    format: Literal["conllu"] = Field(description="how the sentences are stored")
    path: FilePath = Field(description="file, seen from the folder rnncli runs in; may end in .gz, .bz2 or .xz")
    column: Literal["upos", "xpos", "feats"] = Field(default="upos", description="column that is the tag")


class ColumnsSource(Section):
    """A file of columns, a word a line and blank lines between sentences."""

    format: Literal["columns"] = Field(description="how the sentences are stored")
    path: FilePath = Field(description="file, seen from the folder rnncli runs in; may end in .gz, .bz2 or .xz")
    word: Column = Field(default=1, description="column of the word, from 1, or from the last one, -1")
    tag: Column = Field(default=-1, validate_default=True, description="column of the tag, likewise")
    separator: str | None = Field(
        default=None, min_length=1, description="what is between two columns; null: spaces and tabs"
    )
    comment: str | None = Field(
        default=None, min_length=1, description="beginning of lines to pass over; null: there are none"
    )
    scheme: Literal["auto", "none", "iob1", "iob2", "iobes"] = Field(
        default="auto", description="how the file marks entities; none: tags are taken as they are"
    )
    convert_to: Literal["iob1", "iob2", "iobes"] | None = Field(
        default=None, description="scheme that the model learns; null: that of the file"
    )

    @field_validator("word", "tag")
    @classmethod
    def _counted_from_one(cls, value: int) -> int:
        if value == 0:
            raise refuse("0 is not a column; the first is 1 and the last is -1")
        return value

    @field_validator("tag")
    @classmethod
    def _not_the_word(cls, value: int, info: ValidationInfo) -> int:
        if value == info.data.get("word"):
            raise refuse(f"column {value} is the word already")
        return value

    @field_validator("convert_to")
    @classmethod
    def _needs_a_scheme(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("scheme") == "none":
            raise refuse("has no effect with scheme none, which takes tags as they are")
        return value


SentenceSourceConfig = Annotated[ConlluSource | ColumnsSource, Field(discriminator="format")]


class WordsConfig(Section):
    """Which words get an id of their own."""

    lowercase: bool = Field(default=True, description="look words up in lower case")
    max_vocab: int = Field(
        default=50000, ge=2, le=10**7, description="most ids in the vocabulary, the unknown one included"
    )
    min_count: int = Field(
        default=1, ge=1, le=10**9, description="times a word must occur in the training part to get an id"
    )


class CharactersSpelling(Section):
    """Words are seen through their characters."""

    kind: Literal["characters"] = Field(default="characters", description="what of its spelling a word is seen by")
    min_count: int = Field(
        default=1, ge=1, le=10**9, description="times a character must occur in the training part to get an id"
    )
    max_length: int = Field(
        default=40, ge=1, le=10**4, description="most characters of a word; a longer one keeps both ends"
    )


class NgramsSpelling(Section):
    """Words are seen through hashed runs of their characters."""

    kind: Literal["ngrams"] = Field(default="ngrams", description="what of its spelling a word is seen by")
    shortest: int = Field(default=2, ge=1, le=20, description="characters of the shortest run")
    longest: int = Field(default=4, ge=1, le=20, validate_default=True, description="characters of the longest run")
    buckets: int = Field(default=20000, ge=1, le=10**7, description="different ids that runs are hashed to")

    @field_validator("longest")
    @classmethod
    def _not_below_the_shortest(cls, value: int, info: ValidationInfo) -> int:
        if value < info.data.get("shortest", 1):
            raise refuse(f"{value} is less than shortest, {info.data['shortest']}")
        return value


SpellingConfig = Annotated[
    Annotated[CharactersSpelling | NgramsSpelling, Field(discriminator="kind")], with_default("kind", "characters")
]


class TaggingDataConfig(SplitSection):
    """Where the sentences are and how they become arrays."""

    train: SentenceSourceConfig = Field(description="sentences to train on")
    valid: SentenceSourceConfig | None = Field(
        default=None, description="sentences to validate on; null splits them off train"
    )
    valid_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part of train held for validation; without valid only"
    )
    split_seed: SplitSeed = None
    split_by: Literal["sentence", "document"] = Field(
        default="sentence", description="what stays on one side of the split; without valid only"
    )
    test: SentenceSourceConfig | None = Field(default=None, description="sentences that rnncli eval reads")
    words: WordsConfig = Field(default=WordsConfig(), description="which words get an id")
    spelling: SpellingConfig | None = Field(
        default=None, description="what else of a word the model sees; null: its id alone"
    )

    @field_validator("valid", "test")
    @classmethod
    def _learned_scheme(
        cls, value: ConlluSource | ColumnsSource | None, info: ValidationInfo
    ) -> ConlluSource | ColumnsSource | None:
        """Refuse what would compare tags of one scheme with those of another."""
        train = info.data.get("train")
        if isinstance(value, ColumnsSource) and isinstance(train, ColumnsSource):
            wanted, given = train.convert_to, value.convert_to
            if wanted != given:
                raise refuse(f"convert_to is {given or 'null'}, in data.train it is {wanted or 'null'}")
        return value

    @field_validator("split_by")
    @classmethod
    def _nothing_to_split(cls, value: str, info: ValidationInfo) -> str:
        if value == "document" and info.data.get("valid") is not None:
            raise refuse("has no effect beside data.valid, which leaves nothing to split")
        return value
