"""The hooks of this distribution, which offer its samplers to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer the Langevin kernels."""
    return {
        "annealed": "ebmcore_langevin.annealed:Annealed",
        "langevin": "ebmcore_langevin.kernels:Langevin",
        "mala": "ebmcore_langevin.mala:MALA",
        "underdamped": "ebmcore_langevin.underdamped:Underdamped",
    }
