import json

import click
import pytest

from rnncli import layers
from rnncli.config import TASKS
from rnncli.config.sections import every_key
from rnncli.data import readers
from rnncli.data.tagging import readers as sentence_readers
from rnncli.inventory import KINDS, inventory

PARTS = inventory()


def names(key, task="classification"):
    return [part.name for part in PARTS if part.key == key and task in part.tasks]


def test_it_has_what_the_code_has():
    assert set(names("model.rnn.cell")) == set(names("model.rnn.cell", "language_model")) == set(layers.CELLS)
    assert set(names("data.train.format")) == set(readers.READERS)
    assert set(names("data.train.format", "tagging")) == set(sentence_readers.READERS)
    assert names("model.pooling") == ["last", "mean", "max", "attention"]
    assert names("optim.schedule.name") == ["constant", "linear", "cosine", "step", "plateau"]
    assert {part.kind for part in PARTS} == set(KINDS.values())


@pytest.mark.parametrize("task", TASKS)
def test_each_choice_has_one_default_where_there_is_one(task):
    for key in KINDS:
        defaults = [part.name for part in PARTS if part.key == key and task in part.tasks and part.default]
        there = key in set(every_key(TASKS[task]))
        assert len(defaults) == (there and key not in ("data.train.format", "model.ngrams")), (task, key)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"{part.kind}-{part.name}-{part.tasks[0]}")
def test_everything_about_a_part_is_there(part):
    assert part.meaning
    assert "\n" not in part.meaning
    assert part.explanation
    assert part.functions
    for function in part.functions:
        assert function.meaning
        assert function.module.startswith("rnncli.")
    for key in part.keys:
        assert key.meaning
        assert all(key.path in set(every_key(TASKS[task])) for task in part.tasks)
    assert len({key.path for key in part.keys}) == len(part.keys)


def test_functions_are_shown_as_they_are_called():
    (gru,) = (part for part in PARTS if part.name == "gru" and "tagging" in part.tasks)
    calls = [function.call for function in gru.functions]
    assert "gru_step_forward(x, prev_h, Wx, Wh, b, *, reset='before', bhn=None) -> next_h, cache" in calls
    assert "h' = (1 - z) * n + z * h" in gru.explanation
    assert [key.path for key in gru.keys][-1] == "model.rnn.reset"


def test_the_list(cli):
    done = cli("layers")
    assert (done.code, done.err) == (0, "")
    for part in PARTS:
        assert f"\n  {part.name} " in done.out
    assert "with clip_norm: 1.0" in done.out
    assert "(default)  forget_bias: 1.0" in done.out


@pytest.mark.parametrize("width", [60, 80, 200])
def test_it_fits_the_terminal(cli, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = cli("layers").out.splitlines()[:-1]  # the last names two commands
    assert max(map(len, map(click.unstyle, lines))) <= min(width, 120)


def test_one_of_them(cli):
    done = cli("layers", "gru")
    assert done.code == 0
    assert "r, z = sigmoid(x Wx + h Wh + b)" in done.out
    assert "model.rnn.reset: before" in done.out
    assert "keys of language models" in done.out
    assert "``" not in done.out


@pytest.mark.parametrize("name", sorted({part.name for part in PARTS}))
def test_each_can_be_asked_for(cli, name):
    assert cli("layers", name).out.startswith(f"{name}: ")


def test_its_json(cli):
    found = json.loads(cli("layers", "adamw", "--json").out)
    assert [part["name"] for part in found] == ["adamw"]
    assert found[0]["keys"][-1]["key"] == "optim.weight_decay"
    assert found[0]["keys"][-1]["default"] == 0.01
    assert len(json.loads(cli("layers", "--json").out)) == len(PARTS)


def test_another_name_is_refused(cli):
    assert "Did you mean 'lstm'?" in cli.refused("layers", "lsmt", code=2)
    assert cli.refused("layers", "xyz", code=2).endswith("rnncli layers")
