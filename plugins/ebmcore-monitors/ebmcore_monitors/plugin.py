"""What this distribution offers; importing it imports neither torch nor matplotlib."""

from ebmcore import hookimpl


@hookimpl
def ebmcore_monitors() -> dict[str, str]:
    """Offer the monitors."""
    return {
        "energies": "ebmcore_monitors.energies:Energies",
        "exact_likelihood": "ebmcore_monitors.exact_likelihood:ExactLikelihood",
        "histogram_2d": "ebmcore_monitors.histogram:Histogram2d",
        "landscape": "ebmcore_monitors.landscape:Landscape",
        "panels": "ebmcore_monitors.panels:Panels",
        "samples": "ebmcore_monitors.samples:Samples",
    }
