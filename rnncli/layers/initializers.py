"""First values of weights."""

import numpy as np

from rnncli.packing import Array


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw from the uniform distribution that keeps variances even (Glorot and Bengio 2010, eq. 16).

    Parameters
    ----------
    shape : (int, int)
        Inputs and outputs of one gate's matrix.
    rng : numpy.random.Generator
        Moved on by the draw.

    Returns
    -------
    ndarray of that shape, float64
        Values within sqrt(6 / (inputs + outputs)) of zero.
    """
    limit = np.sqrt(6 / sum(shape))
    return rng.uniform(-limit, limit, shape)


def orthogonal(shape: tuple[int, int], rng: np.random.Generator) -> Array:
    """Draw a random orthogonal matrix (Saxe et al. 2014), which neither stretches nor shrinks a state.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    rng : numpy.random.Generator
        Moved on by the draw.

    Returns
    -------
    ndarray of that shape, float64
        With orthonormal rows or columns, whichever are fewer.
    """
    tall = (max(shape), min(shape))
    q, r = np.linalg.qr(rng.standard_normal(tall))
    q *= np.sign(np.diag(r))  # makes the draw uniform over all orthogonal matrices
    return q if shape == tall else q.T
