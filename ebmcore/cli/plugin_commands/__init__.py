"""Commands that plugins add to the core's command line."""

from ebmcore.cli.plugin_commands.group import CommandGroup

__all__ = ["CommandGroup"]
