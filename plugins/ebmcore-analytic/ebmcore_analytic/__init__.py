"""Energies with known log Z and exact samplers, and sums of energies; imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_analytic.ackley import Ackley
    from ebmcore_analytic.analytic import Analytic
    from ebmcore_analytic.combine import Sum, Tempered
    from ebmcore_analytic.double_well import DoubleWell
    from ebmcore_analytic.funnel import Funnel
    from ebmcore_analytic.gaussian import Gaussian
    from ebmcore_analytic.gaussian_mixture import GaussianMixture
    from ebmcore_analytic.rastrigin import Rastrigin
    from ebmcore_analytic.ring import Ring
    from ebmcore_analytic.rosenbrock import Rosenbrock

__all__ = [
    "Ackley",
    "Analytic",
    "DoubleWell",
    "Funnel",
    "Gaussian",
    "GaussianMixture",
    "Rastrigin",
    "Ring",
    "Rosenbrock",
    "Sum",
    "Tempered",
]

_HOME = {
    "Ackley": "ackley",
    "Analytic": "analytic",
    "DoubleWell": "double_well",
    "Funnel": "funnel",
    "Gaussian": "gaussian",
    "GaussianMixture": "gaussian_mixture",
    "Rastrigin": "rastrigin",
    "Ring": "ring",
    "Rosenbrock": "rosenbrock",
    "Sum": "combine",
    "Tempered": "combine",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that finding the plugin stays light."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
