"""Chains that do not keep up: data and samples stay at other energies for long."""

from __future__ import annotations

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, median

LOOKS = 10  # before anything is said: chains that begin at noise take a while
SPREADS = 2.0  # at which two Gaussians of one spread overlap by less than a third


def gap(evidence: Evidence) -> Finding | None:
    """Say whether mean E(data) - mean E(samples) was far from 0 throughout half of the looks.

    Far is against the standard deviation of the energies, pooled over data and samples, as it was
    at each look. It says nothing that the gap is near 0: so it is for a collapsed model.
    """
    series = evidence.series("gap_in_spreads")
    if len(series) < LOOKS:
        return None
    half = series[len(series) // 2 :]
    ill = all(value > SPREADS for value in half) or all(value < -SPREADS for value in half)
    side = "above" if half[-1] > 0 else "below"
    return Finding(
        ill,
        f"the samples' energies do not meet the data's: mean E of the data was {side} that of the "
        f"samples by {abs(median(half)):.3g} spreads of the energies (median) at each of the last "
        f"{len(half)} looks. Raise sampler.n_steps, lower optimizer.lr, or keep the chains "
        "(chains.type: persistent)",
    )
