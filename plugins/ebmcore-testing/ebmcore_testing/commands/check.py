"""`ebmcore check`: run the conformance suites on all parts of a plugin."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore.cli import RUN_FAILED, Answer, AsJson, PluginOptions, out, table

if TYPE_CHECKING:
    from ebmcore_testing import Outcome


def command(
    plugin: Annotated[
        str,
        typer.Argument(
            metavar="PLUGIN",
            help="An installed plugin or distribution, a local file.py, or one component as "
            "KIND:NAME, such as optimizer:Adam.",
        ),
    ],
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Check the components of a plugin, or one component, against their contracts.

    Exit codes: 0 all pass, 1 some fail, 2 there is no such plugin.
    """
    from ebmcore.kinds import OFFERED
    from ebmcore.plugins import Host, Selection

    kind, _, name = plugin.partition(":")
    is_part = kind in OFFERED and bool(name)
    selection = Selection.from_options([*(plugins or ()), *([] if is_part else [plugin])])
    host = Host.discover(selection)
    host.check(selection)
    part = host.find(kind, name) if is_part else None
    from ebmcore_testing import check_component, check_plugin  # they import torch: not before

    if part is not None:
        found = list(check_component(part))
    else:
        is_file = plugin in selection.files
        found = check_plugin(host, Path(plugin).resolve().stem if is_file else plugin)
    counts = Counter(str(outcome.result) for outcome in found)
    document = {"plugin": plugin, "counts": counts, "checks": [o.document for o in found]}
    code = RUN_FAILED if counts["failed"] else 0
    return Answer(document, lambda: _show(found, counts), code)


def _show(found: list[Outcome], counts: Counter[str]) -> None:
    rows = [
        (f"{o.kind} {o.component}{_keys(o)}", o.check, str(o.result), o.reason.split("\n"))
        for o in found
    ]
    table(("component", "check", "result", "why"), rows)
    for outcome in found:
        if outcome.failure and outcome.result == "failed":
            out(f"{outcome.kind} {outcome.component}{_keys(outcome)}: {outcome.failure}\n")
    out(", ".join(f"{count} {result}" for result, count in counts.items()))


def _keys(outcome: Outcome) -> str:
    return "".join(f" {key}={value}" for key, value in outcome.params.items())
