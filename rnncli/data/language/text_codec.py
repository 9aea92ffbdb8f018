"""Text to token ids and back: what every codec of a language model can do."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class TextCodec(ABC):
    """Text to token ids and back.

    Parameters
    ----------
    tokens : int
        Ids that text is made of.
    with_end : bool
        Whether there is an id more, the last one: the end-of-text token, which no text encodes to.

    Attributes
    ----------
    size : int
        All ids, which is the width of a model's output.
    end_of_text : int or None
        The id that stands before, between and after documents; None where documents are not separated.
    unknown : int or None
        The id of what has no id of its own; None where everything has.
    """

    def __init__(self, tokens: int, with_end: bool, unknown: int | None) -> None:
        self.size = tokens + with_end
        self.end_of_text = tokens if with_end else None
        self.unknown = unknown

    @abstractmethod
    def encode(self, text: str) -> IntArray:
        """Return the ids of a text.

        Parameters
        ----------
        text : str
            Any text.

        Returns
        -------
        ndarray of shape (tokens,), int64
            From 0 to ``size`` - 1, never ``end_of_text``.
        """

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids.

        Parameters
        ----------
        ids : iterable of int
            From 0 to ``size`` - 1. The end-of-text token becomes nothing.

        Returns
        -------
        str
            What the pieces of :meth:`stream` make up.
        """

    @abstractmethod
    def stream(self, ids: Iterable[int]) -> Iterator[str]:
        """Yield the text of ids while they come.

        Parameters
        ----------
        ids : iterable of int
            As for :meth:`decode`.

        Returns
        -------
        iterator of str
            A piece as soon as it is certain; none of them empty.
        """

    @abstractmethod
    def to_json(self) -> str:
        """Return the codec as JSON, from which :func:`codec_from_json` makes an equal one."""
