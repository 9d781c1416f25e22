"""The hooks of this distribution; importing this module does not import torch."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the quadratic energy."""
    return {"quadratic": "ebmcore_example.energy:Quadratic"}


@hookimpl
def ebmcore_commands() -> dict[str, str]:
    """Offer `ebmcore runs moments`, which shows what a run has fitted."""
    return {"runs moments": "ebmcore_example.moments:command"}


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer the monitor, which reads the energy's parameters."""
    return {"precision": "ebmcore_example.monitor:Precision"}
