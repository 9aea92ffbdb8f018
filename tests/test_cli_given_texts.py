"""Texts where a file is expected."""

import pytest
from tiny_runs import tiny_values, write_config, write_csv

from rnncli.cli.given_texts import refuse_what_is_no_file
from rnncli.errors import DataError


def test_a_text_where_a_file_is_expected_is_told_where_texts_go(cli, workdir):
    values = tiny_values(write_csv(workdir / "tiny.csv"), name="c", train={"epochs": 1})
    assert cli("train", write_config(workdir / "c.yaml", values)).code == 0
    for command in ("explain", "predict"):
        for text in ("superb film", "good / bad", "c.yaml/there", "long " * 2000, "two\nlines"):
            line = cli.refused(command, "runs/c/best.safetensors", text)
            assert ": there is no such file. Correct the path; a text of your own goes behind --text" in line
            assert len(line) < 200


def test_what_is_there_is_left_to_those_who_read_it(workdir):
    (workdir / "here").write_text("a")
    for path in (workdir / "here", str(workdir)):
        refuse_what_is_no_file(path)
    with pytest.raises(DataError, match="no such file"):
        refuse_what_is_no_file(workdir / "here/there")
