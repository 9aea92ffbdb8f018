from itertools import product

import pytest

from rnncli.randomness import PURPOSES, generator


def test_the_same_point_of_the_same_run_draws_the_same():
    generator(1, "order", 3).random(100)
    assert generator(1, "order", 3).random(4).tolist() == generator(1, "order", 3).random(4).tolist()


def test_seeds_purposes_and_counters_draw_differently():
    points = list(product([0, 1, 2**63 - 1], PURPOSES, [0, 1, 10**9]))
    assert len({generator(*point).random() for point in points}) == len(points)


def test_an_unknown_purpose_is_an_error():
    with pytest.raises(KeyError):
        generator(1, "ordre")
