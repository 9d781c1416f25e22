"""The catalogue of an installation: its commands, its parts and their keys, as plain JSON."""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any

from ebmcore.cli.plugin_commands.offers import commands_in
from ebmcore.cli.plugin_commands.source_help import help_of
from ebmcore.cli.shell import cache
from ebmcore.config import describe, keys_of, nested, reserved
from ebmcore.config.sections import Plugins, Settings, Tracking, Train
from ebmcore.config.values.signature import REQUIRED, Parameter, parameters
from ebmcore.errors import PluginError
from ebmcore.kinds import OFFERED
from ebmcore.plugins import Component, Host


def write() -> None:
    """Write the catalogue of this installation to the user's cache."""
    now = cache.installed()
    host = Host.discover()
    found = make(host)
    cache.write({**found, "installed": now, "files": cache.times(_files(host))})


def make(host: Host) -> dict[str, Any]:
    """Return the catalogue of the plugins of a host."""
    sections = {"": Settings, "train": Train, "tracking": Tracking, "plugins": Plugins}
    return {
        "commands": {
            group: {
                word: help_of(found[0].target).partition("\n")[0]
                for word, found in commands_in(host, group).items()
                if ":" not in word
            }
            for group in ("", "runs", "plugins")
        },
        "sections": {name: _keys(parameters(section)) for name, section in sections.items()},
        "parts": {
            kind: {c.name: found for c in host.components(kind) if (found := _part(c)) is not None}
            for kind in OFFERED
        },
    }


def _part(component: Component) -> dict[str, Any] | None:
    """Return a part's summary and keys, None when it can't be loaded."""
    try:
        target = component.load()
        every = (*keys_of(component.kind, target), *reserved(component.kind, target))
        return {"summary": describe(target).summary, "keys": _keys(every)}
    except PluginError:
        return None


def _keys(every: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return each key's meaning and default, and the kind of the part that it takes, if any."""
    return {
        key.name: {
            "meaning": key.description,
            "kind": found and found.kind,
            "default": None if key.default is REQUIRED else json.dumps(key.default, default=str),
        }
        for key in every
        for found in (nested(key.annotation),)
    }


def _files(host: Host) -> set[str]:
    """Return the source files of plugins and parts, whose changes make a catalogue old."""
    modules = [plugin.module for plugin in host.plugins]
    for component in host.components():
        if isinstance(component.target, str) and not component.target.startswith("torch."):
            modules.append(sys.modules.get(component.target.partition(":")[0]))
    found = (inspect.getsourcefile(module) for module in modules if module is not None)
    return {file for file in found if file is not None}
