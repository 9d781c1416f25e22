"""The hooks of this distribution, which offer its energies to ebmcore."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_energies() -> dict[str, str]:
    """Offer the energies with known answers, and those that combine other energies."""
    return {
        "ackley": "ebmcore_analytic.ackley:Ackley",
        "double_well": "ebmcore_analytic.double_well:DoubleWell",
        "funnel": "ebmcore_analytic.funnel:Funnel",
        "gaussian": "ebmcore_analytic.gaussian:Gaussian",
        "gaussian_mixture": "ebmcore_analytic.gaussian_mixture:GaussianMixture",
        "many_well": "ebmcore_analytic.double_well:ManyWell",
        "mixture": "ebmcore_analytic.mixture:Mixture",
        "negated": "ebmcore_analytic.negated:Negated",
        "product": "ebmcore_analytic.combine:Product",
        "rastrigin": "ebmcore_analytic.rastrigin:Rastrigin",
        "ring": "ebmcore_analytic.ring:Ring",
        "rosenbrock": "ebmcore_analytic.rosenbrock:Rosenbrock",
        "sum": "ebmcore_analytic.combine:Sum",
        "tempered": "ebmcore_analytic.combine:Tempered",
    }
