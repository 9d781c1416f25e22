"""The hooks of this distribution, which offer its parts to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the energies of bits and of categories."""
    return {
        "ising": "ebmcore_discrete.ising:Ising",
        "potts": "ebmcore_discrete.potts:Potts",
        "rbm": "ebmcore_discrete.rbm:RBM",
    }


@hookimpl
def ebmcore_samplers() -> dict[str, str]:
    """Offer the heat baths."""
    return {
        "block_gibbs": "ebmcore_discrete.block_gibbs:BlockGibbs",
        "gibbs": "ebmcore_discrete.gibbs:Gibbs",
    }


@hookimpl
def ebmcore_datasets() -> dict[str, str]:
    """Offer bars and stripes."""
    return {"bars": "ebmcore_discrete.bars:Bars"}
