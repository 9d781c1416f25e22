"""Samples that have all come to the same place."""

from __future__ import annotations

import math

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, scale_of

SMALLEST = 0.25  # of the data's scale: a sixteenth of its variance
POINTS = 8  # of which a scale can be told


def collapsed_samples(evidence: Evidence) -> Finding | None:
    """Say whether the samples' cloud is far smaller than the data's.

    The size of a cloud is the root of its total variance, so a sample of one mode out of several is
    seen when the modes are far apart. Samples that only lack a mode are not: look at a picture.
    """
    share = relative_scale(evidence)
    if share is None:
        return None
    return Finding(
        share < SMALLEST,
        f"the samples have collapsed: their cloud has {share:.2g} of the data's scale. Restart "
        "some chains (chains.reinit), raise the sampler's temperature, or raise sampler.n_steps",
    )


def relative_scale(evidence: Evidence) -> float | None:
    """Return the scale of the last training step's samples over that of the data."""
    x_neg = evidence.view.x_neg
    if x_neg is None or len(x_neg) < POINTS:
        return None
    own, data = scale_of(x_neg), scale_of(evidence.view.data)
    return own / data if data > 0 and math.isfinite(own) else None
