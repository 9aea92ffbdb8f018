"""What a shell is told when somebody presses the tab key: keys of ``--set``, checkpoints, runs.

Light: the keys are read from the package's JSON schema, so that the schema's own code need not be imported.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click
from click.shell_completion import BashComplete, CompletionItem, add_completion_class

RUNS = Path("runs")
SCHEMA = Path(__file__).parents[1] / "config" / "schema.json"
DEFAULT_TASK = "classification"
WITH_SET = ("train", "sweep", "plan", "gradcheck", "verify-resume", "import")
CONFIG_BYTES = 2**16  # of a config that are searched for its task
_TASK = re.compile(r"^task:\s*['\"]?(\w+)", re.MULTILINE)


class Setting(NamedTuple):
    """A key that ``--set`` takes: its path, its meaning, and its values where there are a few only."""

    path: str
    meaning: str
    values: tuple[str, ...]


def complete_setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the key or, after the equals sign, the value of ``--set``.

    Parameters
    ----------
    ctx, param
        As click gives them; of the config that is named already, only its task is read.
    incomplete : str
        What has been typed.

    Returns
    -------
    list of CompletionItem
        Whole words.
    """
    known = {setting.path: setting for setting in settings(_task(ctx))}
    key, equals, value = incomplete.partition("=")
    if equals:
        values = known[key].values if key in known else ()
        return [CompletionItem(f"{key}={one}") for one in values if one.startswith(value)]
    # Zsh puts a blank behind whatever it completes.
    end = "" if os.environ.get("_RNNCLI_COMPLETE") == "zsh_complete" else "="
    return [CompletionItem(path + end, help=one.meaning) for path, one in known.items() if path.startswith(key)]


def complete_checkpoint(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a checkpoint: those of the runs in ``runs/``, or any file."""
    return _paths(sorted([*RUNS.glob("*/best.safetensors"), *RUNS.glob("*/last.safetensors")]), incomplete)


def complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the folder of a run: those in ``runs/``, or any folder."""
    return _paths(sorted(path.parent for path in RUNS.glob("*/config.yaml")), incomplete)


def stand_in(name: str) -> click.Command | None:
    """Return what completes the value of a command's ``--set`` in its stead, so that it need not be imported.

    Parameters
    ----------
    name : str
        The command.

    Returns
    -------
    Command or None
        None if nothing is being completed, or something else is.
    """
    words = os.environ.get("COMP_WORDS", "").split()
    if "_RNNCLI_COMPLETE" not in os.environ or name not in WITH_SET or "--set" not in words[-4:]:
        return None
    if words[-1].startswith("-") and words[-1] != "--set":  # an option's name
        return None
    option = click.Option(["--set", "overrides"], multiple=True, shell_complete=complete_setting)
    return click.Command(name, params=[click.Argument(["config"], type=click.Path()), option])


def settings(task: str) -> list[Setting]:
    """Return the keys of a task's configs.

    Parameters
    ----------
    task : str
        The task; another name stands for the default one.

    Returns
    -------
    list of Setting
        In the order of the schema, each once.
    """
    try:
        schema = json.loads(SCHEMA.read_bytes())
    except (OSError, ValueError):  # an installation without it completes nothing
        return []
    sections = {branch["if"]["properties"]["task"]["const"]: branch["then"] for branch in schema["allOf"]}
    found: dict[str, Setting] = {}
    for setting in _below(sections.get(task, sections[DEFAULT_TASK]), schema["definitions"], ""):
        earlier = found.get(setting.path, setting)
        values = tuple(dict.fromkeys(earlier.values + setting.values))
        found[setting.path] = earlier._replace(values=values)
    return list(found.values())


def _below(node: dict[str, Any], definitions: dict[str, Any], path: str) -> Iterator[Setting]:
    """Yield the keys below a part of the schema."""
    if "$ref" in node:
        yield from _below(definitions[node["$ref"].rpartition("/")[2]], definitions, path)
        return
    inner = [branch.get("then", branch) for branch in (*node.get("allOf", ()), *node.get("anyOf", ()))]
    sections = [branch for branch in inner if "$ref" in branch or "allOf" in branch]
    for name, value in node.get("properties", {}).items():
        yield from _below(value, definitions, f"{path}.{name}" if path else name)
    for branch in sections:
        yield from _below(branch, definitions, path)
    if not sections and "properties" not in node:
        yield Setting(path, node.get("description", ""), tuple(_values(node)))


def _values(node: dict[str, Any]) -> Iterator[str]:
    """Yield the values that a key may have, where the schema lists them."""
    yield from (str(value) for value in node.get("enum", ()))
    if "const" in node:
        yield str(node["const"])
    if node.get("type") in ("boolean", "null"):
        yield from ("true", "false") if node["type"] == "boolean" else ("null",)
    for branch in node.get("anyOf", ()):
        yield from _values(branch)


def _task(ctx: click.Context) -> str:
    """Return the task of the config on the command line."""
    words = [ctx.params.get("config"), ctx.params.get("path"), *ctx.args]
    for named in (word for word in words if word and os.path.isfile(word)):
        with suppress(OSError), open(named, encoding="utf-8", errors="replace") as file:
            found = _TASK.search(file.read(CONFIG_BYTES))
            return found[1] if found else DEFAULT_TASK
    return DEFAULT_TASK


def _paths(found: list[Path], incomplete: str) -> list[CompletionItem]:
    """Return those of some paths that begin with what was typed, or let the shell complete any file."""
    items = [CompletionItem(str(path)) for path in islice(found, 1000) if str(path).startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]


class _Bash(BashComplete):
    """Click's own, for words with an equals sign, at which bash breaks them: no blank after it, and what follows."""

    source_template = BashComplete.source_template.replace(
        "COMPREPLY+=($value)", "COMPREPLY+=($value)\n            [[ $value == *= ]] && compopt -o nospace"
    )
    broken = ""  # what stands before the equals sign, and bash keeps

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the one to complete, and that, put together again."""
        args, incomplete = super().get_completion_args()
        if incomplete == "=" or args[-1:] == ["="]:
            value = "" if incomplete == "=" else incomplete
            *args, key = args if incomplete == "=" else args[:-1]
            if not key.startswith("-"):
                self.broken = f"{key}="
                return args, self.broken + value
            return [*args, key], value
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        """Return a line for the script."""
        return f"{item.type},{item.value.removeprefix(self.broken)}"


add_completion_class(_Bash)
