"""The keys of a config's sections and parts, at a dotted place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ebmcore.kinds import KINDS, TRACKER

LARGEST = 1024 * 1024  # bytes of a config that is read at TAB
_LISTED = {kind.key: kind for kind in (*KINDS.values(), TRACKER) if "." not in kind.key}
_NAMED = {"optimizers": "optimizer", "networks": "network"}  # a mapping of names to parts
_DEFAULTS = {"optimizer": "Adam"}


class Key(NamedTuple):
    """One key that may follow a dotted place."""

    meaning: str = ""
    opens: bool = False  # whether a part or a section stands there, with keys of its own
    default: str | None = None  # as JSON


Keys = dict[str, Key]


def config_tree(file: Path) -> dict[str, Any]:
    """Return a config as plain values, empty where it can't be read."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if file.stat().st_size > LARGEST:
            return {}
        found = yaml.load(file.read_text(encoding="utf-8"), loader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def keys_at(place: Sequence[str], tree: Mapping[str, Any], catalogue: Mapping[str, Any]) -> Keys:
    """Return the keys that may follow a dotted place, such as those of the sampler's type."""
    sections, parts = catalogue.get("sections", {}), catalogue.get("parts", {})
    if not place:
        within = {*_LISTED, *_NAMED, *sections} - {""}
        return {**_keys(sections.get("", {})), **{name: Key(opens=True) for name in within}}
    first, *rest = place
    node = tree.get(first, _DEFAULTS.get(first))
    if first in _NAMED:
        named = node if isinstance(node, dict) else {}
        if not rest:
            return {str(name): Key(opens=True) for name in named}
        return _of_node(rest[1:], named.get(rest[0]), _NAMED[first], parts)
    if first in _LISTED and not (first == "tracking" and _is_section(node)):
        return _of_list(rest, node, _LISTED[first].name, parts)
    return {} if rest else _keys(sections.get(first, {}))


def value_at(place: Sequence[str], tree: Mapping[str, Any]) -> str | None:
    """Return the value at a dotted place as JSON, None where there is none."""
    found = _step(tree, place)
    return None if found is None else json.dumps(found, default=str)


def values_at(
    place: Sequence[str], tree: Mapping[str, Any], catalogue: Mapping[str, Any]
) -> dict[str, str]:
    """Return the parts that `sampler`, or `sampler.type`, may name, with their summaries."""
    *above, last = place
    if last == "type":
        return values_at(above, tree, catalogue) if above else {}
    kind = _kind_at(place, tree, catalogue)
    found = catalogue.get("parts", {}).get(kind, {})
    return {name: part.get("summary", "") for name, part in found.items()}


def _kind_at(
    place: Sequence[str], tree: Mapping[str, Any], catalogue: Mapping[str, Any]
) -> str | None:
    """Return the kind of the part that stands at a place, None where no part does."""
    first, *rest = place
    node, parts = tree.get(first), catalogue.get("parts", {})
    if first in _NAMED:
        kind, node, rest = _NAMED[first], _step(node, rest[:1]), rest[1:]
    elif first in _LISTED:
        kind = _LISTED[first].name
    else:
        return None
    for key in rest:
        if not isinstance(node, list):
            inner = _part(node, kind, parts).get("keys", {}).get(key, {}).get("kind")
            if inner is None:
                return None
            kind = inner
        node = _step(node, [key])
    return kind


def _of_list(rest: Sequence[str], node: Any, kind: str, parts: Mapping[str, Any]) -> Keys:
    """Return the keys at a place in one part, or in a list of them."""
    if not isinstance(node, list):
        return _of_node(rest, node, kind, parts)
    if rest:
        return _of_node(rest[1:], _step(node, rest[:1]), kind, parts)
    entries = {_name(entry) or str(i): Key(opens=True) for i, entry in enumerate(node)}
    first = _of_node(rest, node[0], kind, parts) if kind == "loss" and node else {}
    return {**first, **entries}


def _of_node(rest: Sequence[str], node: Any, kind: str, parts: Mapping[str, Any]) -> Keys:
    keys = _part(node, kind, parts).get("keys", {})
    if not rest:
        return {"type": Key(f"Which {kind}."), **_keys(keys)}
    inner = keys.get(rest[0], {}).get("kind")
    if inner is None:
        return {}
    return _of_list(rest[1:], node.get(rest[0]) if isinstance(node, dict) else None, inner, parts)


def _part(node: Any, kind: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    named = node.get("type") if isinstance(node, dict) else node
    name = str(named).rpartition(":")[2]
    found: dict[str, Any] = parts.get(kind, {}).get(name, {})
    return found


def _step(node: Any, keys: Sequence[str]) -> Any:
    """Return what is at a key: an entry of a list goes by its index, its name or its type."""
    for key in keys:
        if isinstance(node, list):
            named = [entry for i, entry in enumerate(node) if key in (str(i), _name(entry))]
            node = named[0] if named else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def _name(entry: Any) -> str:
    if isinstance(entry, dict):
        return str(entry.get("name") or entry.get("type") or "")
    return str(entry)


def _is_section(node: Any) -> bool:
    return node is None or (isinstance(node, dict) and "type" not in node)


def _keys(found: Mapping[str, Any]) -> Keys:
    return {
        name: Key(key.get("meaning", ""), key.get("kind") is not None, key.get("default"))
        for name, key in found.items()
    }
