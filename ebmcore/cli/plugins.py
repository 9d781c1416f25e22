"""`ebmcore plugins list`: what is installed and how it loaded, even when all is broken."""

from __future__ import annotations

from typing import Any

from ebmcore.cli.output import Answer, AsJson, PluginOptions, Strict, answering, table


@answering
def list_command(
    plugins: PluginOptions = None, strict: Strict = False, as_json: AsJson = False
) -> Answer:
    """List the plugins: origin, status and offered components."""
    from ebmcore.plugins import Host, Selection

    selection = Selection.from_options(plugins or ())
    host = Host.discover(selection)
    if strict:
        host.check(selection, strict=True)
    found = []
    for plugin in host.plugins:
        offers: dict[str, list[str]] = {}
        for component in (*host.components(), *host.components("command")):
            if component.plugin == plugin.found:
                offers.setdefault(component.kind, []).append(component.name)
        found.append(
            {
                "name": plugin.found.name,
                "distribution": plugin.found.distribution or plugin.found.target,
                "version": plugin.found.version or None,
                "status": str(plugin.status),
                "reason": plugin.reason or None,
                "offers": offers,
            }
        )
    return Answer(found, lambda: _show(found))


def _show(found: list[dict[str, Any]]) -> None:
    rows = []
    for plugin in found:
        offers = "; ".join(f"{kind}: {', '.join(n)}" for kind, n in plugin["offers"].items())
        about = (plugin["name"], plugin["distribution"], plugin["version"] or "-")
        rows.append((*about, plugin["status"], (plugin["reason"] or offers).split("\n")))
    table(("plugin", "distribution", "version", "status", "offers"), rows)
