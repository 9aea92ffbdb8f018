"""What this package needs to know of a config's ``data`` section, without knowing the config."""

from typing import Literal, Protocol

from rnncli.data.readers import Source
from rnncli.data.tokenizers import TokenizerKind

End = Literal["head", "tail"]


class TokenizerSettings(Protocol):
    """How texts become tokens, and which tokens get an id of their own."""

    @property
    def kind(self) -> TokenizerKind: ...  # noqa: D102
    @property
    def lowercase(self) -> bool: ...  # noqa: D102
    @property
    def max_vocab(self) -> int: ...  # noqa: D102
    @property
    def min_count(self) -> int: ...  # noqa: D102


class DataSettings(Protocol):
    """Where the texts are and how they become arrays; ``rnncli.config.DataConfig`` says what each key means."""

    @property
    def train(self) -> Source: ...  # noqa: D102
    @property
    def valid(self) -> Source | None: ...  # noqa: D102
    @property
    def valid_fraction(self) -> float: ...  # noqa: D102
    @property
    def test(self) -> Source | None: ...  # noqa: D102
    @property
    def group_by(self) -> str | None: ...  # noqa: D102
    @property
    def tokenizer(self) -> TokenizerSettings: ...  # noqa: D102
    @property
    def max_length(self) -> int | None: ...  # noqa: D102
    @property
    def truncate(self) -> End: ...  # noqa: D102
