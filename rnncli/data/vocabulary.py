"""The tokens that have an id of their own; every other token shares the id of the unknown."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

UNKNOWN = "<unk>"
UNKNOWN_ID = 0


class Vocabulary:
    """A fixed list of tokens; the id of a token is its place in the list.

    Parameters
    ----------
    tokens : sequence of str
        All tokens, without repeats, the first of them ``<unk>``.

    Raises
    ------
    ValueError
        If the first token is not ``<unk>`` or a token occurs twice.
    """

    def __init__(self, tokens: Sequence[str]) -> None:
        if not tokens or tokens[UNKNOWN_ID] != UNKNOWN:
            raise ValueError(f"the first token of a vocabulary is {UNKNOWN}")
        self._tokens = tuple(tokens)
        self._ids = {token: place for place, token in enumerate(self._tokens)}
        if len(self._ids) != len(self._tokens):
            raise ValueError("a token occurs twice in the vocabulary")

    def __len__(self) -> int:
        """Return the number of ids, the unknown one included."""
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        """Return whether the token has an id of its own."""
        return token in self._ids

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return all tokens in the order of their ids; giving them to ``Vocabulary`` makes an equal one."""
        return self._tokens

    def encode(self, tokens: Sequence[str]) -> npt.NDArray[np.int32]:
        """Return the ids of the tokens.

        Parameters
        ----------
        tokens : sequence of str
            Any tokens.

        Returns
        -------
        ndarray of shape (len(tokens),), int32
            The id of each, 0 for those that are not in the vocabulary.
        """
        ids = self._ids
        return np.fromiter((ids.get(token, UNKNOWN_ID) for token in tokens), dtype=np.int32, count=len(tokens))


def build_vocabulary(counts: Mapping[str, int], min_count: int, max_vocab: int) -> Vocabulary:
    """Return the vocabulary of the most frequent tokens.

    Parameters
    ----------
    counts : mapping of str to int
        How often each token occurs in the training part.
    min_count : int
        Tokens that occur less often than this are left out.
    max_vocab : int
        Most ids in the vocabulary, the unknown one included.

    Returns
    -------
    Vocabulary
        ``<unk>``, then the tokens from the most to the least frequent, equally frequent ones by name.
    """
    frequent = [(-count, token) for token, count in counts.items() if count >= min_count and token != UNKNOWN]
    frequent.sort()
    return Vocabulary([UNKNOWN, *(token for _, token in frequent[: max_vocab - 1])])
