"""Columns of text."""

import click

from rnncli.cli.tables import columns, table


def test_words_begin_and_numbers_end_under_their_heads():
    assert table(["tensor", "shape", "numbers"], [["output.w", "128 x 2", "256"], ["b", "2", "1,024"]], left=2) == [
        "tensor    shape    numbers",
        "output.w  128 x 2      256",
        "b         2          1,024",
    ]


def test_colours_take_no_room():
    plain, coloured = table(["a", "b"], [["x", "1"]]), table(["a", "b"], [[click.style("x", fg="red"), "1"]])
    assert [click.unstyle(line) for line in coloured] == plain


def test_wide_characters_take_two_columns():
    assert columns("日本x") == 5
    assert table(["label", "n"], [["日本", "1"], ["x", "2"]]) == ["label  n", "日本   1", "x      2"]


def test_no_rows_leave_the_heads():
    assert table(["a", "b"], []) == ["a  b"]
