"""`ebmcore components`: what can be named in a config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ebmcore.cli.output import Answer, AsJson, PluginOptions, answering, table
from ebmcore.completion import completers

if TYPE_CHECKING:
    from ebmcore.plugins import Host


@answering
def command(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="energy, network, sampler, chains, loss, monitor, callback, dataset, transform, "
            "optimizer, lr_scheduler, launcher or tracker; torch's own are listed with their kind "
            "alone.",
            autocompletion=completers.kinds,
        ),
    ] = None,
    plugins: PluginOptions = None,
    as_json: AsJson = False,
) -> Answer:
    """List the components of one kind, or of all kinds."""
    from ebmcore.cli.parts.catalog import open_host

    return listed(open_host(plugins), kind)


def listed(host: Host, kind: str | None) -> Answer:
    """Answer with the components of a kind, or of all. Raises EbmError when there is no such."""
    from ebmcore.cli.parts.catalog import kinds, summary
    from ebmcore.config import of_torch

    found = [
        {
            "kind": component.kind,
            "name": component.name,
            "full_name": component.full_name,
            "plugin": component.plugin.origin,
            "summary": summary(component),
        }
        for name in kinds(kind)
        for component in host.components(name)
        if kind is not None or not of_torch(component)
    ]
    rows = [(c["kind"], c["name"], c["plugin"], c["summary"]) for c in found]
    return Answer(found, lambda: table(("kind", "name", "plugin", "what it is"), rows))
