"""The hooks of this distribution, which offer its sampler to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer Hamiltonian Monte Carlo."""
    return {"hmc": "ebmcore_hmc.kernel:HMC"}
