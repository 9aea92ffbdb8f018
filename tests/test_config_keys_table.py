import config_keys_table
import pytest
from config_keys_table import code, text

from rnncli.config import TASKS
from rnncli.config.keys import default_variant, keys_below
from rnncli.config.sections import every_key, variants


def test_the_page_is_current():
    assert config_keys_table.FILE.read_text(encoding="utf-8") == text(), "type: make docs"


@pytest.mark.parametrize("task", TASKS)
def test_every_key_of_a_task_is_on_the_page(task):
    page = text()
    sections = {key for schema in TASKS.values() for key in every_key(schema)}
    for key in {key.path for key in keys_below(TASKS[task])}:
        assert key in sections
        shown = key.replace("data.valid.", "data.train.").replace("data.test.", "data.train.")
        assert f"| `{shown}` |" in page


def test_what_a_section_is_by_default_is_known():
    found = {key.name: key for key in keys_below(TASKS["tagging"])}
    assert found["model.rnn[gru].cell"].default == "lstm"
    assert found["data.spelling[ngrams].kind"].default == "characters"
    assert found["optim[sgd].schedule[step].name"].default == "constant"
    assert found["data.train[conllu].format"].required
    assert not found["model.rnn[gru].cell"].required
    assert found["model.rnn[gru].reset"].variant == "gru"
    assert found["model.rnn[gru].reset"].path == "model.rnn.reset"


@pytest.mark.parametrize("task", TASKS)
def test_a_default_variant_is_one_of_the_variants(task):
    def sections(model):
        for info in model.model_fields.values():
            yield info
            for inner in variants(info.annotation):
                yield from sections(inner)

    named = [info for info in sections(TASKS[task]) if default_variant(info)]
    assert named
    assert all(len(variants(info.annotation)) > 1 for info in named)


def test_values_are_written_as_in_a_config():
    assert [code(value) for value in (1e-8, 0.5, True, None, "a", "", ["b"])] == [
        *("1e-08", "0.5", "true", "null", "a", '""', '["b"]'),
    ]
