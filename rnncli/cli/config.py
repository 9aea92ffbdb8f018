"""``rnncli config``: what a config comes to."""

import json
from pathlib import Path

import click

from rnncli.cli.options import set_option


@click.group(name="config")
def command() -> None:
    """Look at a config, or at all that one may hold."""


@command.command()
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path))
@set_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def show(path: Path, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print CONFIG with every default filled in and the meaning of each key.

    What is printed is itself a config that does the same.
    """
    from rnncli.config import load_config, usable_name
    from rnncli.config.show import describe, to_commented_yaml

    config = load_config(path, overrides)
    default_name = usable_name(path.stem)
    if not as_json:
        click.echo(to_commented_yaml(config, default_name), nl=False)
        return
    keys = [
        {
            "key": entry.key,
            "value": entry.value,
            "default": entry.default,
            "required": entry.required,
            "changed": entry.changed,
            "allowed": entry.allowed,
            "meaning": entry.meaning,
        }
        for entry in describe(config, default_name)
        if not entry.section
    ]
    click.echo(json.dumps({"config": config.model_dump(), "keys": keys}, indent=2, ensure_ascii=False))


@command.command()
@click.option("--task", metavar="TASK", help="For configs of one task only: classification, tagging, language_model.")
def schema(task: str | None) -> None:
    """Print the JSON Schema of a config, for editors and other programs.

    The one for all tasks is also a file of the package, which the first line of a config may name.
    """
    from rnncli.config.schema import config_schema

    click.echo(json.dumps(config_schema(task), indent=1, ensure_ascii=False))
