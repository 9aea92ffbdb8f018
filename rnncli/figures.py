"""Which figures of a validation are shown for each task, besides the loss: their names, headings and formats."""

from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A figure of a validation.

    Attributes
    ----------
    key : str
        Its name in metrics.jsonl.
    heading : str
        What people call it.
    form : str
        How it is written, as for :func:`format`.
    """

    key: str
    heading: str
    form: str

    def show(self, figures: dict[str, Any], width: int = 0) -> str:
        """Return the figure as people read it, ``-`` where there is none."""
        value = figures.get(self.key)
        return f"{'-' if value is None else format(value, self.form):>{width}}"


_ACCURACY = Figure("accuracy", "accuracy", ".2%")
_MACRO = Figure("macro_f1", "macro F1", ".2%")
FIGURES: dict[str, tuple[Figure, ...]] = {
    "classification": (_ACCURACY, _MACRO),
    "tagging": (_ACCURACY, Figure("unseen_accuracy", "unseen", ".2%"), Figure("entity_f1", "entities", ".2%"), _MACRO),
    "language_model": (
        Figure("perplexity", "perplexity", ",.2f"),
        Figure("bits_per_character", "bits/char", ".4f"),
        _ACCURACY,
    ),
}
