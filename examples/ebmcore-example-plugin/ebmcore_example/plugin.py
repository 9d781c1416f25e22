"""What this distribution offers; importing this module imports no torch."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the quadratic energy."""
    return {"quadratic": "ebmcore_example.energy:Quadratic"}


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer the monitor that reads its parameters."""
    return {"precision": "ebmcore_example.monitor:Precision"}
