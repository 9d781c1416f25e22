"""The launcher and the commands of this distribution."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_launchers() -> dict[str, str]:
    """Offer the launcher."""
    return {"local": "ebmcore_sweep.local_launcher:Local"}


@hookimpl
def ebmcore_commands() -> dict[str, str]:
    """Offer the commands."""
    return {
        "runs compare": "ebmcore_sweep.commands.compare:command",
        "seeds": "ebmcore_sweep.commands.seeds:command",
        "sweep": "ebmcore_sweep.commands.sweep:command",
    }
