"""The commands of this distribution."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_commands() -> dict[str, str]:
    """Offer the commands."""
    return {
        "examples": "ebmcore_new.commands.examples:command",
        "new": "ebmcore_new.commands.new:command",
    }
