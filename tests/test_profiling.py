import time

import pytest

from rnncli.profiling import REST, STAGES, blas_peak, profiling, stage


def rows_by_stage(profile, peak=1e9):
    return {row["stage"]: row for row in profile.report(peak)}


def test_stages_add_up():
    with profiling() as profile:
        for _ in range(3):
            with stage("forward", 2e6):
                time.sleep(0.01)
        with stage("data"):
            time.sleep(0.01)
    time.sleep(0.05)  # afterwards: is not counted
    rows = rows_by_stage(profile)
    assert rows["all"]["seconds"] == profile.total
    assert list(rows) == ["data", "forward", REST, "all"]
    assert rows["forward"]["seconds"] >= 0.03
    assert rows["data"]["seconds"] >= 0.01
    assert rows[REST]["seconds"] + rows["data"]["seconds"] + rows["forward"]["seconds"] == pytest.approx(
        rows["all"]["seconds"]
    )
    assert rows["forward"]["gflops"] == pytest.approx(6e6 / rows["forward"]["seconds"] / 1e9)
    assert rows["forward"]["of_peak"] == pytest.approx(rows["forward"]["gflops"])
    assert rows["data"]["gflops"] is None


def test_a_stage_within_another_counts_as_that():
    with profiling() as profile:
        with stage("evaluation"), stage("forward", 5e6):
            time.sleep(0.01)
        with stage("forward", 1e6):
            pass
    assert profile.seconds["evaluation"] >= 0.01
    assert profile.seconds["evaluation"] + profile.seconds["forward"] < profile.total
    assert profile.flops == {"evaluation": 5e6, "forward": 1e6}


def test_a_stage_that_raises_is_counted_and_left():
    with profiling() as profile:
        with pytest.raises(ZeroDivisionError), stage("forward"):
            raise ZeroDivisionError
        with stage("backward"):
            pass
    assert list(profile.seconds) == ["forward", "backward"]


def test_nothing_is_counted_unless_asked():
    with profiling() as profile:
        pass
    with stage("forward"):
        pass
    assert not profile.seconds


def test_every_stage_is_explained():
    assert all(STAGES.values())
    with pytest.raises(AssertionError, match="knitting"), stage("knitting"):
        pass


def test_the_peak_is_what_products_reach():
    assert 1e8 < blas_peak(256, 3) < 1e13
