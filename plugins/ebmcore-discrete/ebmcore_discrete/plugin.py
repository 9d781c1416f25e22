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
    """Offer the heat baths, and the samplers that differentiate the energy."""
    return {
        "block_gibbs": "ebmcore_discrete.block_gibbs:BlockGibbs",
        "dmala": "ebmcore_discrete.langevin:DMALA",
        "dula": "ebmcore_discrete.langevin:DULA",
        "gibbs": "ebmcore_discrete.gibbs:Gibbs",
        "gibbs_with_gradients": "ebmcore_discrete.gibbs_with_gradients:GibbsWithGradients",
    }


@hookimpl
def ebmcore_datasets() -> dict[str, str]:
    """Offer the datasets of bits."""
    return {
        "bars": "ebmcore_discrete.bars:Bars",
        "gray_code": "ebmcore_discrete.datasets.gray_code:GrayCode",
        "ising_draws": "ebmcore_discrete.datasets.ising_draws:IsingDraws",
    }


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer pictures of weights."""
    return {
        "couplings": "ebmcore_discrete.monitors.couplings:CouplingsPicture",
        "features": "ebmcore_discrete.monitors.features:Features",
    }
