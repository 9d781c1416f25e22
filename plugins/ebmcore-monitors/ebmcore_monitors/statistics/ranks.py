"""Ranks of numbers, and the area under a ROC curve, which follows from them."""

from __future__ import annotations

import torch
from torch import Tensor


def average_ranks(x: Tensor) -> Tensor:
    """Return the ranks of x from 1, in x's shape; equal numbers get the mean of their ranks."""
    _, where, counts = torch.unique(x, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    ranks: Tensor = last - (counts - 1) / 2
    return ranks[where]


def share_above(upper: Tensor, lower: Tensor) -> float:
    """Return P(u > l) + ½ P(u = l) for u, l drawn from two sets of numbers: the area under a ROC.

    Shapes: upper (n,), lower (m,) -> from 0 to 1; ½ when neither tends to be above the other.
    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating
    characteristic (ROC) curve": it is the Mann-Whitney statistic over n m.
    """
    n, m = len(upper), len(lower)
    of_upper = average_ranks(torch.cat([upper, lower]))[:n].sum()
    return float(of_upper - n * (n + 1) / 2) / (n * m)
