"""The curves of a score that ranks positives above negatives, and the area under one of them.

At each value t of the score, with TP positives and FP negatives at or above it,

    recall R = TP / positives,   precision P = TP / (TP + FP),   false positives F = FP / negatives

so points of one score enter together. The average precision is Σ (R_k - R_{k-1}) P_k over the
values from the highest down: the area under the precision-recall curve without interpolation.

Source: Davis and Goadrich 2006, "The relationship between precision-recall and ROC curves":
straight lines between the points of a precision-recall curve would give too large an area.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Curves(NamedTuple):
    """The ROC and the precision-recall curve, at each value of the score, the highest first."""

    recall: Tensor  # (values,), float64, from above 0 to 1; also the true positive rate
    precision: Tensor  # (values,), float64
    false_positives: Tensor  # (values,), float64, share of the negatives, to 1

    @property
    def average_precision(self) -> float:
        """The area under the precision-recall curve, from 0 to 1."""
        steps = self.recall.diff(prepend=self.recall.new_zeros(1))
        return float((steps * self.precision).sum())


def curves(positives: Tensor, negatives: Tensor) -> Curves:
    """Return the curves of the scores of positives, (n,), and of negatives, (m,), none of them NaN.

    The average precision of scores that say nothing is the share of positives, n / (n + m).
    """
    scores = torch.cat([positives, negatives]).double()
    values, where = torch.unique(scores, return_inverse=True)
    is_positive = torch.arange(len(scores), device=scores.device) < len(positives)
    counts = scores.new_zeros((2, len(values)))
    counts[0].index_add_(0, where, is_positive.to(scores))
    counts[1].index_add_(0, where, (~is_positive).to(scores))
    true, false = counts.flip(1).cumsum(1)
    return Curves(true / len(positives), true / (true + false), false / len(negatives))
