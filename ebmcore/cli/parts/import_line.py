"""The line of Python that imports a component."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ebmcore.plugins import Component


def import_line(component: Component, target: Any) -> str | None:
    """Return the line that imports a loaded component, by the shortest path that leads to it.

    That is from its package where the package exports it, else from its module. None of a local
    file's, which no package holds, or of one that a function made.
    """
    module, name = target.__module__, target.__qualname__
    if isinstance(component.target, str):
        module, _, name = component.target.partition(":")
    if component.plugin.is_file or "<locals>" in name:
        return None
    first, _, rest = name.partition(".")
    package = module.partition(".")[0]
    if not rest and getattr(import_module(package), first, None) is target:
        module = package
    return f"from {module} import {first}"
