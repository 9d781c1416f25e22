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
    from ebmcore_monitors.convergence.monitor import Convergence as Convergence
    from ebmcore_monitors.discrete.mmd import MMD as MMD
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
    from ebmcore_monitors.statistics.convergence import ess_bulk as ess_bulk
    from ebmcore_monitors.statistics.convergence import ess_mean as ess_mean
    from ebmcore_monitors.statistics.convergence import ess_quantile as ess_quantile
    from ebmcore_monitors.statistics.convergence import ess_tail as ess_tail
    from ebmcore_monitors.statistics.convergence import mcse_mean as mcse_mean
    from ebmcore_monitors.statistics.convergence import mcse_quantile as mcse_quantile
    from ebmcore_monitors.statistics.convergence import rhat as rhat
    from ebmcore_monitors.statistics.diagnosis import Diagnosis as Diagnosis
    from ebmcore_monitors.statistics.diagnosis import diagnose as diagnose
    from ebmcore_monitors.two_sample import TwoSample as TwoSample

_HOME = {
    "Advice": "advice",
    "Classification": "classification",
    "Convergence": "convergence.monitor",
    "Diagnosis": "statistics.diagnosis",
    "Energies": "energies",
    "EnergyHistogram": "energy_histogram",
    "ExactLikelihood": "exact_likelihood",
    "Fidelity": "fidelity.monitor",
    "Gradients": "gradients",
    "Histogram2d": "histogram",
    "Landscape": "landscape",
    "MMD": "discrete.mmd",
    "OutOfDistribution": "anomalies.out_of_distribution",
    "Panels": "panels",
    "SamplerHealth": "sampler_health",
    "Samples": "samples",
    "TwoSample": "two_sample",
    "diagnose": "statistics.diagnosis",
    "ess_bulk": "statistics.convergence",
    "ess_mean": "statistics.convergence",
    "ess_quantile": "statistics.convergence",
    "ess_tail": "statistics.convergence",
    "mcse_mean": "statistics.convergence",
    "mcse_quantile": "statistics.convergence",
    "rhat": "statistics.convergence",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that discovering the plugin imports little."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
