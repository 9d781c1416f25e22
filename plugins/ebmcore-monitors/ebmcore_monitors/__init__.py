"""Monitors for ebmcore: figures, likelihoods, sampler diagnostics, two-sample tests and advice.

Imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebmcore_monitors.advice import Advice as Advice
    from ebmcore_monitors.anomalies.out_of_distribution import (
        OutOfDistribution as OutOfDistribution,
    )
    from ebmcore_monitors.classification import Classification as Classification
    from ebmcore_monitors.energies import Energies as Energies
    from ebmcore_monitors.energy_histogram import EnergyHistogram as EnergyHistogram
    from ebmcore_monitors.exact_likelihood import ExactLikelihood as ExactLikelihood
    from ebmcore_monitors.fidelity.monitor import Fidelity as Fidelity
    from ebmcore_monitors.gradients import Gradients as Gradients
    from ebmcore_monitors.histogram import Histogram2d as Histogram2d
    from ebmcore_monitors.landscape import Landscape as Landscape
    from ebmcore_monitors.panels import Panels as Panels
    from ebmcore_monitors.sampler_health import SamplerHealth as SamplerHealth
    from ebmcore_monitors.samples import Samples as Samples
    from ebmcore_monitors.two_sample import TwoSample as TwoSample

_HOME = {
    "Advice": "advice",
    "Classification": "classification",
    "Energies": "energies",
    "EnergyHistogram": "energy_histogram",
    "ExactLikelihood": "exact_likelihood",
    "Fidelity": "fidelity.monitor",
    "Gradients": "gradients",
    "Histogram2d": "histogram",
    "Landscape": "landscape",
    "OutOfDistribution": "anomalies.out_of_distribution",
    "Panels": "panels",
    "SamplerHealth": "sampler_health",
    "Samples": "samples",
    "TwoSample": "two_sample",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin imports little."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
