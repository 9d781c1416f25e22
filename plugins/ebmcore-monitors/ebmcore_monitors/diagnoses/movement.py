"""Chains that barely move: steps too small to matter, or so large that all are rejected."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, median, scale_of

MOVED = 0.01  # of the data's scale, in one training step: at 1 % a random walk needs 10,000 of them
ACCEPTED = 0.05  # share of steps; MALA does best near 0.57, HMC near 0.65, and both badly at 0.05


def barely_moving(evidence: Evidence) -> Finding | None:
    """Return whether chains move less than 1 % of the data's scale in a whole training step.

    A kernel that accepts or rejects must also accept: otherwise its steps are not too small.
    """
    share = displacement(evidence)
    if share is None:
        return None
    accepted = acceptance(evidence)
    detected = share < MOVED and (accepted is None or accepted >= ACCEPTED)
    return Finding(
        detected,
        f"the sampler barely moves: in the {evidence.view.n_steps} steps of a training step chains "
        f"move {share:.1e} of the data's scale (median). Raise sampler.step_size, or "
        "sampler.n_steps",
    )


def rejecting(evidence: Evidence) -> Finding | None:
    """Return whether the kernel rejects nearly all steps; None when it reports no acceptance."""
    share = acceptance(evidence)
    if share is None:
        return None
    return Finding(
        share < ACCEPTED,
        f"the sampler is stuck: it accepts {share:.1%} of its steps. Lower sampler.step_size",
    )


def displacement(evidence: Evidence) -> float | None:
    """Return the median distance that chains move in one training step, in the data's scale."""
    scale = scale_of(evidence.view.data)
    if evidence.trace is None or len(evidence.trace.x) < 2 or not scale > 0:
        return None
    x: Tensor = evidence.trace.x
    lengths = (x[-1] - x[0]).flatten(1).double().norm(dim=1)
    share = median(lengths.tolist()) / scale
    return share if math.isfinite(share) else None


def acceptance(evidence: Evidence) -> float | None:
    """Return the mean share of accepted steps, in the trace or else in the last training step."""
    infos = (getattr(evidence.trace, "info", None), evidence.view.info)
    for info in infos:
        accepted = getattr(info, "acceptance", None)
        if isinstance(accepted, Tensor):
            share = float(accepted.to(torch.float64).mean())
            return share if math.isfinite(share) else None
    return None
