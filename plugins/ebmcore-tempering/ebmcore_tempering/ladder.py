"""The ladder of temperatures, and its adaptation to equal swap rates.

The temperatures between the first and the last are given by their log spacings. A step adds to each

    log Δ_k ← log Δ_k + n^-0.6 (a_k - ā)

with the pair's swap rate a_k, a mean over the chains, ā the mean over the pairs, and n the steps so
far. It is at rest where all pairs swap alike, which makes round trips from the coldest to the
hottest as frequent as the number of replicas allows; the temperatures at both ends stay.
Source: equal rates: Syed et al. 2022, section 5.4; the recursion: Robbins and Monro 1951, on log
spacings as in Miasojedow, Moulines and Vihola 2013, "An adaptive parallel tempering algorithm".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

FORGETS = 0.6  # power of the steps' decay: their sum diverges, that of their squares doesn't


def first_spacing(temperatures: Sequence[float]) -> list[float]:
    """Return log log(T_{k+1}/T_k) of neighbours. Raises ValueError unless temperatures rise."""
    rising = all(one < other for one, other in pairwise(temperatures))
    if not (len(temperatures) > 1 and rising and 0 < temperatures[0] < temperatures[-1] < math.inf):
        raise ValueError(
            "temperatures should be two positive numbers or more, each larger than the one before; "
            f"got {list(temperatures)}"
        )
    return [math.log(math.log(other / one)) for one, other in pairwise(temperatures)]


def temperatures_of(log_spacing: Tensor, first: float, last: float) -> Tensor:
    """Return the temperatures, (chains, pairs) -> (chains, replicas)."""
    heights = log_spacing.softmax(1).cumsum(1)[:, :-1]
    ends = torch.zeros_like(log_spacing[:, :1])
    return first * (math.log(last / first) * torch.cat([ends, heights, ends + 1], 1)).exp()


def adapted(log_spacing: Tensor, rates: Tensor, steps: Tensor) -> Tensor:
    """Return the spacings after one more step, (chains, pairs), alike for all chains.

    Shapes: rates (chains, pairs), steps (chains,), those before this one.
    """
    mean = rates.mean(0)
    gain = (steps + 1).to(rates).pow(-FORGETS)
    return log_spacing + gain[:, None] * (mean - mean.mean())
