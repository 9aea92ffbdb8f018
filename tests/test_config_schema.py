import json
from pathlib import Path

import pytest
import test_config_keys
import test_config_task_keys
import test_config_tasks
from jsonschema import Draft7Validator
from test_config_keys import with_value
from tiny_runs import merged
from tiny_tasks import language_values, tagging_values

from rnncli.config import TASKS, load_config, parse_config
from rnncli.config.language import LanguageDataConfig
from rnncli.config.schema import SCHEMA_FILE, config_schema, schema_text
from rnncli.config.sections import every_key
from rnncli.config.tagging import TaggingDataConfig
from rnncli.config.yaml_text import parse
from rnncli.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
SCHEMA = config_schema()
WHOLE = Draft7Validator(SCHEMA)
OF_TASK = {task: Draft7Validator(config_schema(task)) for task in TASKS}


def faults(values, validator=WHOLE):
    return [error.message for error in validator.iter_errors(values)]


def test_the_file_of_the_package_is_current():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "type: make docs"


@pytest.mark.parametrize("task", [None, *TASKS])
def test_it_is_a_schema(task):
    Draft7Validator.check_schema(config_schema(task))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_config_that_ships_names_the_schema_and_follows_it(path):
    text = path.read_text(encoding="utf-8")
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == SCHEMA_FILE.resolve()
    assert faults(parse(text).value) == []
    assert faults(load_config(path).model_dump(mode="json")) == []


def accepted():
    """Yield configs of the tests of keys, each of which has one key changed."""
    plain = {name: values() for name, values in test_config_task_keys.PLAIN.items()}
    for key, row in test_config_keys.ROWS.items():
        values = merged(test_config_keys.PLAIN, dict(row.changes))
        yield f"classification {key}", with_value(values, key, row.value)
    for task, (_, rows) in test_config_task_keys.ALL.items():
        for key, row in rows.items():
            yield f"{task} {key}", with_value(merged(plain[task], dict(row.changes)), key, row.value)
    for schema, whole in ((LanguageDataConfig, language_values), (TaggingDataConfig, tagging_values)):
        for key, row in test_config_tasks.ROWS[schema].items():
            data = with_value(merged(test_config_tasks.PLAIN[schema], dict(row.changes)), key, row.value)
            yield f"{schema.__name__} {key}", {**whole("x"), "data": data}


ACCEPTED = dict(accepted())


def test_it_accepts_whatever_load_config_does():
    compared = 0
    for name, values in ACCEPTED.items():
        try:
            config = parse_config(values, name)
        except ConfigError:
            continue  # such as a format with the keys of another
        compared += 1
        assert faults(values) == [], name
        assert faults(config.model_dump(mode="json")) == [], name
        assert faults(values, OF_TASK[config.task]) == [], name
    assert compared > 200


BAD = [
    ({"model": {"poling": "mean"}}, "'poling' was unexpected"),
    ({"model": {"pooling": "middle"}}, "'middle' is not valid under any of the given schemas"),
    ({"model": {"rnn": {"cell": "lsmt"}}}, "'lsmt' is not one of ['rnn', 'lstm', 'gru']"),
    ({"model": {"rnn": {"cell": "gru", "forget_bias": 1.0}}}, "'forget_bias' was unexpected"),
    ({"model": {"rnn": {"hidden": 3, "reset": "after"}}}, "'reset' was unexpected"),  # an LSTM by default
    ({"model": {"rnn": {"hidden": "128"}}}, "'128' is not of type 'integer'"),
    ({"model": {"rnn": {"hidden": 0}}}, "0 is less than the minimum of 1"),
    ({"model": None}, "None is not of type 'object'"),
    ({"optim": {"name": "adam", "lr": 0}}, "0 is less than or equal to the minimum of 0"),
    ({"optim": {"name": "adam", "schedule": {"factor": 0.5}}}, "'factor' was unexpected"),
    ({"data": {"train": {"format": "xml", "path": "a"}}}, "'xml' is not one of"),
    ({"data": {"train": {"format": "csv"}}}, "'path' is a required property"),
    ({"data": {"valid": {"path": "a.csv"}}}, "is not valid under any of the given schemas"),
    ({"task": "tagging"}, "'pooling' was unexpected"),
    ({"train": {"best_metric": 3}}, "3 is not one of"),
    ({"tsak": "classification"}, "'tsak' was unexpected"),
    ({"task": "translation"}, "'translation' is not one of"),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=lambda value: json.dumps(value)[:50])
def test_what_is_wrong_is_found(change, said):
    plain = {**test_config_keys.PLAIN, "model": {"pooling": "mean"}}
    values = {**plain, "model": None} if change == {"model": None} else merged(plain, change)
    with pytest.raises(ConfigError):
        parse_config(values, "bad")
    found = faults(values)
    assert any(said in message for message in found), found


def test_a_config_without_data_is_found():
    assert faults({"seed": 1}) == ["'data' is a required property"]


def test_it_knows_every_key_with_its_meaning():
    def keys(node):
        if isinstance(node, dict):
            for name, value in node.get("properties", {}).items():
                if "if" not in node and value.keys() != {"const"}:
                    yield name, value
            for value in node.values():
                yield from keys(value)
        elif isinstance(node, list):
            for item in node:
                yield from keys(item)

    found = list(keys(SCHEMA))
    assert {name for name, _ in found} == {
        key.rpartition(".")[2] for schema in TASKS.values() for key in every_key(schema)
    }
    assert [name for name, value in found if not value.get("description")] == []


def test_sections_of_one_name_are_one_section():
    for task in TASKS:
        for name, definition in config_schema(task)["definitions"].items():
            assert definition == SCHEMA["definitions"][name]


def test_it_is_printed(cli):
    done = cli("config", "schema")
    assert (done.code, json.loads(done.out)) == (0, SCHEMA)
    done = cli("config", "schema", "--task", "tagging")
    assert json.loads(done.out) == config_schema("tagging")
    assert "LanguageConfig" not in done.out


def test_another_task_is_refused(cli):
    assert "Did you mean 'tagging'" in cli.refused("config", "schema", "--task", "taging", code=2)
