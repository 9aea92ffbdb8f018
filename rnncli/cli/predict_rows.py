"""Rows that ``rnncli predict`` reads, answered a block at a time."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from rnncli.data.tokenizers import make_tokenizer
from rnncli.data.unlabelled import Unlabelled
from rnncli.ensembles import Ensemble
from rnncli.errors import DataError
from rnncli.predicting import BLOCK, BLOCK_CHARACTERS, predict
from rnncli.trained import Trained


class Answers:
    """Rows that wait for an answer, a block at a time.

    Parameters
    ----------
    trained : Trained
        The model.
    tell : callable
        Takes rows and their predictions.
    pretokenized : bool
        For a tagger: whether white space alone separates words.
    ensemble : Ensemble, optional
        Answers instead of the model, which is one of its members.
    """

    def __init__(
        self,
        trained: Trained,
        tell: Callable[[Any, Any], None],
        pretokenized: bool,
        ensemble: Ensemble | None = None,
    ) -> None:
        self._trained, self._tell, self._ensemble = trained, tell, ensemble
        self._tags = trained.config.task == "tagging"
        self._split = str.split if pretokenized else make_tokenizer("word", lowercase=False)
        self._waiting: list[Unlabelled] = []

    def give(self, rows: Iterable[Unlabelled], at_latest: float | None) -> None:
        """Answer rows in blocks.

        Parameters
        ----------
        rows : iterable of Unlabelled
            In order.
        at_latest : float or None
            Seconds after which a row is answered although its block is not full; None waits for the block.

        Raises
        ------
        DataError
            At a row that cannot be read, after those before it have been answered.
        """
        held, since = 0, 0.0
        try:
            for row in rows:
                if not self._waiting:
                    held, since = 0, time.monotonic() if at_latest is not None else 0.0
                self._waiting.append(self._with_words(row))
                held += _size(row)
                full = len(self._waiting) >= BLOCK or held >= BLOCK_CHARACTERS
                if full or (at_latest is not None and time.monotonic() - since >= at_latest):
                    self.flush()
        except DataError:
            self.flush()
            raise
        self.flush()

    def flush(self) -> None:
        """Answer the rows that wait."""
        rows, self._waiting = self._waiting, []
        if rows:
            inputs = [row.words if self._tags else row.text for row in rows]
            found = predict(self._trained, inputs) if self._ensemble is None else self._ensemble.predict(inputs)
            self._tell(rows, found)

    def _with_words(self, row: Unlabelled) -> Unlabelled:
        return row._replace(words=tuple(self._split(row.text))) if self._tags and row.words is None else row


def _size(row: Unlabelled) -> int:
    """Return how many characters of a row wait for its answer: those of its other columns too."""
    return max(len(row.text), sum(len(value) for value in row.fields.values() if isinstance(value, str)))
