"""The hooks of this distribution, which offer its samplers to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer the Langevin kernels, and Stein variational gradient descent."""
    return {
        "annealed": "ebmcore_langevin.annealed:Annealed",
        "langevin": "ebmcore_langevin.kernels:Langevin",
        "mala": "ebmcore_langevin.mala:MALA",
        "svgd": "ebmcore_langevin.svgd:SVGD",
        "underdamped": "ebmcore_langevin.underdamped:Underdamped",
    }
