"""The kit's commands, named without importing them."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_commands() -> dict[str, str]:
    """Offer `check`, `plugins new` and `plugins doctor`."""
    return {
        "check": "ebmcore_testing.commands.check:command",
        "plugins doctor": "ebmcore_testing.commands.doctor:command",
        "plugins new": "ebmcore_testing.commands.new:command",
    }
