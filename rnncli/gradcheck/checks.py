"""What a check is, what it finds, and how it is carried out."""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rnncli.gradcheck.numeric import Coordinate, Point, compare, sample_coordinates
from rnncli.packing import Array, IntArray

# Two ways to compute the same thing differ by rounding: a few units in the last of 16 digits, summed over some terms.
IDENTITY_TOLERANCE = 1e-12
UNUSED_ROW_SAMPLES = 4

Inputs = dict[str, Array]
Pairs = Iterator[tuple[str, Any, Any]]  # (what, one way, the other way)
Forward = Callable[[Inputs], tuple[Sequence[Array], Any]]
Backward = Callable[[Sequence[Array], Any], Inputs]


@dataclass(frozen=True)
class Case:
    """A function at one point, with its backward pass.

    Attributes
    ----------
    inputs : dict of str to ndarray of float64
        What to differentiate by.
    forward : callable
        ``forward(inputs) -> outputs, cache``; fixed inputs such as lengths and masks it knows itself.
    backward : callable
        ``backward(douts, cache)`` -> a gradient for every input.
    rows : dict of str to ndarray of int
        For an input of which only some rows are used: these. The elements to check are taken from them, and a few
        from the others, whose derivative must be zero.
    """

    inputs: Inputs
    forward: Forward
    backward: Backward
    rows: dict[str, IntArray] = field(default_factory=dict)


@dataclass(frozen=True)
class GradientCheck:
    """A row of the gradient table: ``build(rng)`` makes the case; ``limit`` elements of each input are checked."""

    name: str
    build: Callable[[np.random.Generator], Case]
    limit: int = 48


@dataclass(frozen=True)
class IdentityCheck:
    """A row of the identity table: ``build(rng)`` computes (what, one way, the other way) some times."""

    name: str
    build: Callable[[np.random.Generator], Pairs]


Check = GradientCheck | IdentityCheck


@dataclass(frozen=True)
class Result:
    """What a check found for one input (a gradient) or one result (an identity).

    Attributes
    ----------
    kind : {"gradient", "identity"}
        Compared with central differences, or with another way to compute the same.
    name : str
        The row.
    input : str
        What was differentiated by, or what was compared.
    coordinates : int
        Elements compared.
    worst : Point or None
        The element of the largest error; of an identity, its two values. None if there is nothing to compare.
    error : float
        Its relative error (identity: absolute difference); infinite if the check could not be carried out.
    tolerance : float
        The largest error that passes.
    problem : str
        What went wrong other than a value: a wrong shape, an exception, an argument written to.
    """

    kind: Literal["gradient", "identity"]
    name: str
    input: str
    coordinates: int
    worst: Point | None
    error: float
    tolerance: float
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return not self.problem and self.error <= self.tolerance


def row_rng(name: str, seed: int) -> np.random.Generator:
    """Return a generator that depends on the row and the seed only, whichever other rows are run."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def run_check(check: Check, seed: int, tolerance: float) -> list[Result]:
    """Carry out one check.

    Parameters
    ----------
    check : GradientCheck or IdentityCheck
        The row.
    seed : int
        Decides the numbers.
    tolerance : float
        The largest relative error of a gradient that passes.

    Returns
    -------
    list of Result
        One for each input or result; a single one with its ``problem`` if anything was raised.
    """
    rng = row_rng(check.name, seed)
    if isinstance(check, GradientCheck):
        return guarded("gradient", check.name, tolerance, lambda: _run_gradients(check, rng, tolerance))
    return guarded("identity", check.name, IDENTITY_TOLERANCE, lambda: _run_identities(check, rng))


def guarded(
    kind: Literal["gradient", "identity"], name: str, tolerance: float, run: Callable[[], list[Result]]
) -> list[Result]:
    """Run a check; an exception (a shape that does not fit, say) is a failure of the row, not of the program."""
    try:
        return run()
    except Exception as error:
        return [failure(kind, name, "", tolerance, f"raised {type(error).__name__}: {error}")]


def failure(kind: Literal["gradient", "identity"], name: str, what: str, tolerance: float, problem: str) -> Result:
    """Return the result of a check that failed before any values could be compared."""
    return Result(kind, name, what, 0, None, math.inf, tolerance, problem)


def worst_point(points: Sequence[Point]) -> Point | None:
    """Return the point of the largest error, or None of none."""
    return max(points, key=lambda point: point.error, default=None)


def _run_gradients(check: GradientCheck, rng: np.random.Generator, tolerance: float) -> list[Result]:
    case = check.build(rng)
    before = deepcopy(case.inputs)
    outputs, cache = case.forward(case.inputs)
    # What each output counts: of either sign, and none so small that an error in it could pass.
    douts = [rng.choice([-1.0, 1.0], np.shape(out)) * rng.uniform(0.5, 1.5, np.shape(out)) for out in outputs]
    given = deepcopy(douts)
    grads = case.backward(douts, cache)
    first = deepcopy(grads)
    again = case.backward(douts, cache)
    if any(not np.array_equal(case.inputs[name], before[name]) for name in before):
        return [failure("gradient", check.name, "", tolerance, "an input was written to")]
    if any(not np.array_equal(a, b) for a, b in zip(douts, given, strict=True)):
        return [failure("gradient", check.name, "", tolerance, "the backward pass wrote into its argument")]

    results = []
    for name, x in case.inputs.items():
        if name not in grads or grads[name].shape != x.shape:
            has = f"has shape {grads[name].shape}, the input {x.shape}" if name in grads else "is missing"
            problem = f"the gradient {has}"
            results.append(failure("gradient", check.name, name, tolerance, problem))
            continue
        if not np.array_equal(first[name], again[name], equal_nan=True):
            problem = "a second backward pass over the same cache gave another gradient"
            results.append(failure("gradient", check.name, name, tolerance, problem))
            continue
        coordinates = _coordinates(x.shape, case.rows.get(name), rng, check.limit)
        points = compare(
            lambda: case.forward(case.inputs)[0], x, first[name].__getitem__, coordinates, douts, tolerance
        )
        worst = worst_point(points)
        error = worst.error if worst else 0.0
        results.append(Result("gradient", check.name, name, len(points), worst, error, tolerance))
    return results


def _coordinates(
    shape: tuple[int, ...], rows: IntArray | None, rng: np.random.Generator, limit: int
) -> list[Coordinate]:
    """Choose the elements of an input to check, most of them in the rows that are used."""
    if rows is None:
        return sample_coordinates(shape, rng, limit)
    unused = np.setdiff1d(np.arange(shape[0]), rows)
    return [
        (int(some[first]), *rest)
        for some, count in ((rows, limit), (unused, UNUSED_ROW_SAMPLES))
        for first, *rest in sample_coordinates((len(some), *shape[1:]), rng, count)
    ]


def _run_identities(check: IdentityCheck, rng: np.random.Generator) -> list[Result]:
    results = []
    for what, one, other in check.build(rng):
        a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
        if a.shape != b.shape:
            problem = f"one way has shape {a.shape}, the other {b.shape}"
            results.append(failure("identity", check.name, what, IDENTITY_TOLERANCE, problem))
            continue
        difference = np.where(np.isfinite(a) & np.isfinite(b), np.abs(a - b), np.inf)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(difference)), a.shape))
        worst = Point(at, float(a[at]), float(b[at]), float(difference[at]))
        results.append(Result("identity", check.name, what, a.size, worst, worst.error, IDENTITY_TOLERANCE))
    return results
