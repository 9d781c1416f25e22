"""Energies with known log Z and exact samplers, and sums of energies; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_analytic.ackley import Ackley as Ackley
    from ebmcore_analytic.analytic import Analytic as Analytic
    from ebmcore_analytic.combine import Product as Product
    from ebmcore_analytic.combine import Sum as Sum
    from ebmcore_analytic.combine import Tempered as Tempered
    from ebmcore_analytic.double_well import DoubleWell as DoubleWell
    from ebmcore_analytic.double_well import ManyWell as ManyWell
    from ebmcore_analytic.funnel import Funnel as Funnel
    from ebmcore_analytic.gaussian import Gaussian as Gaussian
    from ebmcore_analytic.gaussian_mixture import GaussianMixture as GaussianMixture
    from ebmcore_analytic.mixture import Mixture as Mixture
    from ebmcore_analytic.negated import Negated as Negated
    from ebmcore_analytic.rastrigin import Rastrigin as Rastrigin
    from ebmcore_analytic.ring import Ring as Ring
    from ebmcore_analytic.rosenbrock import Rosenbrock as Rosenbrock

_HOME = {
    "Ackley": "ackley",
    "Analytic": "analytic",
    "DoubleWell": "double_well",
    "Funnel": "funnel",
    "Gaussian": "gaussian",
    "GaussianMixture": "gaussian_mixture",
    "ManyWell": "double_well",
    "Mixture": "mixture",
    "Negated": "negated",
    "Product": "combine",
    "Rastrigin": "rastrigin",
    "Ring": "ring",
    "Rosenbrock": "rosenbrock",
    "Sum": "combine",
    "Tempered": "combine",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin does not import torch."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
