"""A lasting energy gap: chains don't keep up, and samples differ from data in energy for long."""

from __future__ import annotations

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, median

LOOKS = 10  # calls, at least: chains that begin at noise need time
SPREADS = 2.0  # at which two Gaussians of one spread overlap by less than a third


def gap(evidence: Evidence) -> Finding | None:
    """Return whether mean E(data) - mean E(samples) was far from 0 throughout half of the calls.

    Far is relative to the standard deviation of the energies, pooled over data and samples, at each
    call. Where chains may begin at the data, and stay near them, the samples are those of the
    model. A gap near 0 doesn't show a good model: a collapsed model has one too.
    """
    series = evidence.series("gap_in_spreads")
    if len(series) < LOOKS:
        return None
    half = series[len(series) // 2 :]
    detected = all(value > SPREADS for value in half) or all(value < -SPREADS for value in half)
    side = "above" if half[-1] > 0 else "below"
    return Finding(
        detected,
        f"the energy gap stays: mean E of the data was {side} that of the samples by "
        f"{abs(median(half)):.3g} spreads of the energies (median) at each of the last "
        f"{len(half)} calls. Raise sampler.n_steps, lower optimizer.lr, or keep the chains "
        "(chains.type: persistent)",
    )
