import click
import pytest

from rnncli.cli.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("2h", 7200),
        ("1.5h", 5400),
        ("1h30m", 5400),
        ("1m 30 s", 90),
        (" 5M ", 300),
        (12.5, 12.5),
    ],
)
def test_a_time_has_a_unit(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("5", "5 has no unit: type 5s for seconds, 5m for minutes or 5h for hours."),
        ("0.5", "type 0.5s for seconds"),
        ("5min", "'5min' is no time; type a number and s, m or h, such as 90s, 5m or 2h."),
        ("", "'' is no time"),
        ("m", "is no time"),
        ("-5m", "is no time"),
        ("1e3s", "is no time"),
        ("nan", "is no time"),
        ("\u0665m", "is no time"),  # a digit, but of another script
        ("0s", "0s is not between 1s and 720h"),
        ("721h", "is not between"),
        ("9" * 400 + "h", "is not between"),
    ],
)
def test_anything_else_is_refused_with_what_to_type(text, said):
    with pytest.raises(click.BadParameter) as refused:
        Duration().convert(text, None, None)
    assert said in refused.value.message
