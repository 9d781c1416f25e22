"""The catalogue of an installation: its commands, its parts and their keys, as plain JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any, get_type_hints

import typer.main

from ebmcore.cli.main import app
from ebmcore.cli.plugin_commands.group import PluginCommand
from ebmcore.completion import cache, completers
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
        "command": _command(typer.main.get_command(app)),
        "sections": {name: _keys(parameters(section)) for name, section in sections.items()},
        "parts": {
            kind: {c.name: found for c in host.components(kind) if (found := _part(c)) is not None}
            for kind in OFFERED
        },
    }


def _command(command: Any, above: Any = None) -> dict[str, Any]:
    """Return a command's help, options and arguments, and the commands below it."""
    context = command.make_context(command.name, [], parent=above, resilient_parsing=True)
    call = command.callback
    hints = {} if call is None else get_type_hints(call, include_extras=True)
    found: dict[str, Any] = {"help": (command.help or "").partition("\n")[0]}
    for kind in ("option", "argument"):
        params = [p for p in command.get_params(context) if p.param_type_name == kind]
        found[f"{kind}s"] = [_parameter(p, hints) for p in params if not p.hidden]
    found["commands"] = {}
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        with suppress(PluginError):
            below = below.load() if isinstance(below, PluginCommand) else below
            if not below.hidden:
                found["commands"][name] = _command(below, context)
    return found


def _parameter(param: Any, hints: dict[str, Any]) -> dict[str, Any]:
    """Return how a parameter is given, and its offers: choices, or the name of a completer."""
    notes = getattr(hints.get(param.name), "__metadata__", ())
    calls = [call for note in notes if (call := getattr(note, "autocompletion", None)) is not None]
    ours = [c.__name__ for c in calls if vars(completers).get(c.__name__) == c]
    return {
        "name": param.name,
        "words": [*param.opts, *param.secondary_opts],
        "value": not getattr(param, "is_flag", False),
        "many": param.nargs == -1 or getattr(param, "multiple", False),
        "help": getattr(param, "help", None) or "",
        "offers": ours[0] if ours else None if calls else [*getattr(param.type, "choices", ())],
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
    """Return the source files of the core and of plugins, whose changes make a catalogue old."""
    modules = [plugin.module for plugin in host.plugins if plugin.module is not None]
    packages = {"ebmcore", *(module.__name__.partition(".")[0] for module in modules)}
    loaded = [m for name, m in sys.modules.items() if name.partition(".")[0] in packages]
    return {file for module in loaded if (file := getattr(module, "__file__", None))}
