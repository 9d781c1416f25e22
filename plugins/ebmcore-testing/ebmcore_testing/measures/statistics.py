"""Tests at a declared level: each rejects what is right at most once in a million times."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

LEVEL = 1e-6  # chance that one comparison rejects what is right
Z = 4.892  # two-sided normal quantile of LEVEL
T_63 = 5.421  # two-sided quantile of LEVEL of Student's t with 63 degrees of freedom
_KS = math.sqrt(
    -math.log(LEVEL / 2) / 2
)  # P(D > c √(2/n)) ≈ 2 exp(-2c²), of one sample P(D > c/√n)


class Deviation(NamedTuple):
    """The comparison that deviates most, in units of what is allowed."""

    share: float  # over 1 is a rejection
    text: str
    allowed: str


def from_gaussian(x: Tensor, fresh: Tensor, variance: float) -> Deviation:
    """Hold independent numbers against N(0, variance): mean, variance, and fresh draws of it.

    Shapes: x (n,), fresh (n,).
    """
    n = x.numel()
    mean = float(x.mean()) / math.sqrt(variance / n)
    spread = (float(x.square().mean()) / variance - 1) / math.sqrt(2 / n)
    return max(
        Deviation(abs(mean) / Z, f"mean {float(x.mean()):.4g}, {mean:+.1f} standard errors", _Z),
        Deviation(
            abs(spread) / Z,
            f"variance {float(x.square().mean()):.4g}, {spread:+.1f} standard errors",
            _Z,
        ),
        two_samples(x, fresh),
    )


_Z = f"{Z:.1f} standard errors (level {LEVEL:g})"


def two_samples(a: Tensor, b: Tensor) -> Deviation:
    """Compare two samples of one size by the Kolmogorov-Smirnov distance. Shapes: (n,), (n,)."""
    n = a.numel()
    both = torch.cat([a, b]).sort().values
    shares = [torch.searchsorted(s.sort().values, both, right=True) / n for s in (a, b)]
    distance = float((shares[0] - shares[1]).abs().max())
    allowed = _KS * math.sqrt(2 / n)
    return Deviation(
        distance / allowed,
        f"a Kolmogorov-Smirnov distance of {distance:.4f}",
        f"{allowed:.4f} (level {LEVEL:g})",
    )


def from_law(x: Tensor, cdf: Callable[[Tensor], Tensor]) -> Deviation:
    """Hold independent numbers against a continuous law by Kolmogorov's distance from its cdf.

    A share over 1 rejects what is right once in a million times. Shape: x (n,); `cdf` takes the
    sorted numbers and returns as many.
    """
    n = x.numel()
    shares = cdf(x.sort().values)
    steps = torch.arange(n + 1, dtype=shares.dtype, device=shares.device) / n
    distance = float(torch.maximum(shares - steps[:-1], steps[1:] - shares).max())
    allowed = _KS / math.sqrt(n)
    return Deviation(
        distance / allowed,
        f"a Kolmogorov distance of {distance:.4f}",
        f"{allowed:.4f} (level {LEVEL:g})",
    )


def student(estimates: Tensor) -> Tensor:
    """Return Student's t of each column's mean: (64, k) -> (k,); 0/0 counts as 0."""
    mean = estimates.mean(0)
    error = estimates.std(0) / math.sqrt(len(estimates))
    certain = torch.where(mean.abs() < 1e-12, 0.0, math.inf * mean.sign())
    return torch.where(error < 1e-14, certain, mean / error)
