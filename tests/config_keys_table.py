"""Writes docs/config-keys.md: every key of a config, and the test which shows that it changes something.

Made of the schema and of the rows of tests/test_config_keys.py, test_config_task_keys.py and test_config_tasks.py:

    make docs
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import test_config_keys
import test_config_task_keys
import test_config_tasks

from rnncli.config import TASKS
from rnncli.config.keys import Key, keys_below
from rnncli.config.language import LanguageDataConfig
from rnncli.config.sections import variants
from rnncli.config.tagging import TaggingDataConfig

FILE = Path(__file__).parents[1] / "docs" / "config-keys.md"
TITLES = {"classification": "Classifiers", "tagging": "Taggers", "language_model": "Language models"}
HEAD = """# Every key of a config

Made from the schema and from the tests by `make docs`; a test fails where this page is not current. The same, of your
own config and with its values: `rnncli config show mine.yaml`.

A key that has no default must be given. Under *of* stands the variant of its section that a key belongs to (`gru` of
`model.rnn`, `sgd` of `optim`), where not all have it; given to another it is refused. What `data.train` may hold,
`data.valid` and `data.test` may too. Sections that are null unless they are given: {nullable}.

No key is without effect: for each there is a test that runs a small config twice, the second time with the value under
*tried*, and fails unless what is compared differs. Rows marked K are in
[`tests/test_config_keys.py`](../tests/test_config_keys.py), T in
[`tests/test_config_task_keys.py`](../tests/test_config_task_keys.py), D in
[`tests/test_config_tasks.py`](../tests/test_config_tasks.py). What is compared is a function of that file: *training*,
for example, is every loss, figure and weight of a run.
"""
COLUMNS = ("key", "of", "may be", "default", "meaning", "tried", "compared")


def evidence(task: str, key: Key) -> tuple[str, Any, str]:
    """Return which file of tests has the row of a key, the other value in it, and what is compared."""
    if key.name == "task":
        return "K", "other", "refused: it decides what all other keys may be"
    if task == "classification" or key.name.startswith("optim["):
        row = test_config_keys.ROWS[key.name]
        return "K", row.value, words(row.effect)
    if key.name.startswith("data."):
        schema = {"tagging": TaggingDataConfig, "language_model": LanguageDataConfig}[task]
        return "D", test_config_tasks.ROWS[schema][key.name.removeprefix("data.")].value, "what is loaded"
    rows = test_config_task_keys.ALL[task.removesuffix("_model")][1]
    return "T", rows[key.name].value, words(rows[key.name].effect)


def nullable_sections() -> Iterator[str]:
    """Yield the sections that may be null."""
    for schema in TASKS.values():
        for name in ("data", "model"):
            for section in variants(schema.model_fields[name].annotation):
                for key, info in section.model_fields.items():
                    if variants(info.annotation) and info.default is None:
                        yield f"{name}.{key}"


def words(effect: Any) -> str:
    return str(effect.__name__).replace("_", " ")


def grouped(task: str) -> dict[tuple[str, ...], list[Key]]:
    """Return the keys of a task, those of several variants that agree in everything together."""
    groups: dict[tuple[str, ...], list[Key]] = {}
    for key in keys_below(TASKS[task]):
        if key.path.startswith(("data.valid.", "data.test.")):
            continue
        allowed = "" if key.chooses or key.path == "task" else key.allowed
        default = "" if key.path == "task" else shown_default(key)
        groups.setdefault((key.path, allowed, default, key.meaning), []).append(key)
    return groups


def shown_default(key: Key) -> str:
    return "" if key.required else f"`{code(key.default)}`"


def code(value: Any) -> str:
    """Return a value as a config has it."""
    if isinstance(value, float) and abs(value) < 1e-3 and value:
        return f"{value:g}"
    return value if isinstance(value, str) and value else json.dumps(value)


def row_of(task: str, keys: list[Key], rivals: set[str]) -> str:
    key = keys[0]
    of = list(dict.fromkeys(one.variant for one in keys))
    everybodys = key.chooses or set(of) == rivals
    allowed = ", ".join(of) if key.chooses else key.allowed.replace("9223372036854775808", "2^63")
    default = shown_default(key)
    if key.path == "task":
        allowed, default = ", ".join(TASKS), "`classification`"
    file, value, compared = evidence(task, key)
    cells = (f"`{key.path}`", "" if everybodys else ", ".join(of), allowed, default, key.meaning)
    return "| " + " | ".join((*cells, f"`{code(value)}`", f"{compared} ({file})")) + " |"


def rows(task: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what tells the rows of a task apart, and the rows."""
    groups = grouped(task)
    rivals: dict[str, set[str]] = {}
    for key in keys_below(TASKS[task]):
        rivals.setdefault(key.path.rpartition(".")[0], set()).add(key.variant)
    for group, keys in groups.items():
        yield (*group, *(key.variant for key in keys)), row_of(task, keys, rivals[group[0].rpartition(".")[0]])


def text() -> str:
    """Return the page."""
    of_task = {task: dict(rows(task)) for task in TASKS}
    shared = [group for group in of_task["classification"] if all(group in found for found in of_task.values())]
    sections = {"All tasks": [of_task["classification"][group] for group in shared]}
    for task, found in of_task.items():
        sections[TITLES[task]] = [row for group, row in found.items() if group not in shared]
    lines = [HEAD.format(nullable=", ".join(f"`{name}`" for name in dict.fromkeys(nullable_sections())))]
    for title, table in sections.items():
        head = "| " + " | ".join(COLUMNS) + " |"
        lines += [f"## {title}\n", head, "|" + " --- |" * len(COLUMNS), *table, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
