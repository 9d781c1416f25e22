"""The hooks of this distribution; importing this module imports neither torch nor matplotlib."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer the monitors."""
    return {
        "advice": "ebmcore_monitors.advice:Advice",
        "classification": "ebmcore_monitors.classification:Classification",
        "convergence": "ebmcore_monitors.convergence.monitor:Convergence",
        "energies": "ebmcore_monitors.energies:Energies",
        "energy_histogram": "ebmcore_monitors.energy_histogram:EnergyHistogram",
        "exact_likelihood": "ebmcore_monitors.exact_likelihood:ExactLikelihood",
        "fidelity": "ebmcore_monitors.fidelity.monitor:Fidelity",
        "gradients": "ebmcore_monitors.gradients:Gradients",
        "histogram_2d": "ebmcore_monitors.histogram:Histogram2d",
        "landscape": "ebmcore_monitors.landscape:Landscape",
        "mmd": "ebmcore_monitors.discrete.mmd:MMD",
        "out_of_distribution": "ebmcore_monitors.anomalies.out_of_distribution:OutOfDistribution",
        "panels": "ebmcore_monitors.panels:Panels",
        "sampler_health": "ebmcore_monitors.sampler_health:SamplerHealth",
        "samples": "ebmcore_monitors.samples:Samples",
        "two_sample": "ebmcore_monitors.two_sample:TwoSample",
    }
