"""How good a language model is: nats per token, perplexity, bits per character."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rnncli.errors import GradientError


class TokenLosses:
    """The sum of what each token cost, over a text of any length.

    Costs are added in float64, so that the sum does not depend on how the text was cut into windows but by rounding in
    the 16th digit.
    """

    def __init__(self) -> None:
        self.nats = 0.0
        self.tokens = 0

    def add(self, losses: ArrayLike) -> None:
        """Count some tokens.

        Parameters
        ----------
        losses : array-like of any shape
            The negative natural logarithm of the probability of each token.

        Raises
        ------
        GradientError
            If one of them is not a number.
        """
        values = np.asarray(losses, dtype=np.float64)
        nats = float(values.sum())
        if math.isnan(nats):
            raise GradientError("the model's outputs are not numbers", remedy="Train again with a lower optim.lr")
        self.nats += nats
        self.tokens += values.size


def perplexity(nats_per_token: float) -> float | None:
    """Return exp of the mean over tokens.

    Parameters
    ----------
    nats_per_token : float
        The mean negative log-probability over all tokens of a text; never a mean over sentences or windows.

    Returns
    -------
    float or None
        At least 1 for a model that gives probabilities; None where it is too large for a number.
    """
    try:
        value = math.exp(nats_per_token)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def bits_per_character(nats: float, characters: int) -> float | None:
    """Return what a character costs, whatever the tokens are: by this, models of other tokens can be compared.

    Parameters
    ----------
    nats : float
        The negative log-probability of the whole text.
    characters : int
        Its characters.

    Returns
    -------
    float or None
        None where there are no characters or the sum is not finite.
    """
    return nats / math.log(2) / characters if characters and math.isfinite(nats) else None


def language_report(losses: TokenLosses, characters: int, unknown: int) -> dict[str, Any]:
    """Return every figure about a text, ready for JSON.

    Parameters
    ----------
    losses : TokenLosses
        What its tokens cost.
    characters : int
        The characters of the tokens that were predicted.
    unknown : int
        How many of its tokens are the unknown one. A text is cheaper by what they hide.

    Returns
    -------
    dict
        ``tokens`` (those predicted), ``characters``, ``unknown_tokens``, ``loss`` (nats per token), ``perplexity``,
        ``bits_per_character``; None where there is nothing to divide by or the number is too large.
    """
    mean = losses.nats / losses.tokens if losses.tokens else None
    finite = mean is not None and math.isfinite(mean)
    return {
        "tokens": losses.tokens,
        "characters": characters,
        "unknown_tokens": unknown,
        "loss": mean if finite else None,
        "perplexity": perplexity(mean) if mean is not None else None,
        "bits_per_character": bits_per_character(losses.nats, characters),
    }
