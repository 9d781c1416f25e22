"""`ebmcore show`: one component, with every key, type, default and meaning, or a kind's list."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ebmcore.cli.output import Answer, AsJson, PluginOptions, answering, out, table
from ebmcore.cli.parts.components import listed
from ebmcore.completion import completers


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
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Its name in a config; without, all of the kind.",
            autocompletion=completers.parts,
        ),
    ] = None,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """Show one component, its formula and its config keys, or list the components of a kind."""
    from ebmcore.cli.parts.catalog import describe_component, open_host

    if name is None:
        return listed(open_host(plugins), kind)
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
