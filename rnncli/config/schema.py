"""The JSON Schema of a config file, by which editors complete, explain and check its keys.

It is of draft 7, which every language server for YAML knows. A schema can say which keys there are, what each may be
and what it means; that two values do not go together is for :func:`rnncli.config.load_config` to say. So the schema
accepts whatever that accepts, and some more.

``schema.json`` beside this module holds it. To write that file anew: ``make docs``.
"""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from rnncli.config import TASKS
from rnncli.config.base import DefaultVariant
from rnncli.config.messages import nearest
from rnncli.errors import ConfigError

DIALECT = "http://json-schema.org/draft-07/schema#"
DEFAULT_TASK = "classification"
SCHEMA_FILE = Path(__file__).with_name("schema.json")

Node = dict[str, Any]
_DEFAULT = "default-variant"  # from the generator to what comes after it


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, which notes what variant a section is that does not say."""

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Return the schema of what comes after a function."""
        inner = super().function_before_schema(schema)
        function = schema["function"]["function"]
        return {**inner, _DEFAULT: function.value} if isinstance(function, DefaultVariant) else inner


def config_schema(task: str | None = None) -> Node:
    """Make the JSON Schema of a config file.

    Parameters
    ----------
    task : str, optional
        For configs of one task. Without it ``task`` in the file decides, and a file without one is a classifier's.

    Returns
    -------
    dict
        The schema.

    Raises
    ------
    ConfigError
        If there is no such task.
    """
    if task is not None and task not in TASKS:
        raise ConfigError(f"{task!r} is not a task ({', '.join(TASKS)}){nearest(task, list(TASKS))}", where="--task")
    definitions: Node = {}
    for name in TASKS if task is None else [task]:
        whole = TASKS[name].model_json_schema(ref_template="#/definitions/{model}", schema_generator=_Generator)
        definitions |= whole.pop("$defs")
        definitions[TASKS[name].__name__] = whole
    definitions = {name: _plain(definition, definitions) for name, definition in sorted(definitions.items())}
    references = {name: {"$ref": f"#/definitions/{schema.__name__}"} for name, schema in TASKS.items()}
    if task is not None:
        body: Node = {"allOf": [references[task]]}
    else:
        meaning = TASKS[DEFAULT_TASK].model_fields["task"].description
        body = _choice("task", references, DEFAULT_TASK, meaning)
    return {"$schema": DIALECT, "title": "rnncli config", **body, "definitions": definitions}


def schema_text() -> str:
    """Return what ``schema.json`` holds: the schema for all tasks."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def _plain(node: Any, definitions: Node) -> Any:
    """Return a part of pydantic's schema in terms of draft 7, without what would only be noise in an editor."""
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key not in ("title", "discriminator", _DEFAULT)}
    if isinstance(kept.get("default"), dict):  # of a section, whose keys have their own
        del kept["default"]
    if "discriminator" in node:
        tag, variants = node["discriminator"]["propertyName"], {}
        for reference in kept.pop("oneOf"):
            variant = definitions[reference["$ref"].rpartition("/")[2]]["properties"][tag]
            variants[variant["const"]], meaning = reference, variant.get("description")
        return {**kept, **_choice(tag, variants, node.get(_DEFAULT), meaning)}
    if "$ref" in kept and len(kept) > 1:  # what stands beside it does not count in draft 7
        kept = {"allOf": [{"$ref": kept.pop("$ref")}], **kept}
    if "properties" in kept:  # whose names are not words of the schema
        properties = {name: _plain(value, definitions) for name, value in kept.pop("properties").items()}
        return {**_plain(kept, definitions), "properties": properties}
    return {key: _plain(value, definitions) for key, value in kept.items()}


def _choice(tag: str, variants: dict[str, Node], default: str | None, meaning: str | None) -> Node:
    """Return the schema of a section that a key chooses among some, so that errors are those of the one chosen."""

    def chosen(value: str) -> Node:
        condition: Node = {"properties": {tag: {"const": value}}}
        return condition if value == default else {**condition, "required": [tag]}

    key: Node = {"enum": list(variants)} | ({"description": meaning} if meaning else {})
    return {
        "type": "object",
        **({} if default else {"required": [tag]}),
        "properties": {tag: key | ({"default": default} if default else {})},
        "allOf": [{"if": chosen(value), "then": reference} for value, reference in variants.items()],
    }


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
