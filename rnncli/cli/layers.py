"""``rnncli layers``."""

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import click

from rnncli.cli.tables import table
from rnncli.config.keys import Key
from rnncli.config.messages import nearest
from rnncli.config.yaml_text import dump_inline
from rnncli.errors import ConfigError
from rnncli.inventory import Part, inventory

MOST_COLUMNS = 120
_NO_BREAK = "\N{NO-BREAK SPACE}"
OF_TASK = {"classification": "classifiers", "tagging": "taggers", "language_model": "language models"}


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a part."""
    return [name for name in dict.fromkeys(part.name for part in inventory()) if name.startswith(incomplete)]


@click.command("layers")
@click.argument("name", required=False, shell_complete=_names)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(name: str | None, as_json: bool) -> None:
    """List what models and their training can be made of: cells, poolings, losses, optimizers, schedules, readers.

    With a NAME, such as gru, say all of that one: its equations, its functions, its keys.
    """
    every = inventory()
    parts = [part for part in every if name in (None, part.name)]
    if not parts:
        meant = nearest(name, list(dict.fromkeys(part.name for part in every)))
        raise ConfigError(f"there is no {name!r}{meant}", remedy=None if meant else "For a list: rnncli layers")
    if as_json:
        click.echo(json.dumps([_plain(part) for part in parts], ensure_ascii=False))
        return
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS)
    lines = _list(parts, width) if name is None else _details(parts, width)
    click.echo("\n".join(lines))


def _list(parts: list[Part], width: int) -> Iterator[str]:
    """Yield a line for each part, and before those of a kind what all of them have."""
    for (kind, key, tasks), group in groupby(parts, lambda part: (part.kind, part.key, part.tasks)):
        of_kind = list(group)
        common = [own for own in of_kind[0].keys if all(_same(own, part.keys) for part in of_kind)]
        whose = "" if len(tasks) == len(OF_TASK) else f" of {_whose(tasks)}"
        yield click.style(f"{kind}{whose}", bold=True) + f"  ({key})"
        if common:
            yield from _settings("  with ", common, width)
        names = max(len(part.name) for part in of_kind)
        for part in of_kind:
            default = " (default)" if part.default else ""
            lines = _indented(_unmarked(part.meaning) + default, f"  {part.name:<{names}}  ", width)
            own = [key for key in part.keys if not _same(key, common)]
            settings = _settings(" " * (names + 4), own, width) if own else []
            if len(lines) == len(settings) == 1 and len(lines[0]) + 2 + len(settings[0].lstrip()) <= width:
                lines, settings = [f"{lines[0]}  {settings[0].lstrip()}"], []
            yield from lines + settings
        yield ""
    yield "all of one: rnncli layers NAME; every key: rnncli config show CONFIG"


def _settings(first: str, keys: Sequence[Key], width: int) -> list[str]:
    """Return keys with their defaults, broken between two of them only."""
    text = ", ".join(_setting(key).replace(" ", _NO_BREAK) for key in keys)
    return [line.replace(_NO_BREAK, " ") for line in _indented(text, first, width)]


def _details(parts: list[Part], width: int) -> Iterator[str]:
    """Yield everything about parts of one name."""
    for _, group in groupby(parts, lambda part: (part.key, part.explanation, part.functions)):
        alike = list(group)
        part = alike[0]
        yield click.style(part.name, bold=True) + f": {_unmarked(part.meaning)}"
        yield f"{part.key}: {'{}' if part.key.endswith(f'.{part.name}') else part.name}"  # a section, or a name
        if part.explanation.rstrip() not in ("", part.meaning):
            yield ""
            yield from (line.replace("``", "") for line in part.explanation.replace("::\n", ":\n").strip().splitlines())
        yield ""
        for function in part.functions:
            yield from _indented(f"{function.module}.{function.call}", "", width, "    ")
            yield f"    {_unmarked(function.meaning)}"
        for one in alike:
            if one.keys:
                yield ""
                yield f"keys{'' if len(one.tasks) == len(OF_TASK) else f' of {_whose(one.tasks)}'}"
                rows = [(key.path, _default(key), key.allowed, key.meaning) for key in one.keys]
                yield from _key_lines(rows, width)
        if part is not parts[-1] and alike[-1] is not parts[-1]:
            yield ""


def _key_lines(rows: list[tuple[str, str, str, str]], width: int) -> Iterator[str]:
    """Yield a table of keys; their meanings on lines of their own where the terminal is narrow."""
    whole = table(["key", "default", "may be", "meaning"], rows, left=4)
    if max(map(len, whole)) <= width:
        yield from (f"  {line}" for line in whole)
        return
    for key, default, allowed, meaning in rows:
        yield f"  {key}: {default}" if default else f"  {key}"
        yield from _indented(f"{meaning} ({allowed})", "      ", width)


def _indented(text: str, first: str, width: int, later: str | None = None) -> list[str]:
    """Return text wrapped behind what its first line begins with."""
    indent = " " * len(first) if later is None else later
    return textwrap.wrap(text, max(width, len(indent) + 20), initial_indent=first, subsequent_indent=indent) or [first]


def _whose(tasks: Sequence[str]) -> str:
    return " and ".join(OF_TASK[task] for task in tasks)


def _same(key: Key, others: Sequence[Key]) -> bool:
    """Tell whether one of the others is the same key in all that is shown of it."""
    return any((key.path, key.default, key.required) == (other.path, other.default, other.required) for other in others)


def _setting(key: Key) -> str:
    """Return a key with its default."""
    name = key.path.rpartition(".")[2]
    return name if key.required else f"{name}: {dump_inline(key.default)}"


def _default(key: Key) -> str:
    return "" if key.required else dump_inline(key.default)


def _unmarked(text: str) -> str:
    return text.replace("``", "").removesuffix(".")


def _plain(part: Part) -> dict[str, Any]:
    """Return a part ready for JSON."""
    keys = [
        {
            "key": key.path,
            "allowed": key.allowed,
            "default": key.default,
            "required": key.required,
            "meaning": key.meaning,
        }
        for key in part.keys
    ]
    return {**asdict(part), "keys": keys}
