"""Random generators that depend on the seed, a purpose and a counter, never on what was drawn before.

Because nothing carries over from draw to draw, an evaluation in between changes nothing, and a run is back at any
step by the number of that step alone.
"""

import numpy as np

PURPOSES = {"weights": 0, "order": 1, "dropout": 2, "folds": 3}


def generator(seed: int, purpose: str, counter: int = 0) -> np.random.Generator:
    """Return the generator for one purpose at one point of a run.

    Parameters
    ----------
    seed : int
        The run's seed.
    purpose : str
        A key of ``PURPOSES``.
    counter : int
        The epoch for "order", the step for "dropout".

    Returns
    -------
    numpy.random.Generator
        A fresh generator.
    """
    return np.random.default_rng([seed, PURPOSES[purpose], counter])
