"""Figures as people read them."""

import pytest

from rnncli.worded import chance, compact, count, duration, setting


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (7.14, "7.1 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (73.4, "1 min 13 s"),
        (3599.6, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_counts():
    assert (count(None), count(None, "MB"), count(1234567.6), count(12.4, "MB")) == ("-", "-", "1,234,568", "12 MB")


@pytest.mark.parametrize(
    ("p", "text"), [(1, "1.00"), (0.0994, "0.099"), (0.0996, "0.10"), (0.001, "0.001"), (1e-9, "<0.001")]
)
def test_chances(p, text):
    assert chance(p) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12.0, "12"),
        (1234567.0, "1,234,567"),
        (0.69314718, "0.6931"),
        (3.14159e-5, "3.1e-05"),
        (1234.56, "1,234.6"),
        (float("inf"), "inf"),
    ],
)
def test_compact_numbers(value, text):
    assert compact(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (False, "false"), (1.0, "1.0"), ("lstm", "lstm"), (["a", 1], '["a", 1]')]
)
def test_settings_are_written_as_in_yaml(value, text):
    assert setting(value) == text
