"""Numeric derivatives by central differences, and the error of an analytic gradient against them.

The difference is the five-point one, exact up to the fourth power of the step::

    n = (8 (f(w + s) - f(w - s)) - (f(w + 2 s) - f(w - 2 s))) / 12 s

and the relative error of an analytic derivative a is ``|a - n| / max(|a| + |n|, RESOLUTION / s)``. Rounding in f leaves
an absolute error of about 1e-16 / s in n, so derivatives below the floor ``RESOLUTION / s`` (1e-5 at the usual step)
are compared absolutely: at a tolerance of 1e-6 a derivative of zero may come out as at most 1e-11.

Maximum pooling has kinks, where a difference mixes two slopes. Where the error at the usual step exceeds the
tolerance, smaller steps are tried, which get away from a kink at the price of a higher floor; the least error counts.
A wrong derivative is wrong at every step.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnncli.packing import Array

STEP = 3e-4
SMALLER_STEPS = (1e-5, 1e-6)
RESOLUTION = 3e-9
TOLERANCE = 1e-6

Coordinate = tuple[int, ...]
Outputs = Sequence[Array]


class Point(NamedTuple):
    """One coordinate of a tensor with the two values of its derivative and their relative error."""

    coordinate: Coordinate
    analytic: float
    numeric: float
    error: float


def relative_error(analytic: float, numeric: float, step: float = STEP) -> float:
    """Compare two values of a derivative.

    Parameters
    ----------
    analytic, numeric : float
        From the backward pass and from :func:`central_difference`.
    step : float
        The step of the difference.

    Returns
    -------
    float
        ``|a - n| / max(|a| + |n|, RESOLUTION / step)``; infinite where either is not finite.
    """
    if not (math.isfinite(analytic) and math.isfinite(numeric)):
        return math.inf
    return abs(analytic - numeric) / max(abs(analytic) + abs(numeric), RESOLUTION / step)


def central_difference(
    evaluate: Callable[[], Outputs], x: Array, coordinate: Coordinate, douts: Outputs, step: float = STEP
) -> float:
    """Compute the derivative of ``sum(out * dout)`` by one coordinate.

    Parameters
    ----------
    evaluate : callable
        Computes the outputs from x as it stands.
    x : ndarray of float64
        Moved by up to two steps in the meantime, then put back.
    coordinate : tuple of int
        Which element of x.
    douts : sequence of ndarray
        What each output counts.
    step : float
        How far to move.

    Returns
    -------
    float
        The derivative.
    """
    middle = x[coordinate]
    values = []
    try:
        for steps in (1, -1, 2, -2):
            x[coordinate] = middle + steps * step
            values.append([np.array(out) for out in evaluate()])  # copies: an output may be a view of x
    finally:
        x[coordinate] = middle
    # Outputs are subtracted before they are summed: the difference of two sums would lose digits.
    total = sum(
        float(np.vdot(dout, 8 * (up - down) - (up2 - down2)))
        for dout, up, down, up2, down2 in zip(douts, *values, strict=True)
    )
    return total / (12 * step)


def compare(
    evaluate: Callable[[], Outputs],
    x: Array,
    analytic: Callable[[Coordinate], float],
    coordinates: Sequence[Coordinate],
    douts: Outputs,
    tolerance: float = TOLERANCE,
) -> list[Point]:
    """Compare an analytic gradient with central differences.

    Parameters
    ----------
    evaluate, x, douts
        As for :func:`central_difference`.
    analytic : callable
        The analytic derivative by a coordinate of x.
    coordinates : sequence of tuple of int
        Which elements of x.
    tolerance : float
        Above it, smaller steps are tried.

    Returns
    -------
    list of Point
        One for each coordinate, in their order.
    """
    points = []
    for coordinate in coordinates:
        a = float(analytic(coordinate))
        best = None
        for step in (STEP, *SMALLER_STEPS):
            n = central_difference(evaluate, x, coordinate, douts, step)
            point = Point(coordinate, a, n, relative_error(a, n, step))
            if best is None or point.error < best.error:
                best = point
            if best.error <= tolerance:
                break
        assert best is not None
        points.append(best)
    return points


def sample_coordinates(shape: tuple[int, ...], rng: np.random.Generator, limit: int) -> list[Coordinate]:
    """Choose elements of an array to check.

    Parameters
    ----------
    shape : tuple of int
        The shape of the array.
    rng : numpy.random.Generator
        Decides which.
    limit : int
        All elements up to so many; of more, one from each of so many equal stretches, so that every gate's block of
        columns and every part of the array is met.

    Returns
    -------
    list of tuple of int
        The elements, none twice.
    """
    size = math.prod(shape)
    if size <= limit:
        flat = np.arange(size)
    else:
        edges = np.linspace(0, size, limit + 1).astype(np.int64)
        flat = rng.integers(edges[:-1], edges[1:])
    return [tuple(int(i) for i in np.unravel_index(f, shape)) for f in flat]
