"""Samples left behind: most of them come to lie at energies that hardly any of the data has."""

from __future__ import annotations

import torch
from torch import Tensor

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding

ABOVE = 0.5  # share of the samples; of a model that fits none lies there, of noise in images all do
LOOKS = 2  # calls in a row: one batch of chains may have been begun again


def left_behind(evidence: Evidence) -> Finding | None:
    """Return whether most samples lie above the data's energies, after a call where they didn't.

    Above is more than 4 standard deviations of the data's energies beyond their mean. Chains that
    begin there have to come down; to rise again is the turning of a run: training raises E where
    the chains are, they don't move away from there, and samples that were good become noise.
    """
    shares = evidence.recorded("above_data")
    if len(shares) <= LOOKS:
        return None
    good = [step for step, share in shares[:-LOOKS] if share <= ABOVE]
    return Finding(
        bool(good) and all(share > ABOVE for _, share in shares[-LOOKS:]),
        f"samples are left behind: the energies of {shares[-1][1]:.0%} of them are more than "
        "4 standard deviations above the data's, and the chains don't come down. "
        f"{_cause(evidence)}. To go back by itself, a run needs train.on_divergence: rollback and "
        f"{_bound(evidence, max(good, default=0))}",
    )


def _cause(evidence: Evidence) -> str:
    ratio = getattr(evidence.view.info, "step_ratio", None)
    if not isinstance(ratio, Tensor):
        return "Raise sampler.n_steps, or lower optimizer.lr"
    size = float(ratio.to(torch.float64).mean())
    if size < 1:
        return (
            f"A step's noise is {1 / size:.2g} times its gradient part: lower sampler.temperature, "
            "or raise sampler.step_size"
        )
    return (
        f"A step's gradient part is {size:.2g} times its noise, and overshoots: lower "
        "sampler.step_size"
    )


def _bound(evidence: Evidence, turning: int) -> str:
    """Return the key train.max_gap, with twice the largest gap that the run had while good."""
    gaps = evidence.view.history.get("train/energy_gap", ())
    good = [abs(gap) for step, gap in gaps if step <= turning]
    return f"train.max_gap: {2 * max(good):.2g}" if good else "train.max_gap"
