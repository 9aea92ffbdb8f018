"""The ``model`` section of a tagger: words and their spelling, recurrence, a tag for every word."""

from pydantic import Field

from rnncli.config.base import Section
from rnncli.config.model import CellConfig, Dropout, LSTMConfig, WordTableConfig


class TaggerEmbeddingConfig(WordTableConfig):
    """The table that turns a word's id into numbers."""

    dim: int = Field(default=100, ge=1, le=65536, description="numbers per word")
    word_dropout: Dropout = Field(default=0.0, description="fraction of the words shown as the unknown one in training")


class SpellingModelConfig(Section):
    """What becomes of a word's spelling."""

    dim: int = Field(default=32, ge=1, le=65536, description="numbers per character or run of characters")
    hidden: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="numbers in the state over the characters of a word, per direction; null: 64; characters only",
    )


class TaggerConfig(Section):
    """Words and their spelling, recurrence, a tag for every word."""

    embedding: TaggerEmbeddingConfig = Field(default=TaggerEmbeddingConfig(), description="word id to numbers")
    spelling: SpellingModelConfig | None = Field(
        default=None, description="sizes for data.spelling; null: those of its kind by default"
    )
    input_dropout: Dropout = Field(default=0.0, description="fraction of the numbers of each word zeroed in training")
    rnn: CellConfig = Field(default=LSTMConfig(), description="the recurrent layers")
    dropout: Dropout = Field(default=0.0, description="fraction of the last layer's states zeroed in training")
