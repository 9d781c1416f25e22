"""The components of the installed plugins, as `components`, `show` and `schema` list them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ebmcore.cli.parts.import_line import import_line
from ebmcore.config import describe, description, keys_of, nested, of_torch, reserved, type_name
from ebmcore.config.values.signature import REQUIRED
from ebmcore.errors import EbmError, PluginError
from ebmcore.kinds import OFFERED
from ebmcore.plugins import Component, Host, Selection


def open_host(plugins: Sequence[str] | None) -> Host:
    """Load the plugins. Raises PluginError when one that was named didn't load."""
    selection = Selection.from_options(plugins or ())
    host = Host.discover(selection)
    host.check(selection)
    return host


def kinds(name: str | None) -> tuple[str, ...]:
    """Return the kinds that a word means: one, by its name, its config key or its plural, or all.

    Raises EbmError that lists them.
    """
    if name is None:
        return tuple(OFFERED)
    for kind in OFFERED.values():
        if name in (kind.name, kind.key, kind.hook.removeprefix("ebmcore_")):
            return (kind.name,)
    raise EbmError(f"no kind {name!r}; there are: {', '.join(OFFERED)}")


def summary(component: Component) -> str:
    """Return the first paragraph of a component's docstring, or why it can't be loaded."""
    try:
        return describe(component.load()).summary
    except PluginError as error:
        return f"can't be loaded: {error}"


def describe_component(host: Host, kind: str, name: str) -> dict[str, Any]:
    """Return what `show` shows. Raises EbmError when there is no such kind or component."""
    (kind,) = kinds(kind)
    component = host.find(kind, name)
    target, full_name, origin = component.load(), component.full_name, component.plugin.origin
    if of_torch(component):
        full_name, origin = component.name, component.target.partition(":")[0]
    return {
        "kind": kind,
        "name": name,
        "full_name": full_name,
        "plugin": origin,
        "import": import_line(component, target),
        "doc": description(component, target),
        "keys": [
            {
                "name": key.name,
                "type": _type(key.annotation),
                "required": key.default is REQUIRED,
                "default": None if key.default is REQUIRED else _text(key.default),
                "description": key.description,
            }
            for key in (*keys_of(kind, target), *reserved(kind, target))
        ],
    }


def _type(annotation: Any) -> str:
    found = nested(annotation)
    if found is None:
        return type_name(annotation)
    if found.or_one:
        return f"{found.kind}, or list of them"
    return f"list of {found.kind}" if found.many else found.kind


def _text(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
