"""The source of a config: a file or a mapping, with dotted overrides over it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.config import yaml as yaml_text
from ebmcore.errors import ConfigError, Problem

DEFAULT_OPTIMIZER = "Adam"


class Source(NamedTuple):
    """A config as it was written, which knows where each of its keys is."""

    tree: dict[str, Any]
    name: str = ""  # the file, as the user named it
    lines: dict[yaml_text.Path, int] = {}  # noqa: RUF012 (an immutable tuple's default, never written)
    overrides: tuple[str, ...] = ()  # dotted keys that were set over the file, or made on the way
    problems: tuple[Problem, ...] = ()  # keys written twice, which are reported with all others

    @property
    def folder(self) -> Path:
        """The folder that the paths of plugin files are relative to."""
        return Path(self.name).parent if self.name else Path()

    def where(self, path: str) -> str:
        """Say where a dotted path was written: the override, or the file and the line."""
        parts = path.split(".") if path else []
        for end in range(len(parts), 0, -1):
            for dotted in self.overrides:
                if ".".join(parts[:end]) == dotted:
                    return "override"
        lines = {".".join(map(str, key)): line for key, line in self.lines.items()}
        for end in range(len(parts), -1, -1):
            if (line := lines.get(".".join(parts[:end]))) is not None:
                return f"{self.name}:{line}"
        return self.name

    def problem(self, path: str, message: str) -> Problem:
        """Describe a problem at a dotted path, with its place."""
        return Problem(path, message, self.where(path))


def read_config(config: str | Path | Mapping[str, Any]) -> Source:
    """Read a config file, or take a mapping as it is.

    Raises ConfigError when there is no such file or it isn't a mapping in valid YAML. Keys that are
    written twice are the source's `problems`, for `validate` to report.
    """
    if isinstance(config, Mapping):
        return Source(copy.deepcopy(dict(config)))
    path = Path(config)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([Problem("", "no such config file", str(config))]) from None
    except (OSError, ValueError) as error:  # not UTF-8, or a null byte in the path
        raise ConfigError([Problem("", f"can't be read: {error}", str(config))]) from None
    return _read(text, str(config))


def parse_config(text: str, name: str) -> Source:
    """Read the text of a config in the file `name`. Raises ConfigError."""
    source = _read(text, name)
    if source.problems:
        raise ConfigError(source.problems)
    return source


def _read(text: str, name: str) -> Source:
    document = yaml_text.parse(text, name)
    if not isinstance(document.value, dict):
        found = "nothing" if document.value is None else type(document.value).__name__
        message = f"a config is a mapping of keys such as data, energy and loss; found {found}"
        raise ConfigError([*document.repeats, Problem("", message, name)])
    return Source(document.value, name, document.lines, problems=document.repeats)


def apply_overrides(source: Source, overrides: Mapping[str, Any]) -> Source:
    """Set dotted keys over a config: `train.epochs`, `monitors.0.every`, `loss.gap.weight`.

    An entry of a list goes by its index, its `name` or its `type`; any other key of `loss` refers
    to the list's first entry, the loss that the others regularise. Where the config names no
    optimizer, a key of `optimizer` is one of the default optimizer's.
    """
    tree = copy.deepcopy(source.tree)
    places = []
    for dotted, value in overrides.items():
        try:
            places += _set(tree, dotted.split("."), value)
        except LookupError as error:
            problem = Problem(dotted[:100], str(error.args[0]), "override")
            raise ConfigError([*source.problems, problem]) from None
    return source._replace(tree=tree, overrides=(*source.overrides, *places))


def parse_assignments(texts: list[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` arguments; the values are YAML."""
    overrides = {}
    for text in texts:
        yaml_text.refuse_control(text, "override")
        key, equals, value = text.partition("=")
        if not equals or not key:
            message = "should be KEY=VALUE, such as train.epochs=5"
            raise ConfigError([Problem(text, message, "override")])
        if key in overrides:
            raise ConfigError([Problem(key, "is set twice; keep one", "override")])
        overrides[key] = yaml_text.parse_value(value, f"override {key}")
    return overrides


def _set(tree: dict[str, Any], keys: list[str], value: Any) -> list[str]:
    """Set one value; return the dotted places of mappings made for it, and its own."""
    if len(keys) > yaml_text.DEPTH:
        raise LookupError(f"is nested too deeply; a config has at most {yaml_text.DEPTH} levels")
    here: Any = tree
    place: list[str] = []
    made: list[str] = []
    for i, key in enumerate(keys[:-1]):
        holder, at, steps = _locate(here, key, place)
        place += steps
        child = holder[at] if isinstance(holder, list) else holder.get(at)
        if isinstance(child, str) and child.startswith("@"):
            name = child.removeprefix("@")
            shared = name if tree.get(name) is not None else f"parts.{name}"
            meant = ".".join([shared, *keys[i + 1 :]])
            raise LookupError(f"{'.'.join(place)} is the reference {child!r}; set {meant}")
        if isinstance(child, str):  # the short form `energy: mlp`
            child = {"type": child}
        if isinstance(holder, dict) and at not in holder:
            made.append(".".join(place))
        if child is None:
            child = {"type": DEFAULT_OPTIMIZER} if place == ["optimizer"] else {}
        holder[at] = here = child
    holder, at, steps = _locate(here, keys[-1], place)
    holder[at] = copy.deepcopy(value)
    return [*made, ".".join([*place, *steps])]


def _locate(here: Any, key: str, place: list[str]) -> tuple[Any, Any, list[str]]:
    """Return the container that `key` refers to, the key in it, and the steps from here."""
    if isinstance(here, dict):
        return here, key, [key]
    if not isinstance(here, list):
        raise LookupError(f"{'.'.join(place)} is {here!r}, which has no key {key!r}")
    names = [_entry_name(entry) for entry in here]
    if key.isdecimal() and len(key) < 10 and int(key) < len(here):
        return here, int(key), [key]
    if key in names:
        return here, names.index(key), [str(names.index(key))]
    if place == ["loss"] and here and isinstance(here[0], dict):
        return here[0], key, ["0", key]
    entries = ", ".join(f"{i} ({name})" for i, name in enumerate(names)) or "none"
    raise LookupError(f"{'.'.join(place)} has no entry {key!r}; its entries: {entries}")


def _entry_name(entry: Any) -> Any:
    return entry.get("name", entry.get("type")) if isinstance(entry, dict) else entry
