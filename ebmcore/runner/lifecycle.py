"""Calling the life-cycle hooks, each plugin's on its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ebmcore.errors import raised_at
from ebmcore.plugins import Host


def notify(host: Host, hook: str, **arguments: Any) -> Iterator[str]:
    """Call every plugin's hook, sorted by plugin name; yield what went wrong, the plugin named."""
    calls = getattr(host.hooks.hook, hook).get_hookimpls()
    for call in sorted(calls, key=lambda impl: impl.plugin_name):
        try:
            call.function(**{name: arguments[name] for name in call.argnames})
        except Exception as error:
            yield (
                f"plugin {call.plugin_name!r} raised in {hook}: "
                f"{type(error).__name__}: {error} ({raised_at(error)})"
            )
