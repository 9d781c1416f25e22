"""Exploding gradients: their norm grows by orders of magnitude."""

from __future__ import annotations

from ebmcore_monitors.diagnoses.evidence import Evidence, Finding, median

RECORDED = 6  # values of train/grad_norm, at least
TIMES = 100.0  # two orders of magnitude; an energy that sharpens gains one
RECENT = 3  # last values, whose median counts: a single outlier is not an explosion


def exploding_gradients(evidence: Evidence) -> Finding | None:
    """Return whether the gradient's norm is 100 times that of the first half of the run.

    The norm is that before clipping, `train/grad_norm`, the mean over each interval of logging.
    """
    series = [value for _, value in evidence.view.history.get("train/grad_norm", ())]
    if len(series) < RECORDED:
        return None
    before, now = median(series[: len(series) // 2]), median(series[-RECENT:])
    return Finding(
        now > TIMES * before,
        f"gradients explode: their norm, train/grad_norm, went from {before:.3g} (median of the "
        f"run's first half) to {now:.3g}. Set train.clip_grad_norm, such as 1.0, or lower "
        "optimizer.lr",
    )
