"""The ``data`` section of a language model: where the text is and how it becomes token ids."""

from typing import Annotated, Literal

from pydantic import Field

from rnncli.config.base import Section, with_default
from rnncli.config.data import FilePath
from rnncli.config.splitting import SplitSection


class TextSource(Section):
    """A text file, or a folder of them."""

    format: Literal["text"] = Field(description="where the text is")
    path: FilePath = Field(
        description="file, or folder whose .txt files are read in the order of their names; may end in .gz, .bz2, .xz"
    )


class PythonStdlibSource(Section):
    """The sources of the standard library of the Python that runs rnncli, without its tests."""

    format: Literal["python_stdlib"] = Field(description="where the text is")


TextSourceConfig = Annotated[TextSource | PythonStdlibSource, Field(discriminator="format")]


class CharacterTokenizer(Section):
    """Every character is a token."""

    kind: Literal["character"] = Field(default="character", description="what a token is")
    lowercase: bool = Field(default=False, description="lower-case the text first")
    max_vocab: int = Field(
        default=20000, ge=2, le=10**7, description="most ids in the vocabulary, the unknown one included"
    )
    min_count: int = Field(
        default=1, ge=1, le=10**9, description="times a token must occur in the training part to get an id"
    )


class _WordTokenizer(Section):
    """What words and what is between white space have in common; each line end is a token."""

    kind: str = Field(description="what a token is")
    lowercase: bool = Field(default=True, description="lower-case the text first")
    max_vocab: int = Field(
        default=20000, ge=2, le=10**7, description="most ids in the vocabulary, the unknown one included"
    )
    min_count: int = Field(
        default=2, ge=1, le=10**9, description="times a token must occur in the training part to get an id"
    )


class WordTokenizer(_WordTokenizer):
    """Words, numbers and punctuation marks are tokens."""

    kind: Literal["word"] = Field(description="what a token is")


class WhitespaceTokenizer(_WordTokenizer):
    """What white space separates is a token."""

    kind: Literal["whitespace"] = Field(description="what a token is")


class BpeTokenizer(Section):
    """Sub-words, learned from the training part by byte-pair encoding."""

    kind: Literal["bpe"] = Field(description="what a token is")
    size: int = Field(default=4096, ge=257, le=10**6, description="most tokens to learn, the 256 bytes included")
    min_count: int = Field(
        default=2, ge=1, le=10**9, description="times a pair must occur in the training part to become a token"
    )


class FileTokenizer(Section):
    """The tokenizer of a tokenizer.json, as the tokenizers package writes it."""

    kind: Literal["file"] = Field(description="what a token is")
    path: FilePath = Field(description="tokenizer.json, seen from the folder rnncli runs in")


TextTokenizerConfig = Annotated[
    Annotated[
        CharacterTokenizer | WordTokenizer | WhitespaceTokenizer | BpeTokenizer | FileTokenizer,
        Field(discriminator="kind"),
    ],
    with_default("kind", "character"),
]


class LanguageDataConfig(SplitSection):
    """Where the text is and how it becomes token ids."""

    train: TextSourceConfig = Field(description="text to train on")
    valid: TextSourceConfig | None = Field(default=None, description="text to validate on; null: the end of train")
    valid_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="part of train's characters, its last, held for validation; without valid"
    )
    test: TextSourceConfig | None = Field(default=None, description="text that rnncli eval reads")
    document_boundary: Literal["file", "blank_line", "line"] | None = Field(
        default=None, description="what ends a document, where the state is reset; null: all is one text"
    )
    tokenizer: TextTokenizerConfig = Field(default=CharacterTokenizer(), description="how the text becomes tokens")
