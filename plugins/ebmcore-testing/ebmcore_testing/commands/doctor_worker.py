"""Examine one plugin in its own process: the cost of its import, and whether its parts load.

`ebmcore plugins doctor` runs it as `python -m ebmcore_testing.commands.doctor_worker`, with the
plugin as JSON on standard input; the last line of standard output is the finding, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from ebmcore.cli import out
from ebmcore.errors import EbmError, raised_at
from ebmcore.plugins import Component, Found, Host, Loaded
from ebmcore_testing.declarations import unusable_keys

HEAVY = ("torch", "mlflow", "matplotlib", "sklearn", "scipy", "pandas", "jax", "tensorflow")


def examine(found: Found) -> dict[str, Any]:
    """Import a plugin, then each of its parts; return what was found."""
    before = set(sys.modules)
    began = time.perf_counter()
    host = Host.of([Loaded(found)])
    seconds = time.perf_counter() - began
    heavy = [name for name in HEAVY if name in sys.modules and name not in before]
    offered = [*host.components(), *host.components("command")]
    parts = {c.full_name: _load(c) for c in offered if c.plugin == found}  # not the core's own
    return {
        "status": str(host.plugins[0].status),
        "reason": host.plugins[0].reason,
        "registration_ms": round(seconds * 1000, 1),
        "heavy_imports": heavy,
        "parts": {name: problem for name, problem in parts.items() if problem},
        "offers": sorted(parts),
    }


def _load(component: Component) -> str:
    """Return what is wrong with a part, an empty text when nothing is."""
    try:
        target = component.load()
        if not callable(target):
            return f"{component.target!r} is {target!r:.60}, neither a class nor a function"
        if component.kind == "command":
            return ""
        unusable = unusable_keys(component.kind, target)
    except EbmError as error:
        return str(error)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error} ({raised_at(error)})"
        return f"{component.full_name}: its keys can't be read: {what}"
    return unusable and f"{component.full_name}: {unusable}"


def main() -> None:
    """Read the plugin, examine it, write the finding."""
    fields = json.load(sys.stdin)
    finding = examine(Found(**{**fields, "requires": tuple(fields["requires"])}))
    out("\n" + json.dumps(finding))


if __name__ == "__main__":
    main()
