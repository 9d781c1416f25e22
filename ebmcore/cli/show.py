"""`ebmcore show`: one component, with every key, type, default and its meaning."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ebmcore.cli.output import Answer, AsJson, PluginOptions, answering, out, table
from ebmcore.cli.shell import completers


@answering
def command(
    kind: Annotated[
        str,
        typer.Argument(
            help="energy, network, sampler, chains, loss, monitor, callback, dataset, transform, "
            "optimizer, lr_scheduler, launcher or tracker.",
            autocompletion=completers.kinds,
        ),
    ],
    name: Annotated[
        str, typer.Argument(help="Its name in a config.", autocompletion=completers.parts)
    ],
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Show one component: its formula and its config keys."""
    from ebmcore.cli.catalog import describe_component, open_host

    found = describe_component(open_host(plugins), kind, name)
    return Answer(found, lambda: _show(found))


def _show(found: dict[str, Any]) -> None:
    out(f"{found['kind']} {found['full_name']}  ({found['plugin']})")
    if found["import"] is not None:
        out(found["import"])
    out(f"\n{found['doc']}")
    rows = [
        (key["name"], key["type"], "required" if key["required"] else str(key["default"]),
         key["description"])
        for key in found["keys"]
    ]  # fmt: skip
    table(("key", "type", "default", "meaning"), rows)
