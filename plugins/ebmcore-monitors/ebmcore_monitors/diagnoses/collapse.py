"""Collapsed samples: all of them lie close together."""

from __future__ import annotations

import math

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, scale_of

SMALLEST = 0.25  # of the data's scale: a sixteenth of its variance
POINTS = 8  # samples, at least, to estimate a scale


def collapsed_samples(evidence: Evidence) -> Finding | None:
    """Return whether the samples' scale is far smaller than the data's.

    The scale is the root of the total variance, so samples of one mode out of several are detected
    when the modes are far apart. Samples that only lack a mode are not: look at a figure.
    """
    share = relative_scale(evidence)
    if share is None:
        return None
    return Finding(
        share < SMALLEST,
        f"the samples have collapsed: they have {share:.2g} of the data's scale. Restart "
        "some chains (chains.reinit), raise the sampler's temperature, or raise sampler.n_steps",
    )


def relative_scale(evidence: Evidence) -> float | None:
    """Return the scale of the last training step's samples over that of the data.

    Where those may have begun at the data, samples of the model count, too; the smaller scale is
    returned.
    """
    samples = (evidence.view.x_neg, evidence.model)
    scales = [scale_of(x) for x in samples if x is not None and len(x) >= POINTS]
    known = [scale for scale in scales if math.isfinite(scale)]
    data = scale_of(evidence.view.data)
    return min(known) / data if known and data > 0 else None
