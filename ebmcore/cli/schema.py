"""`ebmcore schema`: JSON Schema of the config, for editors."""

from __future__ import annotations

from ebmcore.cli.output import Answer, AsJson, PluginOptions, answering, document


@answering
def command(plugins: PluginOptions = None, as_json: AsJson = False) -> Answer:
    """Print the JSON Schema of configs with the installed plugins."""
    from ebmcore.cli.parts.catalog import open_host
    from ebmcore.config import config_schema

    found = config_schema(open_host(plugins))
    return Answer(found, lambda: document(found))
