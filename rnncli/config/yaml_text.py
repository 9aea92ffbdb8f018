"""YAML text to plain values and back, with the line each value stands on.

PyYAML parses; the values are then built here rather than by its constructors, because those drop duplicate keys and
line numbers, expand aliases without limit and follow YAML 1.1, where ``2e-3`` is text and ``no`` is false. Only
mappings, lists, text, numbers, true, false and null exist here; every tag is refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 32
MAX_NODES = 20_000

Path = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(
    r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"
    r"|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
)
_PARSER_SURPRISES = (ValueError, OverflowError, IndexError, RecursionError)


class YamlFault(Exception):
    """Text that cannot be used, with the line (from 1) where that shows."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message, self.line = message, line


@dataclass
class Document:
    """Plain values, and the line (from 1) of the key or list item that each path leads to."""

    value: Any = None
    lines: dict[Path, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """The safe parser with YAML 1.2's scalars and a limit on size and depth."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own form)
    depth = nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, refusing one nested too deep before Python's own stack runs out."""
        self.depth += 1
        self.nodes += 1
        _limit(self.depth, self.nodes, self.peek_event().start_mark.line + 1)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Writes text in quotes wherever YAML 1.1 or the loader above would read it as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values out each time: a config has no anchors."""
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Escape line ends and whatever else cannot be seen, which PyYAML by itself leaves as it is."""
        return self.represent_scalar(_TAG + "str", data, style=None if data.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.represent_str)
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_TAG + "int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789"))
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(_TAG + "float", _FLOAT, list("-+0123456789."))


def parse(text: str) -> Document:
    """Parse one YAML document.

    Parameters
    ----------
    text : str
        The text; empty or only comments gives the value None.

    Returns
    -------
    Document
        The value and the lines of its parts.

    Raises
    ------
    YamlFault
        If it is not YAML, or not of the plain kind described above.
    """
    try:
        node = yaml.compose(text, _Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise YamlFault(f"the character {chr(int(error.character))!a} cannot stand in YAML", line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(_plain_problem(error), mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise YamlFault("not valid YAML: " + " ".join(str(error).split())) from None
    except _PARSER_SURPRISES:
        # Escapes and directives with absurd numbers make PyYAML fail outside its own errors.
        raise YamlFault("not valid YAML: a number or an escape in it is out of range") from None
    document = Document()
    if node is not None:
        document.value = _Builder(document.lines).build(node, ())
    return document


def dump(value: Any) -> str:
    """Return the YAML text of plain values, one key a line.

    Parameters
    ----------
    value : dict, list, str, int, float, bool or None
        What :func:`parse` gives.

    Returns
    -------
    str
        Text that parses to an equal value.
    """
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6)
    assert isinstance(text, str)
    return text


def dump_inline(value: Any) -> str:
    """Return the YAML text of plain values on one line, to stand after a key.

    Parameters
    ----------
    value : dict, list, str, int, float, bool or None
        What :func:`parse` gives.

    Returns
    -------
    str
        One line that parses to an equal value.
    """
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6, default_flow_style=True
    )  # fmt: skip
    assert isinstance(text, str)
    return text.removesuffix("\n").removesuffix("\n...")


class _Builder:
    """Turns PyYAML's nodes into values; counts them, so that aliases cannot multiply without end."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self.lines = lines
        self.nodes = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        """Return the value of a node and note where it stands."""
        self.nodes += 1
        line = node.start_mark.line + 1
        _limit(len(path), self.nodes, line)
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            try:
                return _SCALARS[node.tag](node.value)
            except (ValueError, KeyError):
                raise YamlFault(f"{_short(node.value)} cannot be read as a value", line) from None
        raise YamlFault(f"the tag {_short(node.tag)} is not allowed. Write the value without a tag", line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Build a mapping, whose keys are taken as the text they are written as."""
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlFault("a list or a section cannot be a key", line)
            try:
                key = _text(key_node.value)
            except ValueError:
                raise YamlFault(f"{_short(key_node.value)} cannot be read as a key", line) from None
            if key in built:
                earlier = self.lines[(*path, key)]
                raise YamlFault(f"the key {_short(key)} is given twice, first in line {earlier}. Keep one", line)
            self.lines[(*path, key)] = line
            built[key] = self.build(value_node, (*path, key))
        return built


def _text(text: str) -> str:
    """Return text unchanged if UTF-8 can hold it."""
    text.encode("utf-8")
    return text


_SCALARS: dict[str, Callable[[str], Any]] = {
    _TAG + "str": _text,
    _TAG + "int": int,
    _TAG + "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
    _TAG + "bool": lambda text: {"true": True, "false": False}[text.lower()],
    _TAG + "null": lambda text: {"": None, "~": None, "null": None}[text.lower()],
}


def _limit(depth: int, nodes: int, line: int) -> None:
    """Refuse what no config needs, before it costs time or memory."""
    if depth > MAX_DEPTH:
        raise YamlFault(f"nested more than {MAX_DEPTH} levels deep", line)
    if nodes > MAX_NODES:
        raise YamlFault(f"more than {MAX_NODES} values, aliases counted each time", line)


def _short(text: str) -> str:
    """Return text in quotes, on one line and not too long."""
    return ascii(text) if len(text) <= 60 else ascii(text[:57] + "...")


def _plain_problem(error: yaml.MarkedYAMLError) -> str:
    """Say what is wrong in words for someone who does not know the parser."""
    problem = " ".join((error.problem or error.context or "it cannot be read").split())
    if "'\\t'" in problem:
        return "a tab, where YAML allows only spaces. Indent with spaces"
    if "alias" in f"{problem} {error.context}" or "cannot start any token" in problem:
        return f"not valid YAML: {problem}. Put text that begins with a special character in quotes"
    return f"not valid YAML: {problem}"
