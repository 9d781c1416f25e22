"""Calls to the life-cycle hooks: each plugin's alone, so that one that raises stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ebmcore.errors import raised_at
from ebmcore.plugins import Host

LIFE_CYCLE = (
    "ebmcore_configure",
    "ebmcore_run_start",
    "ebmcore_checkpoint",
    "ebmcore_run_error",
    "ebmcore_run_end",
    "ebmcore_run_closed",
)


def listeners(host: Host) -> dict[str, list[str]]:
    """Return hook -> the plugins that implement it, in the order in which they are called."""
    found = {name: [call.plugin_name for call in calls(host, name)] for name in LIFE_CYCLE}
    return {name: plugins for name, plugins in found.items() if plugins}


def calls(host: Host, hook: str) -> list[Any]:
    """List the plugins' implementations of a hook in the order in which they are called.

    Those marked tryfirst come first and those marked trylast last, else they are sorted by name.
    """
    found = getattr(host.hooks.hook, hook).get_hookimpls()
    return sorted(found, key=lambda c: (c.trylast - c.tryfirst, c.plugin_name))


def notify(host: Host, hook: str, **arguments: Any) -> Iterator[str]:
    """Call a hook of every plugin, in order; yield a message for each one that raised."""
    for call in calls(host, hook):
        try:
            call.function(**{name: arguments[name] for name in call.argnames})
        except (Exception, SystemExit) as error:
            yield (
                f"plugin {call.plugin_name!r} raised in {hook}: "
                f"{type(error).__name__}: {error} ({raised_at(error)})"
            )
