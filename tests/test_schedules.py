import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.schedules import Plateau, constant, cosine, drops, linear, with_warmup


def values(schedule, steps):
    return [schedule(step) for step in range(steps)]


def test_constant():
    assert values(constant(), 3) == [1, 1, 1]


def test_linear_falls_in_a_straight_line_from_one_to_final_at_the_last_step():
    assert values(linear(5, 0, 0.2), 5) == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_cosine_falls_along_half_a_cosine():
    got = values(cosine(5, 0, 0.2), 5)
    assert got == pytest.approx([0.2 + 0.8 * (1 + math.cos(math.pi * i / 4)) / 2 for i in range(5)])
    assert (got[0], got[2], got[-1]) == pytest.approx((1, 0.6, 0.2))


def test_warmup_rises_to_one_and_the_fall_begins_after_it():
    got = values(with_warmup(linear(8, 3, 0.0), 3), 8)
    assert got == pytest.approx([0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])
    assert values(with_warmup(constant(), 1), 4) == pytest.approx([0.5, 1, 1, 1])
    assert values(with_warmup(constant(), 0), 2) == [1, 1]


def test_drops_come_every_so_many_steps_counted_from_the_start():
    assert values(drops(2, 0.5), 6) == [1, 1, 0.5, 0.5, 0.25, 0.25]


@pytest.mark.parametrize("total", [1, 2])
@pytest.mark.parametrize("make", [linear, cosine])
def test_the_shortest_runs(make, total):
    got = values(make(total, 0, 0.5), total)
    assert got[0] == 1
    assert all(0.5 <= value <= 1 for value in got)


@given(st.integers(1, 60), st.integers(0, 80), st.floats(0, 1), st.sampled_from([linear, cosine]))
def test_a_factor_is_never_outside_its_range_and_rises_only_in_the_warmup(total, warmup, final, make):
    got = values(with_warmup(make(total, warmup, final), warmup), total)
    assert all(0 <= value <= 1 + 1e-12 for value in got)
    for step in range(1, total):
        if step <= warmup:
            assert got[step] > got[step - 1]
        else:
            assert got[step] <= got[step - 1] + 1e-12
    if total > warmup + 1:
        assert got[warmup] == pytest.approx(1)
        assert got[-1] == pytest.approx(final, abs=1e-12)


def after(losses, patience):
    plateau = Plateau(patience, 0.5)
    out = []
    for loss in losses:
        plateau.observe(loss)
        out.append(plateau.factor)
    return out


def test_a_plateau_drops_after_patience_validations_without_a_new_lowest_loss():
    assert after([3, 2, 2.5, 2.5, 1, 1], patience=1) == [1, 1, 0.5, 0.25, 0.25, 0.125]
    assert after([3, 2, 2.5, 2.5, 2.5, 2.5], patience=2) == [1, 1, 1, 0.5, 0.5, 0.25]


def test_an_improvement_starts_the_wait_of_a_plateau_again():
    assert after([3, 4, 2, 4, 1, 4], patience=2) == [1] * 6


def test_an_equal_loss_is_no_improvement():
    assert after([1, 1], patience=1) == [1, 0.5]
