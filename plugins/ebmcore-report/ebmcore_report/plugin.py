"""The command of this distribution, named without importing it."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_commands() -> dict[str, str]:
    """Offer `report`."""
    return {"report": "ebmcore_report.command:command"}
