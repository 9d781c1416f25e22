"""Calibration of a classifier: accuracy against confidence, and their expected difference (ECE).

    ECE = Σ_b n_b/n |accuracy_b - confidence_b|,  over bins b of equal width of the confidence

Source: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", eq. 3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Reliability(NamedTuple):
    """The predictions in each bin of the confidence, bin b being (b/bins, (b + 1)/bins]."""

    points: Tensor  # (bins,), float64
    confidence: Tensor  # (bins,), float64, their mean confidence; 0 in an empty bin
    accuracy: Tensor  # (bins,), float64, the share that is right; 0 in an empty bin

    @property
    def ece(self) -> float:
        """The expected calibration error, from 0 to 1."""
        share = self.points / self.points.sum()
        return float((share * (self.accuracy - self.confidence).abs()).sum())


def reliability(confidence: Tensor, correct: Tensor, bins: int) -> Reliability:
    """Sort predictions into bins: confidence (n,) in (0, 1], correct (n,) of 0 or 1."""
    confidence, correct = confidence.double().cpu(), correct.double().cpu()
    which = (confidence * bins).ceil().long().clamp(1, bins) - 1
    count, sure, right = (
        torch.zeros(bins, dtype=torch.float64).index_add_(0, which, values)
        for values in (torch.ones_like(confidence), confidence, correct)
    )
    filled = count.clamp(min=1)
    return Reliability(count, sure / filled, right / filled)
