"""Numbers that options take: nan is none of them."""

import click
import pytest

from rnncli.cli import cli as group
from rnncli.cli.numbers import NumberRange

COMMANDS = [group.get_command(click.Context(group), name) for name in group.list_commands(click.Context(group))]
OPTIONS = [(command, option) for command in COMMANDS for option in command.params if option.type.name == "float range"]


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=[f"{c.name}{o.opts[0]}" for c, o in OPTIONS])
def test_no_option_of_any_command_takes_nan(cli, command, option):
    arguments = ["any"] * sum(isinstance(other, click.Argument) and other.required for other in command.params)
    line = cli.refused(command.name, *arguments, option.opts[0], "nan", code=2)
    assert f"'{option.opts[0]}': nan is not in the range" in line


def test_other_numbers_are_as_click_has_them():
    number = NumberRange(0, 1, min_open=True)
    assert number.convert("0.5", None, None) == 0.5
    with pytest.raises(click.BadParameter, match="is not in the range 0<x<=1"):
        number.convert("0", None, None)
    with pytest.raises(click.BadParameter, match="'a' is not a valid float"):
        number.convert("a", None, None)
