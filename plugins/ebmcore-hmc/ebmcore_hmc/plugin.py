"""The hooks of this distribution, which offer its samplers to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer Hamiltonian Monte Carlo, with paths of one length or as long as they should be."""
    return {"hmc": "ebmcore_hmc.kernel:HMC", "nuts": "ebmcore_hmc.nuts:NUTS"}
