"""The hooks of this distribution, which offer its launcher to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_launchers() -> dict[str, str]:
    """Offer the launcher."""
    return {"slurm": "ebmcore_slurm.launcher:Slurm"}
