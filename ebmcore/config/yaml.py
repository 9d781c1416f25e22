"""YAML with the values of YAML 1.2's core schema, and with the line of every key.

PyYAML reads YAML 1.1, in which `1e-4` is a string, `off` and `no` are booleans, `1:30` is ninety
and a date is an object. Here `1e-4` is a number, true and false are booleans, the rest is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from ebmcore.errors import ConfigError, Problem
from ebmcore.terminal import is_control, named

Path = tuple[str | int, ...]
DEPTH = 50  # levels of nesting
_MOST = 100_000  # values in a document, each counted wherever an alias repeats it
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null")}
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNREADABLE = re.compile(f"{yaml.reader.Reader.NON_PRINTABLE.pattern}|[\x85\u2028\u2029]")


class Document(NamedTuple):
    """Plain values, and the line of each: path -> line, counted from 1.

    Of a key that is written twice the last value stands, and `repeats` tells of it.
    """

    value: Any
    lines: dict[Path, int]
    repeats: tuple[Problem, ...] = ()


class _Loader(yaml.SafeLoader):
    """A SafeLoader with the core schema's scalars."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's own class attribute)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge the mappings of `<<`, each key once, so that nested merges don't multiply."""
        super().flatten_mapping(node)
        node.value = list({_key(key): (key, value) for key, value in node.value}.values())


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])


class _Reading(NamedTuple):
    """A document that is being read."""

    loader: _Loader
    name: str
    lines: dict[Path, int]
    repeats: list[tuple[int, Problem]]  # and their lines


def parse(text: str, name: str) -> Document:
    """Read one YAML document. Raises ConfigError with line and column when it is invalid."""
    refuse_control(text, name)
    loader = _Loader(text)
    reading = _Reading(loader, name, {}, [])
    try:
        node = loader.get_single_node()
        value = None if node is None else _value(reading, node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError([Problem("", f"broken YAML: {what}", place)]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([Problem("", f"broken YAML: {error}", name)]) from error
    finally:
        loader.dispose()
    repeats = sorted(reading.repeats, key=lambda found: found[0])
    return Document(value, reading.lines, tuple(problem for _, problem in repeats))


def parse_value(text: str, name: str) -> Any:
    """Read the value of an override, such as `5 epochs`, `[1, 2]` or `1e-4`.

    Raises ConfigError also when it holds a key twice.
    """
    document = parse(text, name)
    if document.repeats:
        raise ConfigError(document.repeats)
    return document.value


def refuse_control(text: str, name: str) -> None:
    """Raise ConfigError with line and column when text holds a character that YAML forbids."""
    if (found := _UNREADABLE.search(text)) is not None:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        where = f"{name}:{line}:{column}"
        raise ConfigError([Problem("", _fault(found[0]), where)])


def control_in(value: str) -> str:
    """Describe the first character that a value of a config must not hold; "" if there is none.

    A value may be a single control character, such as a delimiter, but not NUL.
    """
    found = next((c for c in value if is_control(c)), None)
    meant = found is not None and len(value) == 1 and found != "\0" and not _SURROGATE.match(found)
    return "" if found is None or meant else _fault(found)


def _fault(character: str) -> str:
    if _SURROGATE.match(character):
        return "holds half a character (a lone surrogate); write the whole one"
    return f"holds the control character {named(character)}; take it out"


def _value(reading: _Reading, node: yaml.Node, path: Path) -> Any:
    loader, _, lines, _ = reading
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > _MOST:
        raise _refused(f"more than {_MOST:,} values, counting what aliases repeat", node)
    if len(path) > DEPTH:
        raise _refused("nested too deeply, or an anchor within itself", node)
    if node.tag not in _tags(node):
        raise _refused(f"the tag {node.tag!r} is not for configs, or not for what follows it", node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(reading, item, (*path, i)) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        _refuse_control(node)
        try:
            return loader.construct_object(node)
        except (ValueError, LookupError, TypeError) as error:
            raise _refused(f"{node.value[:40]!r} can't be read as {node.tag}", node) from error
    assert isinstance(node, yaml.MappingNode)
    for key, _ in node.value:
        _key(key)
    own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
    if len(set(own)) < len(own):
        reading.repeats.extend(_repeats(node, path, reading.name))
    loader.flatten_mapping(node)
    result = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        lines[(*path, key)] = key_node.start_mark.line + 1
        result[key] = _value(reading, value_node, (*path, key))
    return result


def _tags(node: yaml.Node) -> set[str]:
    """List the tags that suit a node."""
    if isinstance(node, yaml.ScalarNode):
        return _SCALARS
    return {f"{_TAG}seq" if isinstance(node, yaml.SequenceNode) else f"{_TAG}map"}


def _key(node: yaml.Node) -> str:
    """Return a key as it was written. Raises MarkedYAMLError when it isn't a word."""
    if not isinstance(node, yaml.ScalarNode):
        raise _refused("a key should be a word", node)
    _refuse_control(node)
    return str(node.value)


def _refuse_control(node: yaml.ScalarNode) -> None:
    if fault := control_in(node.value):
        raise _refused(fault, node)


def _refused(message: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)


def _repeats(node: yaml.MappingNode, path: Path, name: str) -> Iterator[tuple[int, Problem]]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            place = ".".join(map(str, (*path, key.value)))
            message = f"written twice, first in line {seen[key.value]}; keep one"
            yield line, Problem(place, message, f"{name}:{line}")
        seen.setdefault(key.value, line)
