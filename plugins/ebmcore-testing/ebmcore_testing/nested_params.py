"""Keys that take a component, given to the kit as a config gives them: `{type: mlp, …}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ebmcore.config import Node, check_values, keys_of, nested
from ebmcore.errors import EbmError
from ebmcore.plugins import Host


def checked_values(
    target: Callable[..., Any], params: Mapping[str, Any], kind: str
) -> dict[str, Any]:
    """Return a component's keys checked, with a node for each `{type: …}` of a nested one.

    A build makes the nested component afresh each time. Raises EbmError at faults.
    """
    known = keys_of(kind, target)
    found = {p.name: nested(p.annotation) for p in known}
    kinds = {name: one.kind for name, one in found.items() if one is not None}
    inner = {key: value for key, value in params.items() if key in kinds}
    plain = {key: value for key, value in params.items() if key not in kinds}
    checked = check_values([p for p in known if p.name not in kinds], plain)
    if checked.faults:
        raise EbmError("; ".join(f"{place}: {message}" for place, message in checked.faults))
    return {**checked.values, **{key: _inner(kinds[key], v, key) for key, v in inner.items()}}


def _inner(kind: str, value: Any, path: str) -> Any:
    if isinstance(value, list):
        return [_inner(kind, entry, f"{path}.{i}") for i, entry in enumerate(value)]
    if not isinstance(value, Mapping) or "type" not in value:
        return value
    component = Host.discover().find(kind, value["type"])
    target = component.load()
    values = checked_values(target, {k: v for k, v in value.items() if k != "type"}, kind)
    return Node(path, kind, value["type"], target, component, values, {}, {})
