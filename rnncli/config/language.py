"""The ``data`` section of a language model: where the text is and how it becomes token ids."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from rnncli.config.base import Section, refuse, with_default
from rnncli.config.data import ColumnName, FilePath
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


class _SeparateTexts(Section):
    """Texts that are apart from the start, each a document."""

    format: str = Field(description="where the text is")
    path: FilePath = Field(description="file, seen from the folder rnncli runs in; may end in .gz, .bz2 or .xz")


class AclImdbTexts(_SeparateTexts):
    """A folder of text files, or one with sub-folders of them; each file is a document."""

    format: Literal["aclimdb"] = Field(description="where the text is")
    path: FilePath = Field(description="folder of .txt files, or with sub-folders of them such as pos, neg and unsup")


class FasttextTexts(_SeparateTexts):
    """Lines as fastText reads them, their labels left out; each line is a document."""

    format: Literal["fasttext"] = Field(description="where the text is")


class _ColumnTexts(_SeparateTexts):
    """The column of a table that holds a text; each row is a document."""

    text: ColumnName = Field(default="text", description="column that holds the text; the others are not read")


class CsvTexts(_ColumnTexts):
    """Comma-separated values with a header line; each row is a document."""

    format: Literal["csv"] = Field(description="where the text is")


class TsvTexts(_ColumnTexts):
    """Tab-separated values with a header line; each row is a document."""

    format: Literal["tsv"] = Field(description="where the text is")


class JsonlTexts(_ColumnTexts):
    """One JSON object a line; each is a document."""

    format: Literal["jsonl"] = Field(description="where the text is")


TextSourceConfig = Annotated[
    TextSource | PythonStdlibSource | AclImdbTexts | CsvTexts | TsvTexts | JsonlTexts | FasttextTexts,
    Field(discriminator="format"),
]


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
        default=None,
        validate_default=True,
        description="what ends a document, where the state is reset; null: all is one text, but for file, where each "
        "text of train is apart",
    )
    tokenizer: TextTokenizerConfig = Field(default=CharacterTokenizer(), description="how the text becomes tokens")

    @field_validator("document_boundary")
    @classmethod
    def _texts_that_are_apart(cls, value: str | None, info: ValidationInfo) -> str | None:
        train = info.data.get("train")
        if isinstance(train, _SeparateTexts):
            if value not in (None, "file"):
                raise refuse(
                    f"{value} has no effect on format {train.format}, each of whose texts is a document; leave it out"
                )
            return "file"
        for part in ("valid", "test"):
            source = info.data.get(part)
            if value is None and isinstance(source, _SeparateTexts):
                raise refuse(
                    f"must not be null with data.{part} in format {source.format}, each of whose texts is a document; "
                    "say what ends one in data.train: file, blank_line or line"
                )
        return value
